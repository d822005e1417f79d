// Half-steps over real-valued states: x = bias + one chain of fused multiply-adds over the given
// units, in their order; mean and sample of a unit from its x.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "rbmx/half_normal.h"
#include "rbmx/normal.h"
#include "ref/half_step.h"

namespace rbmx {
namespace ref {

inline float mean_of(Unit unit, float x) {
  switch (unit) {
    case Unit::bernoulli:
      return sigmoid(x);
    case Unit::gaussian:
      return x;
    default:
      return static_cast<float>(half_normal_mean(static_cast<double>(x)));
  }
}

inline float sample_of(Unit kind, float x, const Place& place, std::int64_t row, std::int64_t unit,
                       std::uint32_t stream) {
  const auto bits = [&](std::uint32_t of) {
    return static_cast<float>(draw16(place, row, unit, of));
  };
  switch (kind) {
    case Unit::bernoulli:
      return draw(sigmoid(x), place, row, unit, stream) ? 1.0f : 0.0f;
    case Unit::gaussian:
      return x + standard_normal(bits(stream), bits(stream | kTieBit), bits(stream | kAngleBit),
                                 bits(stream | kAngleBit | kTieBit));
    default: {
      const double rest =
          4294967296.0 - static_cast<double>(draw32(place, row, unit, stream)) - 0.5;
      return static_cast<float>(half_normal_quantile(static_cast<double>(x), rest * 0x1p-32));
    }
  }
}

// x of all units of a side; given: the states of one row of the other side
inline std::vector<float> inputs_of(const Model& m, Side side, const float* given) {
  const bool up = side == Side::hidden;
  std::vector<float> x;
  for (std::int64_t unit = 0; unit < units_of(m, side); ++unit) {
    float sum = 0;
    for (std::int64_t i = 0; i < (up ? m.n_visible : m.n_hidden); ++i) {
      sum = std::fma(given[i],
                     up ? m.weight[unit * m.n_visible + i] : m.weight[i * m.n_visible + unit], sum);
    }
    x.push_back(sum + (up ? m.hidden_bias : m.visible_bias)[unit]);
  }
  return x;
}

inline Unit unit_of(const Model& m, Side side) {
  return side == Side::hidden ? m.units.hidden : m.units.visible;
}

inline std::vector<float> means_of(const Model& m, Side side, const float* given) {
  const std::vector<float> x = inputs_of(m, side, given);
  std::vector<float> means;
  for (const float input : x) means.push_back(mean_of(unit_of(m, side), input));
  for (const Group& group : groups_of(m, side)) {
    const auto own = x.begin() + group.first;
    const auto found = group_means({own, own + group.size});
    std::copy(found.begin(), found.end(), means.begin() + group.first);
  }
  return means;
}

inline std::vector<float> samples_of(const Model& m, Side side, const float* given,
                                     const Place& place, std::int64_t row, std::uint32_t stream) {
  const std::vector<float> x = inputs_of(m, side, given);
  std::vector<float> samples;
  for (std::size_t i = 0; i < x.size(); ++i) {
    samples.push_back(
        sample_of(unit_of(m, side), x[i], place, row, static_cast<std::int64_t>(i), stream));
  }
  for (const Group& group : groups_of(m, side)) {
    const auto own = x.begin() + group.first;
    const std::int64_t chosen =
        draw_group({own, own + group.size}, place, row, group.first, stream);
    for (std::int64_t i = 0; i < group.size; ++i)
      samples[static_cast<std::size_t>(group.first + i)] = i == chosen ? 1.0f : 0.0f;
  }
  return samples;
}

}  // namespace ref
}  // namespace rbmx
