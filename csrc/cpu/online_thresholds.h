// Draws as the pre-activations between which they need a second look, so that a sample is a
// comparison and no sigmoid: on above `high`, off up to `low`.
#pragma once

#include "cpu/online_draws.h"

namespace rbmx {
namespace RBMX_ISA {

// lane i < kHalf is the low word of lane i
RBMX_INLINE Words low_words(Longs v) {
  const Words words = (Words)v;
#if defined(__clang__)
  Words out;
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = words[2 * lane % kLanes];
  return out;
#else
  return __builtin_shuffle(words, lane_numbers() * 2u % static_cast<std::uint32_t>(kLanes));
#endif
}

// For pre-activation x: x > high: on; x <= low: off; between: sigmoid and all 32 bits decide.
struct Thresholds {
  Floats high;
  Floats low;
};

// How far the approximate logarithm (6.1e-5, and 2^-16 of rounding) and the pre-activation at which
// the float32 sigmoid passes a level (2^-22, and what the margin below covers) can be off together.
inline constexpr float kGuard = 0x1p-13f;
// Keeps draws 0 and 65535, which have no bound on one side, from dividing by zero: their bound is
// then farther out (16,000) than a pre-activation can go.
inline constexpr float kAlmostNothing = 0x1p-14f;

// A draw d decides unless 65536 mean lies in [d, d + 1), so for x between log(d / (65536 - d)) and
// log((d + 1) / (65535 - d)). Their distance is at most 1 / d + 1 / (65535 - d) = 65535 / (d (65535
// - d)); a 64th of it covers that near one a mean has 24 bits only, and that nothing is added.
RBMX_INLINE Thresholds thresholds(Words draw) {
  const Floats d = to_floats((Ints)draw);
  const Floats a = d + kAlmostNothing, b = (65535.0f - d) + kAlmostNothing;
  const Floats inverse = 1.0f / (a * b);
  const Floats odds = (d + 1.0f) * (a * inverse);
  // log(2^e m) = (e + m - 1) ln 2 + P(m), the first part from the bits of the float as an integer
  const Ints bits = (Ints)odds;
  const Floats m = (Floats)((bits & 0x7FFFFF) | 0x3F800000), zero{};
  Floats p = about(m, zero - 0.05657202750444412f, zero + 0.44718021154403687f);
  p = about(p, m, zero - 1.469943642616272f);
  p = about(p, m, zero + 2.128028392791748f);
  p = about(p, m, zero - (1.048632264137268f + 127 * 0.693147181f));
  const Floats log = about(to_floats(bits), zero + 0x1p-23f * 0.693147181f, p);
  const Floats margin = about(inverse, zero + 0x1p10f, zero + kGuard);
  return {log + margin, about(inverse, zero - 0x1p16f, log - margin)};
}

// The draws of one side, (slots, halves), as thresholds, (slots, N).
template <int N>
RBMX_INLINE void decide(const Longs* draws, const DrawnSide& side, Thresholds* out) {
  for (std::int64_t slot = 0; slot < side.slots; ++slot) {
    const Longs* of_slot = draws + slot * side.halves();
    for (std::int64_t half = 0; half < side.halves(); half += 2) {
      const Words draw = side.lone(half) ? low_words(of_slot[half])
                                         : (Words)(of_slot[half] | of_slot[half + 1] << 32);
      out[slot * N + half / 2] = thresholds(draw);
    }
  }
}

// The draw in full, for the rare pre-activation between its thresholds.
static __attribute__((noinline, cold)) void decide_exactly(const float* pre_activations,
                                                           std::int64_t n_units, std::uint32_t step,
                                                           std::uint32_t stream, Key key,
                                                           std::int32_t* on) {
  for (std::int64_t unit = 0; unit < n_units; unit += kLanes) {
    Words first[4], second[4];
    philox_lanes(static_cast<std::uint32_t>(unit), 0, step, stream, key, first);
    philox_lanes(static_cast<std::uint32_t>(unit), 0, step, stream | kTieBit, key, second);
    const Floats scaled = sigmoid(load<Floats>(pre_activations + unit)) * 65536.0f;
    const Ints level = truncate(scaled), draw = draw16(first, 0);
    const Ints broken = to_floats(draw16(second, 0)) < (scaled - to_floats(level)) * 65536.0f;
    const Ints live = (Ints)lane_numbers() < static_cast<std::int32_t>(n_units - unit);
    store(on + unit, ((draw < level) | ((draw == level) & broken)) & live);
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
