// The largest sum of |rint(2^20 weight)| over a row or a column; -1 where a parameter is not a
// number of magnitude up to kMaxParameter or that sum does not fit 32 bits: then no sum of active
// weights is safe.
#include <cmath>
#include <vector>

#include "rbmx/kernels.h"

namespace rbmx {

namespace {

bool usable(const float* parameters, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (!(std::fabs(parameters[i]) <= kMaxParameter)) return false;
  }
  return true;
}

}  // namespace

std::int64_t weight_range(const Model& model) {
  if (!usable(model.weight, model.n_hidden * model.n_visible) ||
      !usable(model.visible_bias, model.n_visible) || !usable(model.hidden_bias, model.n_hidden)) {
    return -1;
  }
  std::vector<std::int64_t> columns(static_cast<std::size_t>(model.n_visible));
  std::int64_t largest = 0;
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
    largest = row > largest ? row : largest;
  }
  for (const std::int64_t column : columns) largest = column > largest ? column : largest;
  return largest <= INT32_MAX ? largest : -1;
}

}  // namespace rbmx
