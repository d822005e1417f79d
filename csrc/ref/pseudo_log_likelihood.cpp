// sum_i log p(v_i | v without i) = -sum_i softplus(s_i b_i + log prod_j (q_j + p_j exp(s_i W_ji))),
// p = sigmoid(x), q = sigmoid(-x), x = c + W v, s_i = 1 - 2 v_i
#include <algorithm>
#include <cmath>
#include <vector>

#include "rbmx/math64.h"
#include "rbmx/partial_sums.h"
#include "ref/half_step.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

void pseudo_log_likelihood(const Model& model, const Bits& visible, double* out) {
  double range = 1;
  for (std::int64_t i = 0; i < model.n_hidden * model.n_visible; ++i)
    range = std::max(range, static_cast<double>(std::fabs(model.weight[i])));
  const auto fold = static_cast<std::int64_t>(kProductRange / range);
  std::vector<double> x(static_cast<std::size_t>(model.n_hidden));
  for (std::int64_t row = 0; row < visible.rows; ++row) {
    const std::uint64_t* v = visible.words + row * visible.stride;
    for (std::int64_t j = 0; j < model.n_hidden; ++j)
      x[static_cast<std::size_t>(j)] =
          static_cast<double>(pre_activation(model, Side::hidden, v, j));
    double sums[kParts] = {};
    for (std::int64_t i = 0; i < model.n_visible; ++i) {
      const double sign = get_bit(v, i) ? -1 : 1;
      double product[kParts], logs[kParts] = {};
      std::fill_n(product, kParts, 1.0);
      for (std::int64_t j = 0; j < model.n_hidden; ++j) {
        const double input = x[static_cast<std::size_t>(j)];
        const auto weight = static_cast<double>(model.weight[j * model.n_visible + i]);
        product[j % kParts] *= sigmoid64(input) * exp64(sign * weight) + sigmoid64(-input);
        if (j / kParts % fold == fold - 1 || j + kParts >= model.n_hidden) {
          logs[j % kParts] += log64(product[j % kParts]);
          product[j % kParts] = 1;
        }
      }
      sums[i % kParts] -=
          softplus64(sign * static_cast<double>(model.visible_bias[i]) + total_of(logs));
    }
    out[row] = total_of(sums);
  }
}

}  // namespace ref
}  // namespace rbmx
