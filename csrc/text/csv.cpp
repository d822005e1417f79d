// values[r][c] = number(text, line r, field c): strict parser of comma separated numbers.
#include "text/csv.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "text/fast_number.h"
#include "text/number.h"

namespace rbmx::text {
namespace {

CsvFault store(double number, std::uint8_t* value) {
  if (!(number >= 0.0 && number <= 255.0) || number != std::floor(number)) {
    return CsvFault::kNotUint8;
  }
  *value = static_cast<std::uint8_t>(number);
  return CsvFault::kNone;
}

CsvFault store(double number, float* value) {
  // The largest double that still rounds to a finite float lies half a unit above its maximum.
  constexpr double kLimit = 0x1.ffffffp127;
  if (!(std::fabs(number) < kLimit)) return CsvFault::kNotFinite;
  *value = static_cast<float>(number);
  return CsvFault::kNone;
}

CsvFault store(double number, std::int64_t* label) {
  if (!(std::fabs(number) < 0x1p53) || number != std::floor(number)) {
    return CsvFault::kNotAnInteger;
  }
  *label = static_cast<std::int64_t>(number);
  return CsvFault::kNone;
}

// One line, read field by field. After a fault `field` and `stop` bound the faulty field.
class LineParser {
 public:
  explicit LineParser(std::string_view text) : end_(text.data() + text.size()) {}

  // Reads the line at p; returns the start of the next line, or nullptr at a fault.
  template <class Value>
  const char* parse(const char* p, std::int64_t n_values, CsvLabel label, Value* values,
                    std::int64_t* row_label) {
    column = 0;
    last_column_ = n_values - (label == CsvLabel::kNone ? 1 : 0);
    if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {
      field = stop = p;
      fault = CsvFault::kEmptyLine;
      return nullptr;
    }
    if (label == CsvLabel::kFirst) p = parse_field(p, row_label);
    if (p != nullptr) p = parse_values(p, n_values, values);
    if (p != nullptr && label == CsvLabel::kLast) p = parse_field(p, row_label);
    return p;
  }

  CsvFault fault = CsvFault::kNone;
  std::int64_t column = 0;
  const char* field = nullptr;
  const char* stop = nullptr;

 private:
  // The fields before the last of a line. The hot loop keeps its state in locals: a store to a
  // uint8 value may alias any member.
  template <class Value>
  const char* parse_values(const char* p, std::int64_t n_values, Value* values) {
    const char* const end = end_;
    const std::int64_t first_column = column;
    const std::int64_t n_inner = std::min(n_values, last_column_ - column);
    std::int64_t i = 0;
    while (i < n_inner) {
      // Images are mostly black: four fields at a compare.
      if (n_inner - i >= 4 && end - p >= 8 && std::memcmp(p, "0,0,0,0,", 8) == 0) {
        for (int k = 0; k < 4; ++k) values[i++] = Value{0};
        p += 8;
        continue;
      }
      const char* const separator = fast_number(p, end, values + i);
      if (separator != nullptr && *separator == ',') {
        p = separator + 1;
      } else {
        column = first_column + i;
        p = parse_any_field(p, values + i);
        if (p == nullptr) return nullptr;
      }
      ++i;
    }
    column = first_column + n_inner;
    return n_inner == n_values ? p : parse_field(p, values + n_inner);
  }

  // Reads the field at p and what separates it from the next; returns the start of the next field
  // or line, or nullptr at a fault.
  template <class Value>
  const char* parse_field(const char* p, Value* value) {
    const char* q = fast_number(p, end_, value);
    if (q != nullptr) {
      const bool last = column == last_column_;
      if (*q == (last ? '\n' : ',')) {
        ++column;
        return q + 1;
      }
      if (last && *q == '\r' && q[1] == '\n') {
        ++column;
        return q + 2;
      }
    }
    return parse_any_field(p, value);
  }

  template <class Value>
  const char* parse_any_field(const char* p, Value* value) {
    field = p;
    const char* separator = p;
    while (*separator != ',' && *separator != '\n') ++separator;
    const bool at_line_end = *separator == '\n';
    stop = at_line_end && separator != p && separator[-1] == '\r' ? separator - 1 : separator;
    double number = 0.0;
    fault = parse_number(std::string_view(p, static_cast<std::size_t>(stop - p)), &number);
    if (fault == CsvFault::kNone) fault = store(number, value);
    const bool good = fault == CsvFault::kNone || fault == CsvFault::kNotUint8;
    if (good && at_line_end && column != last_column_) fault = CsvFault::kTooFewFields;
    if (good && !at_line_end && column == last_column_) fault = CsvFault::kTooManyFields;
    if (fault != CsvFault::kNone) return nullptr;
    ++column;
    return separator + 1;
  }

  const char* end_;
  std::int64_t last_column_ = 0;
};

template <class Value>
CsvProgress parse_lines(std::string_view text, std::int64_t n_values, CsvLabel label,
                        std::int64_t max_rows, Value* values, std::int64_t* labels) {
  CsvProgress progress;
  LineParser parser(text);
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* line = begin;
  while (line != end && progress.rows < max_rows) {
    const char* const next = parser.parse(line, n_values, label, values, labels);
    if (next == nullptr) {
      const void* newline =
          std::memchr(parser.stop, '\n', static_cast<std::size_t>(end - parser.stop));
      progress.fault = parser.fault;
      progress.column = parser.column;
      progress.field = parser.field - begin;
      progress.field_end = parser.stop - begin;
      progress.next_line = static_cast<const char*>(newline) + 1 - begin;
      break;
    }
    line = next;
    values += n_values;
    if (label != CsvLabel::kNone) ++labels;
    ++progress.rows;
  }
  progress.end = line - begin;
  return progress;
}

}  // namespace

CsvProgress parse_csv(std::string_view text, std::int64_t n_values, CsvLabel label,
                      std::int64_t max_rows, std::uint8_t* values, std::int64_t* labels) {
  return parse_lines(text, n_values, label, max_rows, values, labels);
}

CsvProgress parse_csv(std::string_view text, std::int64_t n_values, CsvLabel label,
                      std::int64_t max_rows, float* values, std::int64_t* labels) {
  return parse_lines(text, n_values, label, max_rows, values, labels);
}

}  // namespace rbmx::text
