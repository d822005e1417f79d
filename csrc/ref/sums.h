// Sums over the rows of one phase, and the difference of two phases as the optimiser takes it.
#pragma once

#include <vector>

#include "rbmx/kernels.h"

namespace rbmx {
namespace ref {

struct Sums {
  std::vector<std::int64_t> weight, visible, hidden;
  explicit Sums(const Model& m)
      : weight(static_cast<std::size_t>(m.n_hidden * m.n_visible)),
        visible(static_cast<std::size_t>(m.n_visible)),
        hidden(static_cast<std::size_t>(m.n_hidden)) {}
  Statistics view() { return {weight.data(), visible.data(), hidden.data()}; }
};

// D = a positive - b negative, rounded once
inline std::vector<float> difference(const std::vector<std::int64_t>& positive,
                                     const std::vector<std::int64_t>& negative, std::int64_t a,
                                     std::int64_t b) {
  std::vector<float> d(positive.size());
  for (std::size_t i = 0; i < d.size(); ++i)
    d[i] = static_cast<float>(a * positive[i] - b * negative[i]);
  return d;
}

}  // namespace ref
}  // namespace rbmx
