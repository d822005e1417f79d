// exp, log, sigmoid and softplus in binary64 from add, subtract, multiply and divide alone (and the
// square root), so that one double and a vector of doubles, on any instruction set, give the same
// bytes. F is double or Eight (cpu/eight.h). Relative error of exp and log: a few units in the last
// place.
#pragma once

#include <cstdint>
#include <cstring>

#include "rbmx/math.h"

namespace rbmx {

// The bits of F as unsigned integers of its width, and back.
template <class F>
struct Pattern;

template <>
struct Pattern<double> {
  using Bits = std::uint64_t;
  static RBMX_ALWAYS_INLINE Bits of(double x) {
    Bits bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  static RBMX_ALWAYS_INLINE double value(Bits bits) {
    double x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
};

RBMX_ALWAYS_INLINE double root64(double x) { return __builtin_sqrt(x); }

inline constexpr double kRoundToInt64 = 6755399441055744.0;  // 1.5 * 2^52
inline constexpr double kExp64Limit = 708.0;                 // beyond it exp gives exp of the limit

// exp(x) = 2^n exp(r), exp(r) = 1 + 2 r P(r^2) / (Q(r^2) - r P(r^2))      (Moshier, Cephes)
template <class F>
RBMX_ALWAYS_INLINE F exp64(F x) {
  const F limit = F{} + kExp64Limit;
  x = x > limit ? limit : x;
  x = x < -limit ? -limit : x;
  const F rounded = x * 1.4426950408889634 + kRoundToInt64;
  const F n = rounded - kRoundToInt64;
  const F r = (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
  const F z = r * r;
  const F p = r * ((z * 1.26177193074810590878e-4 + 3.02994407707441961300e-2) * z + 1.0);
  const F q = ((z * 3.00198505138664455042e-6 + 2.52448340349684104192e-3) * z +
               2.27265548208155028766e-1) *
                  z +
              2.0;
  const F power = Pattern<F>::value((Pattern<F>::of(rounded) + 1023u) << 52);
  return (p / (q - p) * 2.0 + 1.0) * power;
}

// log(x) of a normal x > 0: x = 2^n (1 + f), s = f / (2 + f), log(1 + f) = 2 s + s R(s^2) (fdlibm)
template <class F>
RBMX_ALWAYS_INLINE F log64(F x) {
  using P = Pattern<F>;
  const auto bits = P::of(x);
  // 2^52 + exponent, as a double whose low bits are that integer
  F n = P::value((bits >> 52) | 0x4330000000000000u) - (4503599627370496.0 + 1023.0);
  F m = P::value((bits & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u);
  const F root = F{} + 1.4142135623730951;
  n = m > root ? n + 1.0 : n;
  m = m > root ? m * 0.5 : m;
  const F f = m - 1.0, s = f / (f + 2.0), z = s * s;
  F r = z * 1.479819860511658591e-1 + 1.531383769920937332e-1;
  r = r * z + 1.818357216161805012e-1;
  r = r * z + 2.222219843214978396e-1;
  r = r * z + 2.857142874366239149e-1;
  r = r * z + 3.999999999940941908e-1;
  r = r * z + 6.666666666666735130e-1;
  return n * 6.93147180369123816490e-1 + ((s * 2.0 + s * (z * r)) + n * 1.90821492927058770002e-10);
}

// 1 / (1 + exp(-x))
template <class F>
RBMX_ALWAYS_INLINE F sigmoid64(F x) {
  return 1.0 / (exp64(-x) + 1.0);
}

// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))
template <class F>
RBMX_ALWAYS_INLINE F softplus64(F x) {
  const F zero = F{};
  const F y = exp64(x < zero ? x : -x);
  return (x < zero ? zero : x) + log64(y + 1.0);
}

}  // namespace rbmx
