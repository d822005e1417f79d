// x = number(field): the value of one CSV field, exactly rounded, or the reason why it has none.
#pragma once

#include <string_view>

#include "text/csv.h"

namespace rbmx::text {

// The full grammar, one field at a time; parse_csv comes here for what its fast paths do not take.
// kNone, kEmptyField, kQuote, kNulByte, kNotANumber or kNotFinite. An underflow is zero.
CsvFault parse_number(std::string_view field, double* value);

}  // namespace rbmx::text
