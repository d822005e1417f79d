// Softmax units: one of a group is on, p(i) = exp(x_i) / sum over the group of exp(x). A group may
// lie across panels, so the half-step only keeps the inputs x of its units; means and samples
// follow row by row, once all panels are done:
//   weight_i = exp(x_i - max x),  mean_i = weight_i / total,
//   sample = the first i with u total < weight_0 + ... + weight_i
#pragma once

#include "cpu/philox_lanes.h"
#include "rbmx/bits.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

// The groups among the outputs of a half-step, and the whole vectors of units they lie in.
struct GroupSpan {
  Groups groups;
  std::int64_t begin;
  std::int64_t end;

  RBMX_ALWAYS_INLINE bool any() const { return groups.n != 0; }
  // from the inputs of one row to those of the next
  RBMX_ALWAYS_INLINE std::int64_t pitch() const { return end - begin; }
};

RBMX_INLINE GroupSpan span_of(const Groups& groups) {
  if (groups.n == 0) return {};
  const Group &first = groups.group[0], &last = groups.group[groups.n - 1];
  return {groups, first.first / kLanes * kLanes, round_up(last.first + last.size, kLanes)};
}

// Whether each of the units first .. last - 1 is in a group.
RBMX_INLINE bool all_grouped(const Groups& groups, std::int64_t first, std::int64_t last) {
  for (std::int64_t g = 0; g < groups.n && first < last; ++g) {
    const std::int64_t begin = groups.group[g].first, end = begin + groups.group[g].size;
    if (begin <= first && first < end) first = end;
  }
  return first >= last;
}

// One row of inputs becomes weights.
static inline void weigh(const GroupSpan& span, float* inputs) {
  for (std::int64_t g = 0; g < span.groups.n; ++g) {
    const Group group = span.groups.group[g];
    float* x = inputs + group.first - span.begin;
    float most = x[0];
    for (std::int32_t i = 1; i < group.size; ++i) most = x[i] > most ? x[i] : most;
    for (std::int32_t i = 0; i < group.size; ++i) x[i] -= most;
  }
  for (std::int64_t i = 0; i < span.pitch(); i += kLanes)
    store(inputs + i, exp(load<Floats>(inputs + i)));
}

RBMX_INLINE double sum_of(const float* weights, std::int32_t n) {
  double total = 0;
  for (std::int32_t i = 0; i < n; ++i) total += static_cast<double>(weights[i]);
  return total;
}

// means (rows, n_out) of the grouped units, from inputs (rows, pitch), which become weights.
static inline void group_means(const GroupSpan& span, float* inputs, std::int64_t rows,
                               float* means, std::int64_t n_out) {
  for (std::int64_t row = 0; row < rows; ++row) {
    float* weights = inputs + row * span.pitch();
    weigh(span, weights);
    for (std::int64_t g = 0; g < span.groups.n; ++g) {
      const Group group = span.groups.group[g];
      const float* own = weights + group.first - span.begin;
      const double total = sum_of(own, group.size);
      for (std::int32_t i = 0; i < group.size; ++i) {
        means[row * n_out + group.first + i] =
            static_cast<float>(static_cast<double>(own[i]) / total);
      }
    }
  }
}

// The grouped units of rows first .. last - 1 of bits, from their inputs (rows, pitch), which
// become weights. u is the number of a group's first unit.
static inline void draw_groups(const GroupSpan& span, float* inputs, std::int64_t first,
                               std::int64_t last, const Place& place, std::uint32_t stream,
                               const MutableBits& bits) {
  for (std::int64_t row = first; row < last; ++row) weigh(span, inputs + row * span.pitch());
  for (std::int64_t g = 0; g < span.groups.n; ++g) {
    const Group group = span.groups.group[g];
    const auto unit = static_cast<std::uint32_t>(group.first);
    Words high[4], low[4];
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t at = place.first_row + row;
      const auto turn = static_cast<int>(at % kRowsPerCall);
      if (row == first || turn == 0) {
        const auto number = static_cast<std::uint32_t>(at / kRowsPerCall);
        philox_lanes(unit, number, place.step, stream, place.key, high);
        philox_lanes(unit, number, place.step, stream | kTieBit, place.key, low);
      }
      const auto u = static_cast<std::uint32_t>(draw16(high, turn)[0]) << 16 |
                     static_cast<std::uint32_t>(draw16(low, turn)[0]);
      const float* weights = inputs + row * span.pitch() + group.first - span.begin;
      const double reach = static_cast<double>(u) * 0x1p-32 * sum_of(weights, group.size);
      std::uint64_t* words = bits.words + row * bits.stride;
      std::int32_t chosen = 0;
      double sum = 0;
      for (std::int32_t i = 0; i < group.size; ++i) {
        set_bit(words, group.first + i, false);
        sum += static_cast<double>(weights[i]);
        chosen += i + 1 < group.size && reach >= sum;
      }
      set_bit(words, group.first + chosen, true);
    }
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
