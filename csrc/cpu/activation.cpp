// x = bias + 2^-20 sum,  mean = sigmoid(x),  sample = u < mean      (docs/determinism.md)
//
// Eight rows of a unit share a Philox call, so rows are taken in groups of eight, one or two
// vectors of units at a time.
#include "cpu/activation.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

// Eight rows that share Philox calls, and the units of them that are activated together.
struct Group {
  const std::int32_t* sums;  // of the group's row 0 and the first of the units
  std::int64_t width;        // from one row of sums to the next
  std::int64_t unit;         // the first of the units
  std::int64_t row;          // which row of the block is the group's row 0; may be negative
  std::uint32_t number;      // the second word of the Philox counter
};

// The bits of a vector of units whose first sixteen random bits may tie with the mean: sixteen more
// decide. u < mean * 2^32 with u = 65536 draw + second draw.
void settle_ties(const Projection& p, const Group& group, int begin, int end, const Place& place,
                 std::uint32_t stream, const MutableBits& bits) {
  const auto first_unit = static_cast<std::uint32_t>(group.unit);
  const std::int64_t live = p.n_out - group.unit;
  const std::uint32_t mask = live >= kLanes ? (1u << kLanes) - 1u : (1u << live) - 1u;
  const Floats bias = load<Floats>(p.bias + group.unit);
  Words call[4], tie_call[4];
  philox_lanes(first_unit, group.number, place.step, stream, place.key, call);
  philox_lanes(first_unit, group.number, place.step, stream | kTieBit, place.key, tie_call);
  for (int turn = begin; turn < end; ++turn) {
    const Floats scaled =
        sigmoid(pre_activation(p, group.sums + turn * group.width, bias)) * 65536.0f;
    const Ints threshold = truncate(scaled), draw = draw16(call, turn);
    const Floats fraction = (scaled - to_floats(threshold)) * 65536.0f;
    const std::uint32_t ones =
        mask & (sign_mask(draw < threshold) |
                (sign_mask(draw == threshold) &
                 sign_mask((Ints)(to_floats(draw16(tie_call, turn)) < fraction))));
    std::memcpy(
        reinterpret_cast<char*>(bits.words + (group.row + turn) * bits.stride) + group.unit / 8,
        &ones, kLanes / 8);
  }
}

// kWhole: all eight rows, begin = 0 and end = 8
template <int N, bool kWhole, bool kMeans, bool kCounts, bool kBits>
RBMX_INLINE void activate_rows(const Projection& p, const Group& group, int begin, int end,
                               const Place& place, std::uint32_t stream, const KeySchedule& keys,
                               const HalfStepOutput& out) {
  static_assert(!kCounts || N == 2, "counts are packed by pairs of vectors");
  Floats bias[N];
  Words call[N][4];
  Ints ties[N] = {};
  for (int n = 0; n < N; ++n) bias[n] = load<Floats>(p.bias + group.unit + n * kLanes);
  if (kBits) {
    philox_lanes<N>(static_cast<std::uint32_t>(group.unit), group.number, place.step, stream, keys,
                    call);
  }
  const auto one_row = [&](int turn) __attribute__((always_inline)) {
    Floats mean[N];
    std::uint32_t ones = 0;
    for (int n = 0; n < N; ++n) {
      mean[n] = sigmoid(pre_activation(p, group.sums + turn * group.width + n * kLanes, bias[n]));
      if (kMeans) {
        const std::int64_t live = smaller(kLanes, p.n_out - group.unit - n * kLanes);
        const Floats copy = mean[n];  // so that the mean itself needs no place in memory
        std::memcpy(out.means + (group.row + turn) * p.n_out + group.unit + n * kLanes, &copy,
                    sizeof(float) * static_cast<std::size_t>(live));
      }
      if (kBits) {
        // the first sixteen bits decide unless they tie
        const Ints threshold = truncate(mean[n] * 65536.0f), draw = draw16(call[n], turn);
        ones |= sign_mask(draw < threshold) << (n * kLanes);
        ties[n] |= draw == threshold;
      }
    }
    if constexpr (kCounts) {
      store(out.counts + (group.row + turn) * group.width + group.unit % group.width,
            pack(round_to_ints(mean[0] * kMeanOne), round_to_ints(mean[1] * kMeanOne)));
    }
    if (kBits) {
      std::memcpy(reinterpret_cast<char*>(out.bits.words + (group.row + turn) * out.bits.stride) +
                      group.unit / 8,
                  &ones, N * kLanes / 8);
    }
  };
  if (kWhole) {
#pragma GCC unroll 8
    for (int turn = 0; turn < kRowsPerCall; ++turn) one_row(turn);
  } else {
    for (int turn = begin; turn < end; ++turn) one_row(turn);
  }
  for (int n = 0; kBits && n < N; ++n) {
    if (__builtin_expect(sign_mask(ties[n]) == 0, 1)) continue;
    const Group tied = {group.sums + n * kLanes, group.width, group.unit + n * kLanes, group.row,
                        group.number};
    if (tied.unit < p.n_out) settle_ties(p, tied, begin, end, place, stream, out.bits);
  }
}

template <bool kMeans, bool kCounts, bool kBits>
void activate_panel(const Projection& p, std::int64_t panel, const std::int32_t* sums,
                    std::int64_t first, std::int64_t last, const Place& place, std::uint32_t stream,
                    const HalfStepOutput& out) {
  const std::int64_t unit0 = panel * p.width, end_unit = smaller(unit0 + p.width, p.n_out);
  const KeySchedule keys = schedule(place.key);
  for (std::int64_t row = first; row < last;) {
    const std::int64_t place_row = place.first_row + row;
    const int begin = static_cast<int>(place_row & (kRowsPerCall - 1));
    const int end = static_cast<int>(smaller(kRowsPerCall, begin + last - row));
    Group group = {nullptr, p.width, unit0, row - begin,
                   static_cast<std::uint32_t>(place_row / kRowsPerCall)};
    const std::int32_t* row_sums = sums + (group.row - first) * p.width;
    while (group.unit < end_unit) {
      group.sums = row_sums + (group.unit - unit0);
      if (kCounts || group.unit + kLanes < end_unit) {
        if (end - begin == kRowsPerCall) {
          activate_rows<2, true, kMeans, kCounts, kBits>(p, group, begin, end, place, stream, keys,
                                                         out);
        } else {
          activate_rows<2, false, kMeans, kCounts, kBits>(p, group, begin, end, place, stream, keys,
                                                          out);
        }
        group.unit += 2 * kLanes;
      } else if constexpr (!kCounts) {
        activate_rows<1, false, kMeans, false, kBits>(p, group, begin, end, place, stream, keys,
                                                      out);
        group.unit += kLanes;
      }
    }
    row += end - begin;
  }
}

void keep_inputs(const Projection& p, std::int64_t panel, const std::int32_t* sums,
                 std::int64_t first, std::int64_t last, float* inputs) {
  const std::int64_t unit0 = panel * p.width, pitch = p.grouped.pitch();
  const std::int64_t begin = unit0 > p.grouped.begin ? unit0 : p.grouped.begin;
  const std::int64_t end = smaller(unit0 + p.width, p.grouped.end);
  for (std::int64_t row = first; row < last; ++row, sums += p.width) {
    for (std::int64_t unit = begin; unit < end; unit += kLanes) {
      store(inputs + row * pitch + unit - p.grouped.begin,
            pre_activation(p, sums + unit - unit0, load<Floats>(p.bias + unit)));
    }
  }
}

}  // namespace

void activate(const Projection& p, std::int64_t panel, const std::int32_t* sums, std::int64_t first,
              std::int64_t last, const Place& place, std::uint32_t stream,
              const HalfStepOutput& out) {
  if (out.inputs != nullptr) {
    keep_inputs(p, panel, sums, first, last, out.inputs);
    const std::int64_t unit0 = panel * p.width;
    if (all_grouped(p.grouped.groups, unit0, smaller(unit0 + p.width, p.n_out))) return;
  }
  const bool counts = out.counts != nullptr, bits = out.bits.words != nullptr;
  if (out.means != nullptr) {
    activate_panel<true, false, false>(p, panel, sums, first, last, place, stream, out);
  } else if (counts && bits) {
    activate_panel<false, true, true>(p, panel, sums, first, last, place, stream, out);
  } else if (counts) {
    activate_panel<false, true, false>(p, panel, sums, first, last, place, stream, out);
  } else {
    activate_panel<false, false, true>(p, panel, sums, first, last, place, stream, out);
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
