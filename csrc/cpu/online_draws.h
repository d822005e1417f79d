// The draws of one row of online training. They depend on no state, so they are made while the row
// before waits for its sums.
//
// With one row to a batch a draw is the low half of the first word of Philox at (unit, 0, step,
// stream). Rounds 1 to 3 fall apart into parts that depend on (unit, stream), on the step, or on
// (unit, step) alone and are shared; of rounds 8 to 10 only what reaches the low half of the first
// word is computed. 64-bit lanes, so a register holds half a vector of units: its even or its odd
// lanes, or, where the last units of a side fit one half, those in order.
#pragma once

#include "cpu/row_block.h"

namespace rbmx {
namespace RBMX_ISA {

inline constexpr int kHalf = kLanes / 2;
inline constexpr int kTogether = 3;  // halves side by side: enough to hide the multiplier's latency

// upper and lower words of a product
struct Product64 {
  Longs high;
  Longs low;
};

// Which half-steps of a row draw: those of slot 0, 1, ... have the streams first, first + 2, ...
struct DrawnSide {
  std::int64_t n_units;
  std::int64_t slots;
  std::uint32_t first_stream;

  RBMX_ALWAYS_INLINE std::int64_t halves() const { return (n_units + kHalf - 1) / kHalf; }
  RBMX_ALWAYS_INLINE bool lone(std::int64_t half) const {
    return half % 2 == 0 && half + 1 == halves();
  }
};

struct RowDraws {
  KeySchedule keys;
  std::int64_t halves;   // of both sides
  Longs* units;          // (halves): low words of round 1
  Product64* of_step;    // (halves): round 3 of (unit, step)
  std::int64_t count;    // draws of a row, in halves: [side][slot][half], and padding
  Product64* of_stream;  // (count): round 2 of (unit, stream)
  std::int32_t* place;   // (count): where in of_step
  Longs* draws;          // (count): what is drawn, in the low 16 bits of each lane
};

RBMX_INLINE RowDraws make_row_draws(Arena& arena, Key key, const DrawnSide& visible,
                                    const DrawnSide& hidden) {
  RowDraws d;
  d.keys = schedule(key);
  d.halves = visible.halves() + hidden.halves();
  d.count = round_up(visible.slots * visible.halves() + hidden.slots * hidden.halves(), kTogether);
  d.units = arena.take<Longs>(d.halves);
  d.of_step = arena.take<Product64>(d.halves);
  d.of_stream = arena.take<Product64>(d.count);
  d.place = arena.take<std::int32_t>(d.count);
  d.draws = arena.take<Longs>(d.count);
  std::int64_t place = 0, first = 0;
  for (const DrawnSide* side : {&visible, &hidden}) {
    for (std::int64_t half = 0; half < side->halves(); ++half, ++place) {
      Longs unit;
      for (int lane = 0; lane < kHalf; ++lane)
        unit[lane] = static_cast<std::uint64_t>(half / 2 * kLanes +
                                                (side->lone(half) ? lane : 2 * lane + half % 2));
      d.units[place] = multiply_low(unit, kPhiloxM0);
      for (std::int64_t slot = 0; slot < side->slots; ++slot) {
        const std::uint32_t stream = side->first_stream + 2 * static_cast<std::uint32_t>(slot);
        const Longs b =
            multiply_low((d.units[place] >> 32) ^ d.keys.words[0][1] ^ splat(stream), kPhiloxM1);
        const std::int64_t at = first + slot * side->halves() + half;
        d.of_stream[at] = {b >> 32, b};
        d.place[at] = static_cast<std::int32_t>(place);
      }
    }
    first += side->slots * side->halves();
  }
  return d;
}

// Rounds 1 and 2 of what depends on the step alone: the words behind round 2, with keys.
struct StepWords {
  Longs word1;
  Longs word2;
  Longs word3;
};

// Begins the draws of the row that trains at this step.
RBMX_INLINE StepWords begin_row(const RowDraws& d, std::uint32_t step) {
  const Longs step1 = multiply_low(splat(step), kPhiloxM1);
  const Longs step3 = multiply_low((step1 >> 32) ^ d.keys.words[0][0], kPhiloxM0);
  const StepWords words = {step1 ^ d.keys.words[1][0], (step3 >> 32) ^ d.keys.words[1][1],
                           step3 ^ d.keys.words[2][1]};
  for (std::int64_t half = 0; half < d.halves; ++half) {
    const Longs b = multiply_low(d.units[half] ^ words.word2, kPhiloxM1);
    d.of_step[half] = {(b >> 32) ^ d.keys.words[2][0], b};
  }
  return words;
}

// Draws first .. last of the row.
RBMX_INLINE void draw(const RowDraws& d, const StepWords& words, std::int64_t first,
                      std::int64_t last) {
  for (; first < last; first += kTogether) {
    Longs x0[kTogether], x1[kTogether], x2[kTogether], x3[kTogether];
    for (int i = 0; i < kTogether; ++i) {
      const Product64& stream = d.of_stream[first + i];
      const Product64& unit = d.of_step[d.place[first + i]];
      x3[i] = multiply_low(stream.high ^ words.word1, kPhiloxM0);
      x2[i] = (x3[i] >> 32) ^ words.word3;
      x0[i] = unit.high ^ stream.low;
      x1[i] = unit.low;
    }
    for (int round = 3; round < 8; ++round) {
      for (int i = 0; i < kTogether; ++i) {
        const Longs b = multiply_low(x2[i], kPhiloxM1), a = multiply_low(x0[i], kPhiloxM0);
        x0[i] = (b >> 32) ^ (x1[i] ^ d.keys.words[round][0]);
        x2[i] = (a >> 32) ^ (x3[i] ^ d.keys.words[round][1]);
        x1[i] = b;
        x3[i] = a;
      }
    }
    for (int i = 0; i < kTogether; ++i) {
      x1[i] = multiply_low(x2[i], kPhiloxM1) ^ d.keys.words[9][0];
      x0[i] = multiply_low(x0[i], kPhiloxM0);
      x2[i] = (x0[i] >> 32) ^ (x3[i] ^ d.keys.words[8][1]);
      d.draws[first + i] = ((multiply_low(x2[i], kPhiloxM1) >> 32) ^ x1[i]) & 0xFFFFu;
    }
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
