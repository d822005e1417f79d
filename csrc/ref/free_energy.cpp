// F(v) = -sum_i b_i v_i - sum_j softplus(c_j + sum_i W_ji v_i), in float64, in unit order
#include "ref/half_step.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

void free_energy(const Model& model, const Bits& visible, double* out) {
  for (std::int64_t row = 0; row < visible.rows; ++row) {
    const std::uint64_t* v = visible.words + row * visible.stride;
    double energy = 0;
    for (std::int64_t i = 0; i < model.n_visible; ++i) {
      if (get_bit(v, i)) energy -= static_cast<double>(model.visible_bias[i]);
    }
    for (std::int64_t j = 0; j < model.n_hidden; ++j) {
      energy -= static_cast<double>(softplus(pre_activation(model, Side::hidden, v, j)));
    }
    out[row] = energy;
  }
}

}  // namespace ref
}  // namespace rbmx
