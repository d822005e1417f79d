// One unit of one row: x = bias + 2^-20 sum over active inputs of rint(2^20 weight), mean =
// sigmoid(x), sample = 65536 draw + second draw < 2^32 mean.
#pragma once

#include <cmath>

#include "rbmx/bits.h"
#include "rbmx/kernels.h"
#include "rbmx/math.h"

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

// the sixteen bits that belong to (unit, row, step, stream)
inline std::uint32_t draw16(const Place& place, std::int64_t row, std::int64_t unit,
                            std::uint32_t stream) {
  const std::int64_t at = place.first_row + row;
  const auto call = philox({static_cast<std::uint32_t>(unit),
                            static_cast<std::uint32_t>(at / kRowsPerCall), place.step, stream},
                           place.key);
  const auto turn = static_cast<std::size_t>(at % kRowsPerCall);
  return turn % 2 == 0 ? call[turn / 2] & 0xFFFFu : call[turn / 2] >> 16;
}

inline bool draw(float mean, const Place& place, std::int64_t row, std::int64_t unit,
                 std::uint32_t stream) {
  const std::uint64_t u = std::uint64_t{draw16(place, row, unit, stream)} << 16 |
                          draw16(place, row, unit, stream | kTieBit);
  return static_cast<double>(u) < static_cast<double>(mean) * 4294967296.0;
}

inline std::int64_t units_of(const Model& model, Side side) {
  return side == Side::hidden ? model.n_hidden : model.n_visible;
}

// a row of samples, and its means in units of 2^-15 where `counts` is not null
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
}

}  // namespace ref
}  // namespace rbmx
