// values[r][c] = number(text, line r, field c): strict parser of comma separated numbers.
#pragma once

#include <cstdint>

#include "rbmx/kernels.h"

namespace rbmx::text {

// What is wrong with a line; the Python layer turns it into a sentence.
enum class CsvFault {
  kNone,
  kEmptyLine,
  kEmptyField,
  kTooFewFields,
  kTooManyFields,
  kQuote,
  kNulByte,
  kNotANumber,
  kNotFinite,     // nan, inf, or too large for the output type
  kNotUint8,      // a good number, but no integer in 0..255 (uint8 output only)
  kNotAnInteger,  // a label that is no integer below 2^53 in magnitude
};

// How far a parse came. Offsets are in bytes from the start of the text; columns count from 0.
struct CsvProgress {
  std::int64_t rows = 0;  // lines parsed into the outputs
  std::int64_t end = 0;   // start of the line after them: the faulty line, if there is a fault
  CsvFault fault = CsvFault::kNone;
  std::int64_t column = 0;  // of the faulty field
  std::int64_t field = 0;   // start of the faulty field
  std::int64_t field_end = 0;
  std::int64_t next_line = 0;  // start of the line after the faulty one
};

// Parses whole lines until they end, max_rows are filled, or a line is at fault. Accepted:
// [+-]digits[.digits][e[+-]digits] with spaces around it; LF or CRLF. Refused by name: everything
// else. Nothing is thrown. Lines that are fit for it are left to the kernel csv_integers; which
// lines those are does not show in the result.
CsvProgress parse_csv(const CsvLines& lines, const CsvRows& rows, const KernelTable& kernels);
// The same by a team, each member with scratch of its own: scratch holds team.size() times
// csv_scratch(n_values) bytes, and rows.scratch is not used.
CsvProgress parse_csv(Team& team, const CsvLines& lines, const CsvRows& rows,
                      const KernelTable& kernels, std::uint8_t* scratch);

// The rows from `row` on.
CsvRows rows_from(const CsvRows& rows, std::int64_t n_values, std::int64_t row);

}  // namespace rbmx::text
