// One row of CD-k: positive means, k Gibbs steps from `hidden`, the last visible sample and
// negative means.
#pragma once

#include <vector>

#include "ref/half_step.h"

namespace rbmx {
namespace ref {

// hidden: the chain's state, in and out. Streams: visible 2 + 2 step, hidden 3 + 2 step.
inline void run_chain(const Model& model, std::int64_t gibbs_steps, const Place& place,
                      std::int64_t row, std::uint64_t* hidden, std::uint64_t* visible,
                      std::int64_t* counts) {
  for (std::int64_t step = 0; step < gibbs_steps; ++step) {
    const auto stream = 2 * static_cast<std::uint32_t>(step);
    sample_row(model, Side::visible, hidden, place, row, 2 + stream, visible, nullptr);
    sample_row(model, Side::hidden, visible, place, row, 3 + stream, hidden, counts);
  }
}

// sums += sign * (v_i p_j, v_i, p_j)
inline void add_row(const Model& model, const std::uint64_t* visible, const std::int64_t* counts,
                    std::int64_t sign, const Statistics& sums) {
  for (std::int64_t j = 0; j < model.n_hidden; ++j) {
    for (std::int64_t i = 0; i < model.n_visible; ++i) {
      if (get_bit(visible, i)) sums.weight[j * model.n_visible + i] += sign * counts[j];
    }
    sums.hidden[j] += sign * counts[j];
  }
  for (std::int64_t i = 0; i < model.n_visible; ++i) sums.visible[i] += sign * get_bit(visible, i);
}

}  // namespace ref
}  // namespace rbmx
