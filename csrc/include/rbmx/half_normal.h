// The half-line normal p(s) ~ exp(x s - s^2 / 2) on s >= 0 in binary64 (rectified units): mean and
// quantiles from the functions of math64.h, so that one double and a vector of them give the same
// bytes. F is double or Eight (cpu/eight.h). Relative error 2^-25, that of the floats made of them.
#pragma once

#include "rbmx/math64.h"

namespace rbmx {

// g(a) = E[s | x = -a], a >= 0; 1 / (a + g(a)) is Mills' ratio. (1 + a) g(a) is a polynomial in
// y = (a - 2) / (a + 2): that through the 15 Chebyshev nodes of python/rbmx/units/half_normal.py,
// by pairs of terms (Estrin), since one chain of them would be waited for.
template <class F>
RBMX_ALWAYS_INLINE F tail_mean(F a) {
  const F share = 1.0 / ((a + 2.0) * (a + 1.0)), y = (a - 2.0) * (a + 1.0) * share;
  const F y2 = y * y, y4 = y2 * y2;
  const F p0 = (y * 0.121513226391634 + 1.1196465984685227) +
               (y * -0.04846442378183381 - 0.2824118775668345) * y2;
  const F p4 = (y * 0.04434054032581958 + 0.07254695307156009) +
               (y * -0.02091442986040258 - 0.006357720932288359) * y2;
  const F p8 = (y * 0.004445468706751398 - 0.009117549367811478) +
               (y * 0.0004836901559656325 + 0.006309936155779581) * y2;
  const F p12 = (y * -0.00034636790411847566 - 0.001903607139138331) + y2 * 0.00022954412240020852;
  return (p0 + p4 * y4 + (p8 + p12 * y4) * (y4 * y4)) * (a + 2.0) * share;
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
// positive: f(s) = a s + s^2 / 2 + log(h(s) / h(0)) - e = 0, h(s) = a + s + g(a + s). f' = h and
// f'' = h g, so that f to second order at 0 gives a start within a seventh of s, and Halley's steps
// cost no more than Newton's: after two nothing is left but the errors of g and of rounding.
template <class F>
RBMX_ALWAYS_INLINE F half_normal_exceeded(F a, F e) {
  const F g0 = tail_mean(a), h0 = a + g0, log_h0 = log64(h0);
  F s = e * 2.0 / (h0 + root64(h0 * h0 + h0 * g0 * e * 2.0));
  for (int step = 0; step < 2; ++step) {
    const F g = tail_mean(a + s), h = a + s + g;
    const F f = (a + s * 0.5) * s + (log64(h) - log_h0) - e;
    s = s - f / (h - f * g * 0.5);
  }
  return s < F{} ? F{} : s;
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
