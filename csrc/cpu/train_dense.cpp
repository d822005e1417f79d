// train_minibatches for real-valued visible units in [0, 1], in float32 products:
//   pre = v W^T + c, pre = h W + b, gradient = p0^T v0 / n - p1^T v1 / n_chains
// The samples of the negative phase are binary. Products are BLAS calls, or canonical-order ones
// (gemm.h) whose bytes do not depend on threads or processor. data: (rows, n_visible)   weight:
// (n_hidden, n_visible)
#include "cpu/dense.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

float updated(float parameter, float change, float* velocity, float momentum) {
  if (velocity != nullptr) {
    change = *velocity * momentum + change;
    *velocity = change;
  }
  return parameter + change;
}

// What one member saw of the weights it updated; a cache line each.
struct alignas(64) Watch {
  float largest;  // |weight|
  bool bad;       // some parameter is not a number or beyond kMaxParameter
};

bool usable(float parameter) { return __builtin_fabsf(parameter) <= kMaxParameter; }

}  // namespace

TrainingReport train_dense(Team& team, Parameters parameters, const Reals& data,
                           const TrainingPlan& plan, TrainingState& state, Product product) {
  const std::int64_t n_visible = parameters.n_visible, n_hidden = parameters.n_hidden;
  const std::int64_t n_batches = (plan.n_rows + plan.batch_size - 1) / plan.batch_size;
  if (n_batches == 0) return {Outcome::done, 0};
  const bool persistent = state.chains.words != nullptr,
             with_velocity = state.velocity.weight != nullptr;
  const std::int64_t batch_rows = smaller(plan.batch_size, plan.n_rows);
  const std::int64_t chain_rows = persistent ? state.chains.rows : batch_rows;
  const std::int64_t size = n_hidden * n_visible;

  Arena arena;
  float* v0 = arena.take<float>(batch_rows * n_visible);
  float* v_mean = arena.take<float>(chain_rows * n_visible);
  float* v1 = arena.take<float>(chain_rows * n_visible);
  float* p0 = arena.take<float>(batch_rows * n_hidden);
  float* p1 = arena.take<float>(chain_rows * n_hidden);
  float* h = arena.take<float>(chain_rows * n_hidden);
  float* positive = arena.take<float>(size);
  float* negative = arena.take<float>(size);
  // what an update starts from, kept so that a diverged call gives back the parameters it was given
  float* before = arena.take<float>(size + n_visible + n_hidden);
  Watch* watch = arena.take<Watch>(team.size());
  const Multiplier* multipliers = make_multipliers(arena, product, team.size());
  std::memcpy(before, parameters.weight, static_cast<std::size_t>(size) * sizeof(float));
  std::memcpy(before + size, parameters.visible_bias,
              static_cast<std::size_t>(n_visible) * sizeof(float));
  std::memcpy(before + size + n_visible, parameters.hidden_bias,
              static_cast<std::size_t>(n_hidden) * sizeof(float));

  const SerialBlas serial;
  std::int64_t batches_done = 0;
  bool stop = false;
  Outcome outcome = Outcome::done;

  team.run([&](const Member& member) {
    const Multiplier& multiply = multipliers[member.index];
    const auto up = [&](const float* v, float* means, std::int64_t rows, const Place& place,
                        std::uint32_t stream, float* samples) {
      const Range r = rows_of(member, rows);
      multiply(r.end - r.begin, n_hidden, n_visible, {v + r.begin * n_visible, n_visible, 1},
               {parameters.weight, 1, n_visible}, means + r.begin * n_hidden);
      activate_rows(means, parameters.hidden_bias, r.begin, r.end, n_hidden, place, stream,
                    samples);
    };
    for (std::int64_t batch = 0; batch < n_batches; ++batch) {
      const std::int64_t first = batch * plan.batch_size,
                         rows = smaller(plan.batch_size, plan.n_rows - first);
      const std::int64_t n_chains = persistent ? chain_rows : rows;
      const Place place = {plan.key, 0, plan.first_step + static_cast<std::uint32_t>(batch)};
      const Range own = rows_of(member, rows), own_chains = rows_of(member, n_chains);
      for (std::int64_t r = own.begin; r < own.end; ++r) {
        std::memcpy(v0 + r * n_visible, data.values + plan.order[first + r] * n_visible,
                    static_cast<std::size_t>(n_visible) * sizeof(float));
      }
      up(v0, p0, rows, place, kHiddenStream, persistent ? nullptr : h);
      if (persistent) {
        for (std::int64_t r = own_chains.begin; r < own_chains.end; ++r) {
          for (std::int64_t j = 0; j < n_hidden; ++j) {
            h[r * n_hidden + j] =
                get_bit(state.chains.words + r * state.chains.stride, j) ? 1.0f : 0.0f;
          }
        }
      }
      // every member carries its own chains through all steps: no other member reads them before
      // the gradient
      for (std::int64_t step = 0; step < plan.gibbs_steps; ++step) {
        const bool last = step + 1 == plan.gibbs_steps;
        multiply(own_chains.end - own_chains.begin, n_visible, n_hidden,
                 {h + own_chains.begin * n_hidden, n_hidden, 1}, {parameters.weight, n_visible, 1},
                 v_mean + own_chains.begin * n_visible);
        activate_rows(v_mean, parameters.visible_bias, own_chains.begin, own_chains.end, n_visible,
                      place, visible_stream(step), v1);
        up(v1, p1, n_chains, place, hidden_stream(step + 1), last && !persistent ? nullptr : h);
      }
      if (persistent) {
        for (std::int64_t r = own_chains.begin; r < own_chains.end; ++r) {
          for (std::int64_t j = 0; j < n_hidden; ++j) {
            set_bit(state.chains.words + r * state.chains.stride, j, h[r * n_hidden + j] != 0.0f);
          }
        }
      }
      member.wait();

      const float positive_rate =
          static_cast<float>(plan.learning_rate / static_cast<double>(rows));
      const float negative_rate =
          static_cast<float>(plan.learning_rate / static_cast<double>(n_chains));
      const auto momentum = static_cast<float>(plan.momentum);
      const auto decay = static_cast<float>(plan.learning_rate * plan.weight_decay);
      const Range hidden = member.split(n_hidden), visible = member.split(n_visible);
      const std::int64_t begin = hidden.begin * n_visible, end = hidden.end * n_visible;
      multiply(hidden.end - hidden.begin, n_visible, rows, {p0 + hidden.begin, 1, n_hidden},
               {v0, n_visible, 1}, positive + begin);
      multiply(hidden.end - hidden.begin, n_visible, n_chains, {p1 + hidden.begin, 1, n_hidden},
               {v1, n_visible, 1}, negative + begin);
      bool fine = true;
      float largest = 0;
      for (std::int64_t at = begin; at < end; ++at) {
        const float w = parameters.weight[at];
        const float change =
            (positive[at] * positive_rate - negative[at] * negative_rate) - w * decay;
        parameters.weight[at] =
            updated(w, change, with_velocity ? state.velocity.weight + at : nullptr, momentum);
        fine &= usable(parameters.weight[at]);
        largest = __builtin_fabsf(parameters.weight[at]) > largest
                      ? __builtin_fabsf(parameters.weight[at])
                      : largest;
      }
      for (std::int64_t j = hidden.begin; j < hidden.end; ++j) {
        float plus = 0, minus = 0;
        for (std::int64_t r = 0; r < rows; ++r) plus += p0[r * n_hidden + j];
        for (std::int64_t r = 0; r < n_chains; ++r) minus += p1[r * n_hidden + j];
        parameters.hidden_bias[j] =
            updated(parameters.hidden_bias[j], plus * positive_rate - minus * negative_rate,
                    with_velocity ? state.velocity.hidden_bias + j : nullptr, momentum);
        fine &= usable(parameters.hidden_bias[j]);
      }
      for (std::int64_t i = visible.begin; i < visible.end; ++i) {
        float plus = 0, minus = 0;
        for (std::int64_t r = 0; r < rows; ++r) plus += v0[r * n_visible + i];
        for (std::int64_t r = 0; r < n_chains; ++r) minus += v1[r * n_visible + i];
        parameters.visible_bias[i] =
            updated(parameters.visible_bias[i], plus * positive_rate - minus * negative_rate,
                    with_velocity ? state.velocity.visible_bias + i : nullptr, momentum);
        fine &= usable(parameters.visible_bias[i]);
      }
      watch[member.index] = {largest, !fine};
      if (member.index == 0) stop = !plan.monitor.keep_going(plan.monitor.context, batch + 1);
      member.wait();
      bool lost = false;
      largest = 0;
      for (int i = 0; i < member.size; ++i) {
        lost |= watch[i].bad;
        largest = watch[i].largest > largest ? watch[i].largest : largest;
      }
      const auto most = static_cast<float>(n_visible > n_hidden ? n_visible : n_hidden);
      // the exact sums of |weight| of all units are asked only when the largest weight does not
      // settle them
      if (!lost && largest * most >= kMaxParameter) lost = weight_range(parameters) < 0;
      if (member.index == 0) {
        batches_done = batch + 1;
        outcome = lost ? Outcome::diverged : stop ? Outcome::interrupted : Outcome::done;
      }
      if (lost || stop) break;
      member.wait();
    }
  });
  if (outcome == Outcome::diverged) {
    std::memcpy(parameters.weight, before, static_cast<std::size_t>(size) * sizeof(float));
    std::memcpy(parameters.visible_bias, before + size,
                static_cast<std::size_t>(n_visible) * sizeof(float));
    std::memcpy(parameters.hidden_bias, before + size + n_visible,
                static_cast<std::size_t>(n_hidden) * sizeof(float));
  }
  return {outcome, batches_done};
}

}  // namespace RBMX_ISA
}  // namespace rbmx
