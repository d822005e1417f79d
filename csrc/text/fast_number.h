// x = number(p): the value of a plain number, without a look back or an unpredictable branch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rbmx::text {

// Powers of ten that are exact doubles.
inline constexpr int kMaxPower = 22;
inline constexpr double kPowerOfTen[kMaxPower + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
inline constexpr int kMaxDigits = 19;  // 10^19 < 2^64

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

// Reads up to 8 digits at p, all at once, behind those of *number; returns how many.
inline int eight_digits(const char* p, std::uint64_t* number) {
  constexpr std::uint64_t kScale[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};
  std::uint64_t bytes = 0;
  for (int i = 0; i < 8; ++i) {
    bytes |= std::uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
  }
  const std::uint64_t digits = bytes ^ 0x3030303030303030u;
  const std::uint64_t others =
      (((digits & 0x7f7f7f7f7f7f7f7fu) + 0x7676767676767676u) | digits) & 0x8080808080808080u;
  if ((others & 0x80u) != 0) return 0;
  const int length = others == 0 ? 8 : __builtin_ctzll(others) / 8;
  std::uint64_t x = digits << (64 - 8 * length);  // the last digit on top, zeros below
  // neighbours are joined to numbers of two, four and eight digits
  x = (x * 10 + (x >> 8)) & 0x00ff00ff00ff00ffu;
  x = (x * 100 + (x >> 16)) & 0x0000ffff0000ffffu;
  x = (x * 10000 + (x >> 32)) & 0xffffffffu;
  *number = *number * kScale[length] + x;
  return length;
}

// Reads digits behind those of *number, which wraps round after kMaxDigits; returns their end.
inline const char* read_digits(const char* p, const char* end, std::uint64_t* number) {
  while (end - p >= 8) {
    const int length = eight_digits(p, number);
    p += length;
    if (length < 8) return p;
  }
  for (unsigned digit; (digit = digit_at(p)) <= 9; ++p) *number = *number * 10 + digit;
  return p;
}

// The exponent behind the 'e' before p, or nullptr where it is none that the fast path takes.
inline const char* read_exponent(const char* p, int* exponent) {
  const bool negative = *p == '-';
  if (negative || *p == '+') ++p;
  const char* const first = p;
  int value = 0;
  for (; p - first < 3 && digit_at(p) <= 9; ++p) value = value * 10 + static_cast<int>(digit_at(p));
  *exponent = negative ? -value : value;
  return p == first ? nullptr : p;
}

// float(double(number)) of up to 19 digits times a small power of ten. Up to 2^53 the number and
// the power are exact doubles, and their quotient or product is rounded once, so correctly (Clinger
// 1990). Above, it is off by at most 2^-52 of itself, and the correctly rounded double lies within
// 2^-50: where both ends of that interval round to the same float, so does all within.
inline const char* fast_number(const char* p, const char* end, float* value) {
  const bool negative = *p == '-';
  if (negative) ++p;
  const char* const first = p;
  std::uint64_t mantissa = 0;
  std::uint32_t small = 0;
  if (digit_at(p) <= 9 && p[1] == '.') {  // most decimals: a branch tells sooner than a length
    mantissa = digit_at(p++);
  } else if (const char* const q = small_integer(p, end, &small); q != nullptr) {
    mantissa = small;
    p = q;
  } else {
    p = read_digits(p, end, &mantissa);
  }
  std::ptrdiff_t digits = p - first;
  int power = 0;
  if (*p == '.') {
    const char* const decimals = p + 1;
    p = read_digits(decimals, end, &mantissa);
    digits += p - decimals;
    power = -static_cast<int>(p - decimals);
  }
  if (digits == 0 || digits > kMaxDigits) return nullptr;
  if ((*p | 0x20) == 'e') {
    int exponent = 0;
    p = read_exponent(p + 1, &exponent);
    power += exponent;
    if (p == nullptr) return nullptr;
  }
  if (power < -kMaxPower || power > kMaxPower) return nullptr;
  double number = static_cast<double>(mantissa);
  number = power < 0 ? number / kPowerOfTen[-power] : number * kPowerOfTen[power];
  constexpr std::uint64_t kExact = std::uint64_t{1} << 53;
  if (mantissa > kExact) {
    constexpr double kLargest = 3e38;  // far enough below the end of the floats
    const auto below = static_cast<float>(number * (1 - 0x1p-50));
    if (number > kLargest || below != static_cast<float>(number * (1 + 0x1p-50))) return nullptr;
    number = below;
  }
  *value = static_cast<float>(negative ? -number : number);
  return p;
}

}  // namespace rbmx::text
