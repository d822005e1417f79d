// The half-line normal p(s) ~ exp(x s - s^2 / 2) on s >= 0 in binary64 (rectified units): mean and
// quantiles from the functions of math64.h, so that one double and a vector of them give the same
// bytes. F is double or Eight (cpu/eight.h). Relative error 2^-25, that of the floats made of them.
#pragma once

#include "rbmx/math64.h"

namespace rbmx {

// g(a) = E[s | x = -a], a >= 0; 1 / (a + g(a)) is Mills' ratio. (1 + a) g(a) is a polynomial in
// (a - 2) / (a + 2): that through the 15 Chebyshev nodes of python/rbmx/units/half_normal.py.
template <class F>
RBMX_ALWAYS_INLINE F tail_mean(F a) {
  const F y = (a - 2.0) / (a + 2.0);
  F p = y * 0.00022954412240020852 - 0.00034636790411847566;
  p = p * y - 0.001903607139138331;
  p = p * y + 0.0004836901559656325;
  p = p * y + 0.006309936155779581;
  p = p * y + 0.004445468706751398;
  p = p * y - 0.009117549367811478;
  p = p * y - 0.02091442986040258;
  p = p * y - 0.006357720932288359;
  p = p * y + 0.04434054032581958;
  p = p * y + 0.07254695307156009;
  p = p * y - 0.04846442378183381;
  p = p * y - 0.2824118775668345;
  p = p * y + 0.121513226391634;
  p = p * y + 1.1196465984685227;
  return p / (a + 1.0);
}

// 1 - Phi(a), a >= 0, where tail = tail_mean(a)
template <class F>
RBMX_ALWAYS_INLINE F upper_tail(F a, F tail) {
  return exp64(a * a * -0.5 - 0.91893853320467274) / (a + tail);
}

// x + phi(x) / Phi(x)
template <class F>
RBMX_ALWAYS_INLINE F half_normal_mean(F x) {
  const F a = x < F{} ? -x : x, tail = tail_mean(a), q = upper_tail(a, tail);
  return x < F{} ? tail : a + q * (a + tail) / (1.0 - q);
}

// The s >= 0 that is exceeded with the probability exp(-e) by a number of mean -a, a >= 0, that is
// positive: a s + s^2 / 2 + log(h(s) / h(0)) = e, h(s) = a + s + g(a + s) its slope. The left side
// is convex, so Newton's steps come down to s; after four the error is below 2^-40.
template <class F>
RBMX_ALWAYS_INLINE F half_normal_exceeded(F a, F e) {
  const F first = a + tail_mean(a);
  F s = e * 2.0 / (a + root64(a * a + e * 2.0) + 1e-300);
  for (int step = 0; step < 4; ++step) {
    const F slope = a + s + tail_mean(a + s);
    s = s + (e - ((a + s * 0.5) * s + log64(slope / first))) / slope;
    s = s < F{} ? F{} : s;
  }
  return s;
}

// The s below which a share 1 - rest lies, 0 < rest < 1.
template <class F>
RBMX_ALWAYS_INLINE F half_normal_quantile(F x, F rest) {
  const F zero = F{};
  const F a = x < zero ? -x : x, q = upper_tail(a, tail_mean(a));
  // x > 0: s = x - t where a normal number is below t with probability `below`; the rarer side
  const F below = rest * (1.0 - q), above = (1.0 - rest) + rest * q;
  const F rarer = below < above ? below : above;
  const F s = half_normal_exceeded(x < zero ? a : zero, -log64(x < zero ? rest : rarer * 2.0));
  const F from_x = below < above ? x + s : x - s;
  const F found = x < zero ? s : from_x;
  return found < zero ? zero : found;
}

}  // namespace rbmx
