// For each minibatch: sums over the rows of both phases, each one chain in the order of the rows,
// and a step of the optimiser along positive / rows - negative / chains.
#include "rbmx/usable.h"
#include "ref/dense.h"
#include "ref/ref.h"
#include "ref/step.h"

namespace rbmx {
namespace ref {

namespace {

using Floats = std::vector<float>;

struct Sums {
  Floats weight, visible, hidden;
  explicit Sums(const Model& m)
      : weight(static_cast<std::size_t>(m.n_hidden * m.n_visible)),
        visible(static_cast<std::size_t>(m.n_visible)),
        hidden(static_cast<std::size_t>(m.n_hidden)) {}

  void add(const float* v, const Floats& means) {
    for (std::size_t j = 0; j < means.size(); ++j) {
      for (std::size_t i = 0; i < visible.size(); ++i) {
        float& sum = weight[j * visible.size() + i];
        sum = std::fma(v[i], means[j], sum);
      }
      hidden[j] += means[j];
    }
    for (std::size_t i = 0; i < visible.size(); ++i) visible[i] += v[i];
  }
};

Floats difference(const Floats& plus, const Floats& minus, float positive, float negative) {
  Floats d;
  for (std::size_t i = 0; i < plus.size(); ++i)
    d.push_back(plus[i] * positive - minus[i] * negative);
  return d;
}

bool finite(const float* parameters, std::int64_t n) {
  return std::all_of(parameters, parameters + n,
                     [](float w) { return std::fabs(w) <= kMaxParameter; });
}

bool in_range(const Model& m) {
  if (m.units.visible == Unit::bernoulli && m.units.hidden == Unit::bernoulli) return usable(m);
  return finite(m.weight, m.n_hidden * m.n_visible) && finite(m.visible_bias, m.n_visible) &&
         finite(m.hidden_bias, m.n_hidden);
}

// Hidden states of the chains as numbers, whatever they are kept as.
Floats chain_of(const TrainingState& state, std::int64_t row, std::int64_t n_hidden) {
  Floats h;
  for (std::int64_t j = 0; j < n_hidden; ++j) {
    h.push_back(
        state.real_chains != nullptr
            ? state.real_chains[row * n_hidden + j]
            : static_cast<float>(get_bit(state.chains.words + row * state.chains.stride, j)));
  }
  return h;
}

void keep_chain(const TrainingState& state, std::int64_t row, const Floats& h) {
  for (std::size_t j = 0; j < h.size(); ++j) {
    const auto unit = static_cast<std::int64_t>(j);
    if (state.real_chains != nullptr) {
      state.real_chains[row * static_cast<std::int64_t>(h.size()) + unit] = h[j];
    } else {
      set_bit(state.chains.words + row * state.chains.stride, unit, h[j] != 0);
    }
  }
}

}  // namespace

TrainingReport train_dense(Parameters parameters, const Reals& data, const TrainingPlan& plan,
                           TrainingState& state) {
  const Model m = parameters;
  const std::int64_t kept = state.real_chains != nullptr ? state.n_real_chains : state.chains.rows;
  std::int64_t batches = 0;
  for (std::int64_t first = 0; first < plan.n_rows; first += plan.batch_size, ++batches) {
    const std::int64_t rows = std::min(plan.batch_size, plan.n_rows - first);
    const std::int64_t chains = kept > 0 ? kept : rows;
    const Place place = {plan.key, 0, plan.first_step + static_cast<std::uint32_t>(batches)};
    Sums positive(m), negative(m);
    for (std::int64_t row = 0; row < std::max(rows, chains); ++row) {
      Floats h;
      if (row < rows) {
        const float* v0 = data.values + plan.order[first + row] * data.units;
        positive.add(v0, means_of(m, Side::hidden, v0));
        h = samples_of(m, Side::hidden, v0, place, row, 1);
      }
      if (row >= chains) continue;
      if (kept > 0) h = chain_of(state, row, m.n_hidden);
      Floats v;
      for (std::int64_t step = 0; step < plan.gibbs_steps; ++step) {
        const auto stream = 2 * static_cast<std::uint32_t>(step);
        v = samples_of(m, Side::visible, h.data(), place, row, 2 + stream);
        h = samples_of(m, Side::hidden, v.data(), place, row, 3 + stream);
      }
      negative.add(v.data(), means_of(m, Side::hidden, v.data()));
      if (kept > 0) keep_chain(state, row, h);
    }
    const Update& rule = plan.update;
    const bool adaptive = rule.rule == Rule::adam || rule.rule == Rule::rmsprop;
    const double rate = adaptive ? 1.0 : rule.learning_rate;
    const auto plus = static_cast<float>(rate / static_cast<double>(rows));
    const auto minus = static_cast<float>(rate / static_cast<double>(chains));
    const Rates weight = {1.0f, static_cast<float>(rate * rule.weight_decay),
                          static_cast<float>(rule.learning_rate * rule.l1)};
    const Rates bias = {1.0f, 0.0f, 0.0f};
    const auto updates = static_cast<std::uint64_t>(plan.first_step + batches + 1);
    const Parameters &velocity = state.velocity, &squares = state.squares;
    update(parameters.weight, velocity.weight, squares.weight,
           difference(positive.weight, negative.weight, plus, minus), rule, updates, weight);
    update(parameters.hidden_bias, velocity.hidden_bias, squares.hidden_bias,
           difference(positive.hidden, negative.hidden, plus, minus), rule, updates, bias);
    update(parameters.visible_bias, velocity.visible_bias, squares.visible_bias,
           difference(positive.visible, negative.visible, plus, minus), rule, updates, bias);
    if (!in_range(m)) return {Outcome::diverged, batches + 1};
  }
  return {Outcome::done, batches};
}

}  // namespace ref
}  // namespace rbmx
