// For each minibatch: D = chains/g * positive sums - rows/g * negative sums, g = gcd(rows, chains),
// centred where the state has offsets, and a step of the optimiser along D / lcm(rows, chains).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "rbmx/math.h"
#include "rbmx/usable.h"
#include "ref/chain.h"
#include "ref/ref.h"
#include "ref/step.h"
#include "ref/sums.h"

namespace rbmx {
namespace ref {

namespace {

// D of the weights and the marginals: weight and hidden in units of 2^-15.
struct Difference {
  std::vector<float> weight, visible, hidden;
};

// offset follows the mean of its unit; in units of 2^-15
std::vector<std::int64_t> slide(float* offset, const std::vector<std::int64_t>& sums, double one,
                                std::int64_t rows, double rate) {
  std::vector<std::int64_t> rounded(sums.size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double mean = static_cast<double>(sums[i]) / (static_cast<double>(rows) * one);
    offset[i] = offset[i] + (static_cast<float>(mean) - offset[i]) * static_cast<float>(rate);
    rounded[i] =
        std::min<std::int64_t>(std::llrint(static_cast<double>(offset[i]) * kMeanOne), kMeanMax);
  }
  return rounded;
}

// D with the offsets mu and lambda taken into account. The sums over weights are those of integers:
//   sum_j lambda_j (a P_ji - b N_ji), and the same over i
Difference centred(const Sums& positive, const Sums& negative, const Difference& d, std::int64_t a,
                   std::int64_t b, const std::vector<std::int64_t>& mu,
                   const std::vector<std::int64_t>& lambda) {
  const std::size_t n_visible = mu.size(), n_hidden = lambda.size();
  const double one = kMeanOne;
  const auto scaled = [&](std::int64_t p, std::int64_t n) {
    return static_cast<double>(p) * static_cast<double>(a) -
           static_cast<double>(n) * static_cast<double>(b);
  };
  std::int64_t visible_squared = 0, hidden_squared = 0;
  std::int64_t v_plus = 0, v_minus = 0, h_plus = 0, h_minus = 0;
  for (std::size_t i = 0; i < n_visible; ++i) {
    visible_squared += mu[i] * mu[i];
    v_plus += mu[i] * positive.visible[i];
    v_minus += mu[i] * negative.visible[i];
  }
  for (std::size_t j = 0; j < n_hidden; ++j) {
    hidden_squared += lambda[j] * lambda[j];
    h_plus += lambda[j] * positive.hidden[j];
    h_minus += lambda[j] * negative.hidden[j];
  }
  const double visible = scaled(v_plus, v_minus), hidden = scaled(h_plus, h_minus);
  Difference c = d;
  for (std::size_t j = 0; j < n_hidden; ++j) {
    for (std::size_t i = 0; i < n_visible; ++i) {
      const float first = d.hidden[j] * (static_cast<float>(mu[i]) * (1.0f / kMeanOne));
      c.weight[j * n_visible + i] =
          (d.weight[j * n_visible + i] - first) - static_cast<float>(lambda[j]) * d.visible[i];
    }
  }
  for (std::size_t i = 0; i < n_visible; ++i) {
    std::int64_t plus = 0, minus = 0;
    for (std::size_t j = 0; j < n_hidden; ++j) {
      plus += lambda[j] * positive.weight[j * n_visible + i];
      minus += lambda[j] * negative.weight[j * n_visible + i];
    }
    c.visible[i] = static_cast<float>(
        static_cast<double>(a * positive.visible[i] - b * negative.visible[i]) *
            (1 + static_cast<double>(hidden_squared) / (one * one)) -
        (scaled(plus, minus) - static_cast<double>(mu[i]) * hidden / one) / (one * one));
  }
  for (std::size_t j = 0; j < n_hidden; ++j) {
    std::int64_t plus = 0, minus = 0;
    for (std::size_t i = 0; i < n_visible; ++i) {
      plus += mu[i] * positive.weight[j * n_visible + i];
      minus += mu[i] * negative.weight[j * n_visible + i];
    }
    c.hidden[j] =
        static_cast<float>(static_cast<double>(d.hidden[j]) *
                               (1 + static_cast<double>(visible_squared) / (one * one)) -
                           (scaled(plus, minus) - static_cast<double>(lambda[j]) * visible) / one);
  }
  return c;
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
    Difference d = {difference(positive.weight, negative.weight, a, b),
                    difference(positive.visible, negative.visible, a, b),
                    difference(positive.hidden, negative.hidden, a, b)};
    const Update& rule = plan.update;
    if (state.visible_offset != nullptr) {
      const auto mu = slide(state.visible_offset, positive.visible, 1, rows, rule.offset_rate);
      const auto lambda =
          slide(state.hidden_offset, positive.hidden, kMeanOne, rows, rule.offset_rate);
      d = centred(positive, negative, d, a, b, mu, lambda);
    }
    const bool adaptive = rule.rule == Rule::adam || rule.rule == Rule::rmsprop;
    const double rate = adaptive ? 1.0 : rule.learning_rate;
    const double per_row = rate / static_cast<double>(a * rows);
    const auto mean_rate = static_cast<float>(per_row / static_cast<double>(kMeanOne));
    const Rates weight = {mean_rate, static_cast<float>(rate * rule.weight_decay),
                          static_cast<float>(rule.learning_rate * rule.l1)};
    const auto updates = static_cast<std::uint64_t>(plan.first_step + batches + 1);
    const Parameters &velocity = state.velocity, &squares = state.squares;
    update(parameters.weight, velocity.weight, squares.weight, d.weight, rule, updates, weight);
    update(parameters.hidden_bias, velocity.hidden_bias, squares.hidden_bias, d.hidden, rule,
           updates, {mean_rate, 0.0f, 0.0f});
    update(parameters.visible_bias, velocity.visible_bias, squares.visible_bias, d.visible, rule,
           updates, {static_cast<float>(per_row), 0.0f, 0.0f});
    if (!usable(model)) return {Outcome::diverged, batches + 1};
  }
  return {Outcome::done, batches};
}

}  // namespace ref
}  // namespace rbmx
