// values[r][c] = number(text, line r, field c): strict parser of comma separated numbers.
#include "text/csv.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "rbmx/bits.h"
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
  explicit LineParser(const char* end) : end_(end) {}

  // Reads the line at p; returns the start of the next line, or nullptr at a fault.
  template <class Value>
  const char* parse(const char* p, std::int64_t n_values, CsvLabel label, Value* values,
                    std::int64_t* row_label) {
    column = 0;
    last_column_ = n_values - (label == CsvLabel::none ? 1 : 0);
    if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {
      field = stop = p;
      fault = CsvFault::kEmptyLine;
      return nullptr;
    }
    if (label == CsvLabel::first) p = parse_field(p, row_label);
    if (p != nullptr) p = parse_values(p, n_values, values);
    if (p != nullptr && label == CsvLabel::last) p = parse_field(p, row_label);
    return p;
  }

  bool seen_reals = false;  // a line was no line of bytes: the next ones will not be either
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

// bit i of a row of words: values[i] > threshold. values: n_values bytes, and room for 64 more
void pack(std::uint8_t* values, std::int64_t n_values, double threshold, std::uint64_t* words) {
  const int limit = threshold < 0.0 ? -1 : threshold >= 255.0 ? 255 : static_cast<int>(threshold);
  for (std::int64_t i = 0; i < n_values; ++i) values[i] = values[i] > limit;
  std::fill_n(values + n_values, 64, std::uint8_t{0});
  for (std::int64_t first = 0; first < n_values; first += 64) {
    std::uint64_t word = 0;
    for (int octet = 0; octet < 8; ++octet) {
      std::uint64_t ones = 0;
      for (int i = 0; i < 8; ++i) ones |= std::uint64_t{values[first + 8 * octet + i]} << (8 * i);
      word |= (ones * 0x0102040810204080u) >> 56 << (8 * octet);  // byte i of ones to bit i
    }
    *words++ = word;
  }
}

// The bound that floats are compared with: the threshold as a float, and a little less where it was
// rounded up to a small integer, which then is above it.
float bound_of(double threshold) {
  const float bound = static_cast<float>(threshold);
  const bool is_small = bound >= 0.0f && bound <= 255.0f && bound == std::floor(bound);
  return is_small && threshold < bound ? std::nextafter(bound, -1.0f) : bound;
}

void pack(const float* values, std::int64_t n_values, double threshold, std::uint64_t* words) {
  const float bound = bound_of(threshold);
  for (std::int64_t first = 0; first < n_values; first += 64) {
    const std::int64_t n = std::min<std::int64_t>(64, n_values - first);
    std::uint64_t word = 0;
    for (std::int64_t i = 0; i < n; ++i) word |= std::uint64_t{values[first + i] > bound} << i;
    *words++ = word;
  }
}

const char* parse_row(LineParser& parser, const char* p, const CsvLines& lines, const CsvRows& out,
                      std::int64_t row) {
  const std::int64_t n = lines.n_values;
  std::int64_t* const label = out.labels + (lines.label == CsvLabel::none ? 0 : row);
  if (out.bytes != nullptr) return parser.parse(p, n, lines.label, out.bytes + row * n, label);
  if (out.reals != nullptr) return parser.parse(p, n, lines.label, out.reals + row * n, label);
  std::uint64_t* const words = out.words + row * words_for(n);
  if (!parser.seen_reals) {
    const char* const next = parser.parse(p, n, lines.label, out.scratch, label);
    if (next != nullptr) pack(out.scratch, n, out.threshold, words);
    if (next != nullptr || parser.fault != CsvFault::kNotUint8) return next;
    parser.seen_reals = true;
  }
  auto* const reals = reinterpret_cast<float*>(out.scratch);
  const char* const next = parser.parse(p, n, lines.label, reals, label);
  if (next != nullptr) pack(reals, n, out.threshold, words);
  return next;
}

}  // namespace

CsvRows rows_from(const CsvRows& rows, std::int64_t n_values, std::int64_t row) {
  CsvRows rest = rows;
  if (rest.bytes != nullptr) rest.bytes += row * n_values;
  if (rest.reals != nullptr) rest.reals += row * n_values;
  if (rest.words != nullptr) rest.words += row * words_for(n_values);
  if (rest.labels != nullptr) rest.labels += row;
  return rest;
}

CsvProgress parse_csv(const CsvLines& lines, const CsvRows& rows, const KernelTable& kernels) {
  CsvProgress progress;
  LineParser parser(lines.end);
  const char* line = lines.begin;
  std::int64_t wait = 0, pause = 1;  // lines to read here before the kernel is asked again
  while (line != lines.end && progress.rows < lines.max_rows) {
    if (wait == 0) {
      const std::int64_t rest = lines.max_rows - progress.rows;
      const LinesRead read =
          kernels.csv_integers({line, lines.end, lines.n_values, lines.label, rest},
                               rows_from(rows, lines.n_values, progress.rows));
      line = read.end;
      progress.rows += read.rows;
      wait = pause = read.rows > 0 ? 1 : 2 * pause;
      continue;
    }
    --wait;
    const char* const next = parse_row(parser, line, lines, rows, progress.rows);
    if (next == nullptr) {
      const void* newline =
          std::memchr(parser.stop, '\n', static_cast<std::size_t>(lines.end - parser.stop));
      progress.fault = parser.fault;
      progress.column = parser.column;
      progress.field = parser.field - lines.begin;
      progress.field_end = parser.stop - lines.begin;
      progress.next_line = static_cast<const char*>(newline) + 1 - lines.begin;
      break;
    }
    line = next;
    ++progress.rows;
  }
  progress.end = line - lines.begin;
  return progress;
}

}  // namespace rbmx::text
