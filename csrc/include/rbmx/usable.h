// Whether every sum of active weights is safe: parameters are numbers of magnitude up to
// kMaxParameter, and the sum of |rint(2^20 weight)| over each row and each column fits 32 bits.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "rbmx/kernels.h"

namespace rbmx {

// The largest magnitude by its bits, which for numbers are in its order; those of what is not a
// number are beyond all others.
inline std::int32_t largest_bits(const float* parameters, std::int64_t n) {
  std::int32_t largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    std::int32_t bits;
    std::memcpy(&bits, parameters + i, sizeof bits);
    bits &= INT32_MAX;
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

inline float largest_magnitude(const float* parameters, std::int64_t n) {
  const std::int32_t bits = largest_bits(parameters, n);
  float magnitude;
  std::memcpy(&magnitude, &bits, sizeof magnitude);
  return magnitude;
}

inline bool sums_fit(const Model& model) {
  std::vector<std::int64_t> columns(static_cast<std::size_t>(model.n_visible));
  for (std::int64_t j = 0; j < model.n_hidden; ++j) {
    std::int64_t row = 0;
    for (std::int64_t i = 0; i < model.n_visible; ++i) {
      // magnitudes up to 2047 * 2^20 fit an int32; + 0.5 and truncation would tie differently, so
      // rint
      const auto q = static_cast<std::int64_t>(
          std::rint(std::fabs(model.weight[j * model.n_visible + i]) * kWeightOne));
      row += q;
      columns[static_cast<std::size_t>(i)] += q;
    }
    if (row > INT32_MAX) return false;
  }
  for (const std::int64_t column : columns) {
    if (column > INT32_MAX) return false;
  }
  return true;
}

// The largest weight settles nearly every model; the sums are looked at only where it does not.
inline bool usable(const Model& model) {
  const float largest = largest_magnitude(model.weight, model.n_hidden * model.n_visible);
  if (!(largest <= kMaxParameter) ||
      !(largest_magnitude(model.visible_bias, model.n_visible) <= kMaxParameter) ||
      !(largest_magnitude(model.hidden_bias, model.n_hidden) <= kMaxParameter)) {
    return false;
  }
  const auto most =
      static_cast<double>(model.n_visible > model.n_hidden ? model.n_visible : model.n_hidden);
  return most * (static_cast<double>(largest) * kWeightOne + 1) < INT32_MAX || sums_fit(model);
}

}  // namespace rbmx
