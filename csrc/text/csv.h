// values[r][c] = number(text, line r, field c): strict parser of comma separated numbers.
#pragma once

#include <cstdint>
#include <string_view>

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

// The fields of a line: n_values numbers, and an integer label before or after them or nowhere.
enum class CsvLabel { kNone, kFirst, kLast };

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

// Parses whole lines until the text ends, max_rows are filled, or a line is at fault. The text must
// end in '\n' (or be empty). Accepted: [+-]digits[.digits][e[+-]digits] with spaces around it; LF
// or CRLF. Refused by name: everything else. Nothing is thrown. values: (max_rows, n_values)
// labels: (max_rows,), not read when label is kNone
CsvProgress parse_csv(std::string_view text, std::int64_t n_values, CsvLabel label,
                      std::int64_t max_rows, std::uint8_t* values, std::int64_t* labels);
CsvProgress parse_csv(std::string_view text, std::int64_t n_values, CsvLabel label,
                      std::int64_t max_rows, float* values, std::int64_t* labels);

}  // namespace rbmx::text
