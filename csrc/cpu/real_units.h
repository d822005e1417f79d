// Units whose states are real numbers: mean and sample of kLanes of them from their inputs x. A
// sample takes kNumbers uniform numbers u = 2^-16 high + 2^-32 low, each of a stream of its own.
#pragma once

#include "cpu/eight.h"
#include "cpu/simd.h"
#include "rbmx/half_normal.h"
#include "rbmx/normal.h"

namespace rbmx {
namespace RBMX_ISA {

// s = x + a standard normal number
struct GaussianUnits {
  static constexpr int kNumbers = 2;
  RBMX_INLINE Floats mean(Floats x) { return x; }
  RBMX_INLINE Floats sample(Floats x, const Floats (&high)[kNumbers],
                            const Floats (&low)[kNumbers]) {
    return x + standard_normal(high[0], low[0], high[1], low[1]);
  }
};

// that same normal cut off at s >= 0
struct RectifiedUnits {
  static constexpr int kNumbers = 1;
  RBMX_INLINE Floats mean(Floats x) {
    Floats means;
    for (std::int64_t i = 0; i < kLanes / kParts; ++i)
      put_eight(means, i, half_normal_mean(eight_of(x, i)));
    return means;
  }
  RBMX_INLINE Floats sample(Floats x, const Floats (&high)[kNumbers],
                            const Floats (&low)[kNumbers]) {
    Floats samples;
    for (std::int64_t i = 0; i < kLanes / kParts; ++i) {
      // 1 - u with the middle of the number's interval as u
      const Eight rest = (65536.0 - eight_of(high[0], i)) * 65536.0 - eight_of(low[0], i) - 0.5;
      put_eight(samples, i, half_normal_quantile(eight_of(x, i), rest * 0x1p-32));
    }
    return samples;
  }
};

}  // namespace RBMX_ISA
}  // namespace rbmx
