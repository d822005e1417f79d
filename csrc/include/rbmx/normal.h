// Standard normal numbers (Box and Muller 1958) from add, subtract, multiply, divide and square
// root alone, so that one float and a vector of floats, on any instruction set, give the same
// bytes. F is float or a vector of floats (cpu/simd.h).
#pragma once

#include "rbmx/math.h"

namespace rbmx {

// Set in the stream word of a normal number's second uniform.
inline constexpr std::uint32_t kAngleBit = 0x40000000u;

// log(x) of a normal x > 0: x = 2^n (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = f - f^2 /
// 2
// + f^3 P(f) (Moshier, Cephes). Error at most 2^-24 beside 1, relative 2^-22.
template <class F>
RBMX_ALWAYS_INLINE F log(F x) {
  F n;
  const F f = Lanes<F>::fraction(x, n) - 1.0f;
  const F z = f * f;
  F p = f * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const F rest = (f * z) * p + n * -2.12194440e-4f - z * 0.5f;
  return (f + rest) + n * 0.693359375f;
}

// sin(2 pi t), t in [-1/4, 1/4], by Taylor's series
template <class F>
RBMX_ALWAYS_INLINE F sine_of_turn(F t) {
  const F y = t * 6.28318531f, z = y * y;
  F p = z * (-1.0f / 39916800) + 1.0f / 362880;
  p = p * z - 1.0f / 5040;
  p = p * z + 1.0f / 120;
  p = p * z - 1.0f / 6;
  return y + (y * z) * p;
}

// sqrt(-2 log(1 - u)) cos(2 pi t) of two uniform numbers u, t = 2^-16 high + 2^-32 low, high and
// low whole numbers below 65536
template <class F>
RBMX_ALWAYS_INLINE F standard_normal(F high, F low, F angle_high, F angle_low) {
  const F rest = (65536.0f - high) * 65536.0f - low;  // 2^32 (1 - u)
  const F turn = angle_high * 0x1p-16f + angle_low * 0x1p-32f - 0.5f;
  const F zero = Lanes<F>::splat(0.0f);
  return Lanes<F>::root(log(rest * 0x1p-32f) * -2.0f) *
         sine_of_turn((turn < zero ? -turn : turn) - 0.25f);
}

}  // namespace rbmx
