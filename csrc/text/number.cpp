// x = number(field): the value of one CSV field, exactly rounded, or the reason why it has none.
#include "text/number.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace rbmx::text {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] | 0x20) != lower[i]) return false;
  }
  return true;
}

bool names_a_non_finite_number(std::string_view unsigned_text) {
  return equals_ignoring_case(unsigned_text, "nan") || equals_ignoring_case(unsigned_text, "inf") ||
         equals_ignoring_case(unsigned_text, "infinity");
}

// digits[.digits] or .digits, then maybe e[+-]digits.
// magnitude: with the number written as 0.d1d2... x 10^m, d1 not 0, this is m (saturating).
bool scan_decimal(std::string_view text, std::int64_t* magnitude) {
  constexpr std::int64_t kHugeExponent = 1'000'000'000'000;
  std::size_t i = 0;
  std::int64_t digits = 0;
  std::int64_t integer_digits = 0;  // from the first nonzero digit on
  std::int64_t leading_zeros = 0;   // behind the point, before the first nonzero digit
  bool significant = false;
  for (; i < text.size() && is_digit(text[i]); ++i, ++digits) {
    significant = significant || text[i] != '0';
    if (significant) ++integer_digits;
  }
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && is_digit(text[i]); ++i, ++digits) {
      significant = significant || text[i] != '0';
      if (!significant) ++leading_zeros;
    }
  }
  if (digits == 0) return false;
  std::int64_t exponent = 0;
  if (i < text.size() && (text[i] | 0x20) == 'e') {
    ++i;
    const bool negative = i < text.size() && text[i] == '-';
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    const std::size_t first = i;
    for (; i < text.size() && is_digit(text[i]); ++i) {
      if (exponent < kHugeExponent) exponent = exponent * 10 + (text[i] - '0');
    }
    if (i == first) return false;
    if (negative) exponent = -exponent;
  }
  *magnitude = (integer_digits > 0 ? integer_digits : -leading_zeros) + exponent;
  return i == text.size();
}

}  // namespace

CsvFault parse_number(std::string_view field, double* value) {
  if (field.find('\0') != std::string_view::npos) return CsvFault::kNulByte;
  if (field.find('"') != std::string_view::npos) return CsvFault::kQuote;
  std::string_view text = trimmed(field);
  if (text.empty()) return CsvFault::kEmptyField;
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  std::int64_t magnitude = 0;
  if (!scan_decimal(text, &magnitude)) {
    return names_a_non_finite_number(text) ? CsvFault::kNotFinite : CsvFault::kNotANumber;
  }
  double number = 0.0;
  const std::errc error = std::from_chars(text.data(), text.data() + text.size(), number).ec;
  if (error == std::errc::result_out_of_range) {
    // from_chars reports both ends of the range alike and may leave the number as it was.
    if (magnitude > 0) return CsvFault::kNotFinite;
    number = 0.0;
  }
  *value = negative ? -number : number;
  return CsvFault::kNone;
}

}  // namespace rbmx::text
