// One unit of one row: x = bias + 2^-20 sum over active inputs of rint(2^20 weight), mean =
// sigmoid(x), sample = 65536 draw + second draw < 2^32 mean; of a group of softmax units
// categorical.h.
#pragma once

#include <cmath>

#include "rbmx/bits.h"
#include "rbmx/kernels.h"
#include "rbmx/math.h"
#include "ref/categorical.h"
#include "ref/draw.h"

namespace rbmx {
namespace ref {

inline std::int64_t active_sum(const Model& model, Side side, const std::uint64_t* given,
                               std::int64_t unit) {
  std::int64_t sum = 0;
  if (side == Side::hidden) {
    for (std::int64_t i = 0; i < model.n_visible; ++i) {
      if (get_bit(given, i))
        sum += static_cast<std::int64_t>(
            std::rint(model.weight[unit * model.n_visible + i] * kWeightOne));
    }
    return sum;
  }
  for (std::int64_t j = 0; j < model.n_hidden; ++j) {
    if (get_bit(given, j))
      sum += static_cast<std::int64_t>(
          std::rint(model.weight[j * model.n_visible + unit] * kWeightOne));
  }
  return sum;
}

inline float pre_activation(const Model& model, Side side, const std::uint64_t* given,
                            std::int64_t unit) {
  const float bias = side == Side::hidden ? model.hidden_bias[unit] : model.visible_bias[unit];
  return bias + static_cast<float>(active_sum(model, side, given, unit)) * (1.0f / kWeightOne);
}

inline std::int64_t units_of(const Model& model, Side side) {
  return side == Side::hidden ? model.n_hidden : model.n_visible;
}

inline std::vector<float> group_inputs(const Model& model, const std::uint64_t* given,
                                       const Group& group) {
  std::vector<float> x;
  for (std::int32_t i = 0; i < group.size; ++i)
    x.push_back(pre_activation(model, Side::visible, given, group.first + i));
  return x;
}

// the groups of a side
inline std::vector<Group> groups_of(const Model& model, Side side) {
  const Groups& all = model.units.groups;
  if (side == Side::hidden) return {};
  return {all.group, all.group + all.n};
}

inline void set_group(std::uint64_t* bits, const Group& group, std::int64_t chosen) {
  for (std::int64_t i = 0; i < group.size; ++i) set_bit(bits, group.first + i, i == chosen);
}

// a row of samples, and its means in units of 2^-15 where `counts` is not null (hidden units)
inline void sample_row(const Model& model, Side side, const std::uint64_t* given,
                       const Place& place, std::int64_t row, std::uint32_t stream,
                       std::uint64_t* out, std::int64_t* counts) {
  for (std::int64_t unit = 0; unit < units_of(model, side); ++unit) {
    const float mean = sigmoid(pre_activation(model, side, given, unit));
    if (counts != nullptr) {
      const auto count = static_cast<std::int64_t>(std::rint(mean * kMeanOne));
      counts[unit] = count < kMeanMax ? count : kMeanMax;
    }
    if (out != nullptr) set_bit(out, unit, draw(mean, place, row, unit, stream));
  }
  for (const Group& group : groups_of(model, side)) {
    const std::vector<float> x = group_inputs(model, given, group);
    set_group(out, group, draw_group(x, place, row, group.first, stream));
  }
}

}  // namespace ref
}  // namespace rbmx
