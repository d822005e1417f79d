// exp, sigmoid, softplus and integer powers from add, subtract, multiply and divide alone, so that
// one float and a vector of floats, on any instruction set, give the same bytes. F is float or a
// vector of floats (cpu/simd.h). Relative error of exp: at most 2^-22 on [-87, 87]; arguments
// outside are clamped to that range.
#pragma once

#include <cstdint>
#include <cstring>

// Kernel sources are compiled once per instruction set: a copy of an inline function that the
// linker shares between them could hold instructions that the processor lacks. So none may stay out
// of line.
#define RBMX_ALWAYS_INLINE inline __attribute__((always_inline))

namespace rbmx {

// What the formulas need beyond arithmetic: broadcast, limits, and the exponent field as an
// integer.
template <class F>
struct Lanes;

inline constexpr std::int32_t kRootOfHalf = 0x3F3504F3;  // the bits of sqrt(1/2)

template <>
struct Lanes<float> {
  static RBMX_ALWAYS_INLINE float splat(float x) { return x; }
  // not-a-number stays as it is
  static RBMX_ALWAYS_INLINE float at_least(float x, float low) { return low > x ? low : x; }
  static RBMX_ALWAYS_INLINE float at_most(float x, float high) { return high < x ? high : x; }
  // rounded: 1.5 * 2^23 + n, a float whose low bits are the integer n in [-126, 126]; gives 2^n
  static RBMX_ALWAYS_INLINE float power_of_two(float rounded) {
    std::int32_t bits;
    std::memcpy(&bits, &rounded, sizeof bits);
    bits = static_cast<std::int32_t>(static_cast<std::uint32_t>(bits + 127) << 23);
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  // x = 2^n times the fraction, which is in [sqrt(1/2), sqrt(2)); x > 0 normal
  static RBMX_ALWAYS_INLINE float fraction(float x, float& n) {
    std::int32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const std::int32_t exponent = (bits - kRootOfHalf) >> 23;
    bits -= exponent * (1 << 23);
    n = static_cast<float>(exponent);
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  static RBMX_ALWAYS_INLINE float root(float x) { return __builtin_sqrtf(x); }
};

inline constexpr float kRoundToInt =
    12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest integer
inline constexpr float kExpLimit = 87.0f;

// exp(x) = 2^n exp(r), r = x - n ln 2 in [-ln2/2, ln2/2], exp(r) = 1 + r + r^2 P(r)
template <class F>
RBMX_ALWAYS_INLINE F exp(F x) {
  x = Lanes<F>::at_most(Lanes<F>::at_least(x, -kExpLimit), kExpLimit);
  const F rounded = x * 1.44269504f + kRoundToInt;
  const F n = rounded - kRoundToInt;
  const F r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  F p = r * 0x1.6d4328p-10f + 0x1.120b74p-7f;
  p = p * r + 0x1.5554eap-5f;
  p = p * r + 0x1.5554dcp-3f;
  p = p * r + 0.5f;
  return ((p * (r * r) + r) + 1.0f) * Lanes<F>::power_of_two(rounded);
}

// 1 / (1 + exp(-x))
template <class F>
RBMX_ALWAYS_INLINE F sigmoid(F x) {
  return 1.0f / (1.0f + exp(-x));
}

// log(1 + exp(x)) = max(x, 0) + log1p(y), y = exp(-|x|); log1p(y) = 2 atanh(y / (2 + y))
template <class F>
RBMX_ALWAYS_INLINE F softplus(F x) {
  const F zero = Lanes<F>::splat(0.0f);
  const F y = exp(x < zero ? x : -x);
  const F s = y / (y + 2.0f);
  const F z = s * s;
  F p = z * (1.0f / 15) + 1.0f / 13;
  p = p * z + 1.0f / 11;
  p = p * z + 1.0f / 9;
  p = p * z + 1.0f / 7;
  p = p * z + 1.0f / 5;
  p = p * z + 1.0f / 3;
  return (x < zero ? zero : x) + (s + s * (z * p)) * 2.0f;
}

// base^n by squaring: the same double everywhere, which a library's pow is not
RBMX_ALWAYS_INLINE double power(double base, std::uint64_t n) {
  double result = 1;
  for (; n != 0; n >>= 1, base *= base) {
    if ((n & 1) != 0) result *= base;
  }
  return result;
}

}  // namespace rbmx
