// log_weight += sum_k F_k-1(v) - F_k(v), v <- a Gibbs step at beta_k; the scaled sums and biases of
// both sides are those of p_beta (rbmx/kernels.h)
#include <vector>

#include "rbmx/partial_sums.h"
#include "ref/half_step.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

namespace {

float tempered(double beta, float base, float bias) {
  return static_cast<float>((1 - beta) * static_cast<double>(base) +
                            beta * static_cast<double>(bias));
}

float at_temperature(double beta, float bias, std::int64_t sum) {
  return bias + static_cast<float>(sum) * (static_cast<float>(beta) * (1.0f / kWeightOne));
}

}  // namespace

void anneal(const Model& model, const AnnealingPath& path, MutableBits visible, const Place& place,
            double* log_weights) {
  std::vector<std::uint64_t> hidden(static_cast<std::size_t>(words_for(model.n_hidden)));
  for (std::int64_t row = 0; row < visible.rows; ++row) {
    std::uint64_t* v = visible.words + row * visible.stride;
    for (std::int64_t k = 1; k < path.n_betas; ++k) {
      const double last = path.betas[k - 1], beta = path.betas[k];
      const Place here = {place.key, place.first_row, place.step + static_cast<std::uint32_t>(k)};
      double base = 0, parts[kParts] = {};
      for (std::int64_t i = 0; i < model.n_visible; ++i) {
        if (get_bit(v, i))
          base +=
              static_cast<double>(model.visible_bias[i]) - static_cast<double>(path.base_bias[i]);
      }
      for (std::int64_t j = 0; j < model.n_hidden; ++j) {
        const std::int64_t sum = active_sum(model, Side::hidden, v, j);
        const float now = at_temperature(beta, tempered(beta, 0, model.hidden_bias[j]), sum);
        const float then = at_temperature(last, tempered(last, 0, model.hidden_bias[j]), sum);
        parts[j % kParts] += static_cast<double>(softplus(now) - softplus(then));
        set_bit(hidden.data(), j, draw(sigmoid(now), here, row, j, 1));
      }
      log_weights[row] += base * (beta - last);
      log_weights[row] += total_of(parts);
      if (k + 1 == path.n_betas) break;
      std::vector<float> x;
      for (std::int64_t i = 0; i < model.n_visible; ++i) {
        const float bias = tempered(beta, path.base_bias[i], model.visible_bias[i]);
        x.push_back(at_temperature(beta, bias, active_sum(model, Side::visible, hidden.data(), i)));
        set_bit(v, i, draw(sigmoid(x.back()), here, row, i, 2));
      }
      for (const Group& group : groups_of(model, Side::visible)) {
        const auto own = x.begin() + group.first;
        set_group(v, group, draw_group({own, own + group.size}, here, row, group.first, 2));
      }
    }
  }
}

}  // namespace ref
}  // namespace rbmx
