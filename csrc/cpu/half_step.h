// One half of a Gibbs step for one panel and a block of rows:
//   x = bias + 2^-20 * sum over active inputs of weight,  mean = sigmoid(x),  sample = u < mean.
#pragma once

#include "cpu/active_lists.h"

namespace rbmx {
namespace RBMX_ISA {

// sums[(row - first) * width + output] = integer sum of the listed rows of the panel
template <int V>
RBMX_INLINE void add_listed_rows(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                                 std::int64_t first, std::int64_t last, std::int32_t* sums) {
  constexpr std::int64_t width = V * kLanes;
  for (std::int64_t block = 0; block < p.n_blocks; ++block) {
    const char* rows =
        reinterpret_cast<const char*>(p.panel(panel) + block * p.rows_per_block * width);
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t list = block * lists.rows + row;
      const std::uint16_t* entry = lists.entries + list * lists.capacity;
      const std::uint16_t* end = entry + lists.lengths[list];
      std::int32_t* out = sums + (row - first) * width;
      Ints total[V];
      for (int i = 0; i < V; ++i) total[i] = block == 0 ? Ints{} : load<Ints>(out + i * kLanes);
      for (; entry != end; ++entry) {
        const auto* weights = reinterpret_cast<const std::int32_t*>(rows + *entry);
        for (int i = 0; i < V; ++i) total[i] += load<Ints>(weights + i * kLanes);
      }
      for (int i = 0; i < V; ++i) store(out + i * kLanes, total[i]);
    }
  }
}

template <int V>
static void add_listed(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                       std::int64_t first, std::int64_t last, std::int32_t* sums) {
  add_listed_rows<V>(p, panel, lists, first, last, sums);
}

static inline void add_listed_rows(const Projection& p, std::int64_t panel,
                                   const ActiveLists& lists, std::int64_t first, std::int64_t last,
                                   std::int32_t* sums) {
  switch (p.width / kLanes) {
    case 1:
      return add_listed<1>(p, panel, lists, first, last, sums);
    case 2:
      return add_listed<2>(p, panel, lists, first, last, sums);
    case 3:
      return add_listed<3>(p, panel, lists, first, last, sums);
    case 4:
      return add_listed<4>(p, panel, lists, first, last, sums);
    case 5:
      return add_listed<5>(p, panel, lists, first, last, sums);
    case 6:
      return add_listed<6>(p, panel, lists, first, last, sums);
    case 7:
      return add_listed<7>(p, panel, lists, first, last, sums);
    case 8:
      return add_listed<8>(p, panel, lists, first, last, sums);
    case 10:
      return add_listed<10>(p, panel, lists, first, last, sums);
    case 12:
      return add_listed<12>(p, panel, lists, first, last, sums);
    default:
      return add_listed<14>(p, panel, lists, first, last, sums);
  }
}

RBMX_INLINE Floats pre_activation(const std::int32_t* sums, Floats bias) {
  return bias + to_floats(load<Ints>(sums)) * (1.0f / kWeightOne);
}

// Ten rounds of Philox for the units first_unit .. first_unit + kLanes - 1.
RBMX_INLINE void philox_lanes(std::uint32_t first_unit, std::uint32_t row_group, std::uint32_t step,
                              std::uint32_t stream, Key key, Words (&out)[4]) {
  Words x0 = lane_numbers() + first_unit, x1 = Words{} + row_group, x2 = Words{} + step,
        x3 = Words{} + stream;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    Words a_high, a_low, b_high, b_low;
    multiply(x0, kPhiloxM0, a_high, a_low);
    multiply(x2, kPhiloxM1, b_high, b_low);
    x0 = b_high ^ x1 ^ key.k0;
    x1 = b_low;
    x2 = a_high ^ x3 ^ key.k1;
    x3 = a_low;
    key.k0 += kPhiloxW0;
    key.k1 += kPhiloxW1;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

// The sixteen bits of a call that belong to row `row` (mod 8) of its group.
RBMX_INLINE Ints draw16(const Words (&call)[4], int row) {
  return (Ints)((call[row >> 1] >> (16 * (row & 1))) & 0xFFFFu);
}

// What a half-step leaves behind; null pointers for what is not wanted. Row r of the block is row
// `first + r` of means, counts and bits; a panel's counts stand together, `width` to a row.
struct HalfStepOutput {
  float* means;          // (rows, n_out)
  std::int16_t* counts;  // mean in units of 2^-15, (rows, width) of this panel
  MutableBits bits;      // words null: no sample
};

// Samples and means of rows first .. last of a panel. stream: which half-step of the step
// (determinism.md).
static inline void activate(const Projection& p, std::int64_t panel, const std::int32_t* sums,
                            std::int64_t first, std::int64_t last, const Place& place,
                            std::uint32_t stream, const HalfStepOutput& out) {
  const int vectors = static_cast<int>(p.width / kLanes);
  const std::int64_t unit0 = panel * p.width;
  const bool sampling = out.bits.words != nullptr;
  for (std::int64_t row = first; row < last;) {
    const std::int64_t place_row = place.first_row + row;
    const int in_group = static_cast<int>(place_row & (kRowsPerCall - 1));
    const std::int64_t group_end = smaller(last, row + kRowsPerCall - in_group);
    const auto group = static_cast<std::uint32_t>(place_row / kRowsPerCall);
    for (int i = 0; i < vectors; ++i) {
      const std::int64_t unit = unit0 + i * kLanes;
      const std::int64_t live = p.n_out - unit;
      if (live <= 0) break;
      const std::uint32_t mask = live >= kLanes ? (1u << kLanes) - 1u : (1u << live) - 1u;
      const Floats bias = load<Floats>(p.bias + unit);
      Words call[4], tie_call[4];
      bool tied_before = false;
      if (sampling)
        philox_lanes(static_cast<std::uint32_t>(unit), group, place.step, stream, place.key, call);
      for (std::int64_t r = row; r < group_end; ++r) {
        const Floats mean =
            sigmoid(pre_activation(sums + (r - first) * p.width + i * kLanes, bias));
        if (out.means != nullptr) {
          const Floats copy = mean;  // so that mean itself needs no place in memory
          std::memcpy(out.means + r * p.n_out + unit, &copy,
                      sizeof(float) * static_cast<std::size_t>(smaller(live, kLanes)));
        }
        if (out.counts != nullptr) {
          const Ints count = (Ints)(mean * kMeanOne + kRoundToInt) - (Ints)(Floats{} + kRoundToInt);
          const Ints limit = Ints{} + kMeanMax;
          store(out.counts + r * p.width + i * kLanes, to_shorts(count < limit ? count : limit));
        }
        if (!sampling) continue;
        // u < mean * 2^32 with u = 65536 draw + second draw: the first sixteen bits decide unless
        // they tie
        const int turn = static_cast<int>(r - row) + in_group;
        const Floats scaled = mean * 65536.0f;
        const Ints threshold = truncate(scaled);
        const Ints draw = draw16(call, turn);
        std::uint32_t ones = sign_mask(draw < threshold);
        const std::uint32_t ties = sign_mask(draw == threshold);
        if (__builtin_expect(ties != 0, 0)) {
          if (!tied_before) {
            philox_lanes(static_cast<std::uint32_t>(unit), group, place.step, stream | kTieBit,
                         place.key, tie_call);
            tied_before = true;
          }
          const Floats fraction = (scaled - to_floats(threshold)) * 65536.0f;
          ones |= ties & sign_mask(to_floats(draw16(tie_call, turn)) < fraction);
        }
        ones &= mask;
        std::memcpy(reinterpret_cast<char*>(out.bits.words + r * out.bits.stride) + unit / 8, &ones,
                    kLanes / 8);
      }
    }
    row = group_end;
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
