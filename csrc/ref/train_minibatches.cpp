// For each minibatch: D = chains/g * positive sums - rows/g * negative sums, g = gcd(rows, chains),
// and with n = lcm(rows, chains)
//   velocity = momentum velocity + (rate / n * D - rate decay weight),   weight += velocity
#include <numeric>

#include "ref/chain.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

namespace {

struct Sums {
  std::vector<std::int64_t> weight, visible, hidden;
  explicit Sums(const Model& m)
      : weight(static_cast<std::size_t>(m.n_hidden * m.n_visible)),
        visible(static_cast<std::size_t>(m.n_visible)),
        hidden(static_cast<std::size_t>(m.n_hidden)) {}
  Statistics view() { return {weight.data(), visible.data(), hidden.data()}; }
};

void update(float* parameter, float* velocity, const std::vector<std::int64_t>& positive,
            const std::vector<std::int64_t>& negative, std::int64_t a, std::int64_t b, float rate,
            float momentum, float decay) {
  for (std::size_t i = 0; i < positive.size(); ++i) {
    float change =
        static_cast<float>(a * positive[i] - b * negative[i]) * rate - parameter[i] * decay;
    if (velocity != nullptr) velocity[i] = change = velocity[i] * momentum + change;
    parameter[i] = (parameter[i] + 0.0f) + change;
  }
}

}  // namespace

TrainingReport train_minibatches(Parameters parameters, const Bits& data, const TrainingPlan& plan,
                                 TrainingState& state) {
  const Model model = parameters;
  const bool persistent = state.chains.words != nullptr;
  std::vector<std::uint64_t> own(static_cast<std::size_t>(words_for(model.n_hidden)));
  std::vector<std::uint64_t> v(static_cast<std::size_t>(words_for(model.n_visible)));
  std::vector<std::int64_t> counts(static_cast<std::size_t>(model.n_hidden));
  std::int64_t batches = 0;
  for (std::int64_t first = 0; first < plan.n_rows; first += plan.batch_size, ++batches) {
    const std::int64_t rows =
        first + plan.batch_size < plan.n_rows ? plan.batch_size : plan.n_rows - first;
    const std::int64_t chains = persistent ? state.chains.rows : rows;
    const Place place = {plan.key, 0, plan.first_step + static_cast<std::uint32_t>(batches)};
    Sums positive(model), negative(model);
    for (std::int64_t row = 0; row < (rows > chains ? rows : chains); ++row) {
      if (row < rows) {
        const std::uint64_t* v0 = data.words + plan.order[first + row] * data.stride;
        sample_row(model, Side::hidden, v0, place, row, 1, persistent ? nullptr : own.data(),
                   counts.data());
        add_row(model, v0, counts.data(), 1, positive.view());
      }
      if (row < chains) {
        run_chain(model, plan.gibbs_steps, place, row,
                  persistent ? state.chains.words + row * state.chains.stride : own.data(),
                  v.data(), counts.data());
        add_row(model, v.data(), counts.data(), 1, negative.view());
      }
    }
    const std::int64_t g = std::gcd(rows, chains), a = chains / g, b = rows / g;
    const double per_row = plan.learning_rate / static_cast<double>(a * rows);
    const auto rate = static_cast<float>(per_row / static_cast<double>(kMeanOne));
    const auto momentum = static_cast<float>(plan.momentum);
    const auto decay = static_cast<float>(plan.learning_rate * plan.weight_decay);
    const Parameters& velocity = state.velocity;
    update(parameters.weight, velocity.weight, positive.weight, negative.weight, a, b, rate,
           momentum, decay);
    update(parameters.hidden_bias, velocity.hidden_bias, positive.hidden, negative.hidden, a, b,
           rate, momentum, 0.0f);
    update(parameters.visible_bias, velocity.visible_bias, positive.visible, negative.visible, a, b,
           static_cast<float>(per_row), momentum, 0.0f);
    if (weight_range(model) < 0) return {Outcome::diverged, batches + 1};
  }
  return {Outcome::done, batches};
}

}  // namespace ref
}  // namespace rbmx
