// x = number(p): the value of a plain number, without a look back or an unpredictable branch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rbmx::text {

inline constexpr int kExactDigits = 15;  // 10^15 < 2^53: mantissa and divisor are exact doubles
inline constexpr double kPowerOfTen[kExactDigits + 1] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

inline unsigned digit_at(const char* p) { return static_cast<unsigned char>(*p) - unsigned{'0'}; }

inline std::uint32_t byte_at(const char* p, int i) {
  return std::uint32_t{static_cast<unsigned char>(p[i])} << (8 * i);
}

// Reads 1 to 3 digits, all four bytes at once: how many they are is the least predictable thing in
// a file of grey levels. Returns the end of the digits, or nullptr for none, more, or an end too
// near.
inline const char* small_integer(const char* p, const char* end, std::uint32_t* value) {
  if (end - p < 4) return nullptr;
  const std::uint32_t bytes = byte_at(p, 0) | byte_at(p, 1) | byte_at(p, 2) | byte_at(p, 3);
  const std::uint32_t digits = bytes ^ 0x30303030u;
  const std::uint32_t others = (((digits & 0x7f7f7f7fu) + 0x76767676u) | digits) & 0x80808080u;
  if (others == 0 || (others & 0x80u) != 0) return nullptr;
  const int length = __builtin_ctz(others) / 8;
  const std::uint32_t aligned = digits << (32 - 8 * length);  // the last digit on top, zeros below
  *value = (aligned >> 24) + 10 * (aligned >> 16 & 0xffu) + 100 * (aligned >> 8 & 0xffu);
  return p + length;
}

// The fast paths read a plain number and stop at the first other byte, which a text that ends in
// '\n' always has. They return nullptr for what parse_number must look at.
inline const char* fast_number(const char* p, const char* end, std::uint8_t* value) {
  std::uint32_t small = 0;
  p = small_integer(p, end, &small);
  *value = static_cast<std::uint8_t>(small);
  return small <= 255 ? p : nullptr;
}

inline const char* fast_number(const char* p, const char* end, std::int64_t* label) {
  std::uint32_t small = 0;
  p = small_integer(p, end, &small);
  *label = small;
  return p;
}

// Clinger's exact case: mantissa / 10^k with both exact is rounded once, so correctly.
inline const char* fast_number(const char* p, const char* end, float* value) {
  const bool negative = *p == '-';
  if (negative) ++p;
  const char* const first = p;
  std::uint64_t mantissa = 0;
  std::uint32_t small = 0;
  unsigned digit;
  if (const char* const q = small_integer(p, end, &small); q != nullptr) {
    mantissa = small;
    p = q;
  } else {
    for (; (digit = digit_at(p)) <= 9; ++p) mantissa = mantissa * 10 + digit;
  }
  std::ptrdiff_t digits = p - first;
  std::ptrdiff_t decimals = 0;
  if (*p == '.') {
    const char* const point = p++;
    for (; (digit = digit_at(p)) <= 9; ++p) mantissa = mantissa * 10 + digit;
    decimals = p - point - 1;
    digits += decimals;
  }
  if (digits == 0 || digits > kExactDigits) return nullptr;
  double number = static_cast<double>(mantissa);
  if (decimals != 0) number /= kPowerOfTen[decimals];
  *value = static_cast<float>(negative ? -number : number);
  return p;
}

}  // namespace rbmx::text
