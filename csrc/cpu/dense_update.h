// Gradient and update of a tile of float weights: visible units first .. last of one panel of
// hidden units, by the rule of step_rule.h.
//   change = rate / n p0^T v0 - rate / n_chains p1^T v1 - rate * decay * weight
#pragma once

#include "cpu/dense.h"
#include "cpu/divergence.h"
#include "cpu/moments.h"

namespace rbmx {
namespace RBMX_ISA {

struct DenseRates {
  float positive;  // change_rate / n
  float negative;  // change_rate / n_chains
  float decay;     // change_rate * weight decay
  StepRule rule;
};

// updates: how many there are with this one, in the life of the model
RBMX_INLINE DenseRates rates_for(const Update& update, std::int64_t rows, std::int64_t n_chains,
                                 std::uint64_t updates) {
  const double rate = change_rate(update);
  return {static_cast<float>(rate / static_cast<double>(rows)),
          static_cast<float>(rate / static_cast<double>(n_chains)),
          static_cast<float>(rate * update.weight_decay), step_rule(update, updates)};
}

// One phase: `units` holds a row for each visible unit, means a row for each row of the batch.
struct DensePhase {
  Factor units;        // (n_visible, rows)
  const float* means;  // (panels, max_rows, width)
  std::int64_t rows;
};

RBMX_INLINE void note(Floats parameter, Floats& largest, Ints& bad) {
  const Floats size = (Floats)((Ints)parameter & 0x7FFFFFFF);
  bad |= ~(size <= Floats{} + kMaxParameter);
  largest = size > largest ? size : largest;
}

// plus, minus: (last - first, width) sums of the phases; moments: of the panel
static inline void update_weights(const Panels& up, std::int64_t panel, std::int64_t first,
                                  std::int64_t last, const float* plus, const float* minus,
                                  const Moments& moments, const DenseRates& rates,
                                  const Panels& down, Watch& watch) {
  Floats largest{};
  Ints bad{};
  for (std::int64_t unit = first; unit < last; ++unit) {
    float* row = up.panel(panel) + unit * up.width;
    const Moments kept = moments.at(unit * up.width);
    const std::int64_t from = (unit - first) * up.width;
    for (std::int64_t i = 0; i < up.width; i += kLanes) {
      const Floats w = load<Floats>(row + i);
      const Floats change = (load<Floats>(plus + from + i) * rates.positive -
                             load<Floats>(minus + from + i) * rates.negative) -
                            w * rates.decay;
      const Floats next = shrunk(rates.rule, step(rates.rule, w, change, kept.at(i)));
      store(row + i, next);
      note(next, largest, bad);
    }
    const bool row_of_tiles_done = unit % kLanes == kLanes - 1 || unit + 1 == last;
    if (row_of_tiles_done) mirror(up, panel, unit / kLanes * kLanes, down);
  }
  if (sign_mask(bad) != 0) watch.bad = true;
  for (int lane = 0; lane < kLanes; ++lane)
    watch.largest = largest[lane] > watch.largest ? largest[lane] : watch.largest;
}

// sums (last - first, zeros up to a whole vector): rows first .. last of a factor (units, n) summed
// over n, in its order
static inline void sum_units(const Factor& units, std::int64_t first, std::int64_t last,
                             std::int64_t n, float* sums) {
  const ListedRows& lists = units.listed;
  std::memset(sums, 0, static_cast<std::size_t>(round_up(last - first, kLanes)) * sizeof(float));
  if (lists.index == nullptr) {
    for (std::int64_t at = 0; at < n; ++at) {
      const float* row = units.dense.at(first, at).values;
      for (std::int64_t unit = first; unit < last; ++unit) sums[unit - first] += row[unit - first];
    }
    return;
  }
  for (std::int64_t block = 0; block * lists.columns_per_block < n; ++block) {
    for (std::int64_t unit = first; unit < last; ++unit) {
      const std::int64_t list = lists.list(block, unit);
      float& sum = sums[unit - first];
      if (lists.values == nullptr) {
        sum += static_cast<float>(lists.lengths[list]);  // exact: counts stay below 2^24
      } else {
        for (std::int64_t k = 0; k < lists.lengths[list]; ++k)
          sum += lists.values[list * lists.capacity + k];
      }
    }
  }
}

// sums (width): a panel of means (rows, width) summed over its rows, in order
static inline void sum_means(const float* means, std::int64_t rows, std::int64_t width,
                             float* sums) {
  for (std::int64_t i = 0; i < width; i += kTileColumns) {
    Floats total[kTileVectors] = {};
    for (std::int64_t row = 0; row < rows; ++row) {
      for (int v = 0; v < kTileVectors; ++v)
        total[v] += load<Floats>(means + row * width + i + v * kLanes);
    }
    for (int v = 0; v < kTileVectors; ++v) store(sums + i + v * kLanes, total[v]);
  }
}

// biases of n units from the sums of both phases, whole vectors
static inline void update_biases(float* bias, const Moments& moments, const float* plus,
                                 const float* minus, std::int64_t n, const DenseRates& rates,
                                 Watch& watch) {
  Floats largest{};
  Ints bad{};
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const Floats change =
        load<Floats>(plus + i) * rates.positive - load<Floats>(minus + i) * rates.negative;
    const Floats next = step(rates.rule, load<Floats>(bias + i), change, moments.at(i));
    store(bias + i, next);
    note(next, largest, bad);
  }
  if (sign_mask(bad) != 0) watch.bad = true;
}

// Whether, in units of 2^-20, the sums of |weight| over the inputs of each of the member's outputs
// fit 31 bits.
static inline bool sums_fit(const Panels& p, const Member& member) {
  const Range panels = member.split(p.n_panels);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    for (std::int64_t i = 0; i < p.width; i += kLanes) {
      Doubles sum{};
      for (std::int64_t in = 0; in < p.n_in; ++in) {
        const Floats w = load<Floats>(p.panel(panel) + in * p.width + i) * kWeightOne;
        sum += __builtin_convertvector(round_to_ints((Floats)((Ints)w & 0x7FFFFFFF)), Doubles);
      }
      for (int lane = 0; lane < kLanes; ++lane)
        if (sum[lane] > static_cast<double>(INT32_MAX)) return false;
    }
  }
  return true;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
