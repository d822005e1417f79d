// One group of softmax units: weight_i = exp(x_i - max x), mean_i = weight_i / total, and the
// sample is the first i with u total < weight_0 + ... + weight_i, u the number of the group's first
// unit.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "rbmx/math.h"
#include "ref/draw.h"

namespace rbmx {
namespace ref {

// x: the inputs of the group's units
inline std::vector<double> group_weights(const std::vector<float>& x) {
  const float most = *std::max_element(x.begin(), x.end());
  std::vector<double> weights;
  for (const float input : x) weights.push_back(static_cast<double>(exp(input - most)));
  return weights;
}

inline std::vector<float> group_means(const std::vector<float>& x) {
  const std::vector<double> weights = group_weights(x);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<float> means;
  for (const double weight : weights) means.push_back(static_cast<float>(weight / total));
  return means;
}

inline std::int64_t draw_group(const std::vector<float>& x, const Place& place, std::int64_t row,
                               std::int64_t first_unit, std::uint32_t stream) {
  const std::vector<double> weights = group_weights(x);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const double reach =
      static_cast<double>(draw32(place, row, first_unit, stream)) * 0x1p-32 * total;
  std::size_t i = 0;
  double sum = weights[0];
  while (i + 1 < weights.size() && reach >= sum) sum += weights[++i];
  return static_cast<std::int64_t>(i);
}

}  // namespace ref
}  // namespace rbmx
