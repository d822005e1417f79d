// train_minibatches for batches of one row on a tiny model (is_online): for each row v0 of `order`,
//   h ~ p(h | v0) or the persistent chain; k times v ~ p(v | h), h ~ p(h | v);
//   weight += rate (p(h | v0) v0 - p(h | v) v)
// data: (rows, n_visible) bits   weight: (n_hidden, n_visible)
//
// A sample compares its pre-activation with thresholds of the draw that were ready before the row
// began (online_draws.h), so the path from state to state has no sigmoid.
#include <type_traits>

#include "cpu/online.h"
#include "cpu/online_thresholds.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

constexpr std::int64_t kRowsBetweenQuestions = 64;

// Where the unlikely sample between its thresholds is looked up.
struct Lookup {
  std::int64_t n_units;
  std::uint32_t step;
  std::uint32_t stream;
  Key key;
};

template <int N>
RBMX_INLINE void sample(const Floats (&x)[N], const Thresholds* bounds, const Lookup& lookup,
                        Mask<N>& on) {
  Ints unsure{};
  for (int i = 0; i < N; ++i) {
    const Ints above = x[i] > bounds[i].high;
    store(on.on + i * kLanes, above);
    unsure |= (x[i] > bounds[i].low) ^ above;
  }
  if (__builtin_expect(sign_mask(unsure) != 0, 0)) {
    alignas(64) float pre_activations[N * kLanes];
    for (int i = 0; i < N; ++i) store(pre_activations + i * kLanes, x[i]);
    decide_exactly(pre_activations, lookup.n_units, lookup.step, lookup.stream, lookup.key, on.on);
  }
}

template <int V, int H>
TrainingReport train(Parameters parameters, const Bits& data, const TrainingPlan& plan,
                     TrainingState& state) {
  const std::int64_t n_visible = parameters.n_visible, n_hidden = parameters.n_hidden;
  const bool persistent = state.chains.words != nullptr;
  const std::int64_t first_draw = persistent ? 1 : 0;  // of the hidden units
  const auto visible_rate = static_cast<float>(plan.update.learning_rate);
  const auto rate = static_cast<float>(plan.update.learning_rate / static_cast<double>(kMeanOne));

  Arena arena;
  auto& up = *arena.take<OnlineProjection<V, H>>(1);
  auto& down = *arena.take<OnlineProjection<H, V>>(1);
  up.n_in = down.n_out = n_visible;
  up.n_out = down.n_in = n_hidden;
  fill(up, parameters.weight, 1, n_visible, parameters.hidden_bias);
  fill(down, parameters.weight, n_visible, 1, parameters.visible_bias);
  const DrawnSide visible = {n_visible, plan.gibbs_steps, visible_stream(0)};
  const DrawnSide hiddens = {n_hidden, plan.gibbs_steps, hidden_stream(first_draw)};
  const RowDraws draws = make_row_draws(arena, plan.key, visible, hiddens);
  auto* visible_bounds = arena.take<Thresholds>(plan.gibbs_steps * V);
  auto* hidden_bounds = arena.take<Thresholds>(plan.gibbs_steps * H);

  Mask<V> sampled;
  Mask<H> hidden;
  if (persistent) hidden = mask_of<H>(static_cast<std::uint32_t>(state.chains.words[0]));
  Changes<H> changes;
  std::int64_t until_check =
      smaller(safe_updates(up, visible_rate), safe_updates(down, visible_rate));
  draw(draws, begin_row(draws, plan.first_step), 0, draws.count);
  const std::int64_t per_step =
      round_up((draws.count + plan.gibbs_steps - 1) / plan.gibbs_steps, kTogether);
  Outcome outcome = Outcome::done;
  std::int64_t row = 0;
  while (row < plan.n_rows && outcome == Outcome::done) {
    const std::uint32_t step = plan.first_step + static_cast<std::uint32_t>(row);
    decide<V>(draws.draws, visible, visible_bounds);
    decide<H>(draws.draws + visible.slots * visible.halves(), hiddens, hidden_bounds);
    const Mask<V> shown =
        mask_of<V>(static_cast<std::uint32_t>(data.words[plan.order[row] * data.stride]));
    Floats x[H], y[V];
    Ints positive[H], negative[H];
    pre_activations(up, shown, x);
    mean_counts(x, positive);
    const StepWords words = begin_row(draws, step + 1);
    std::int64_t drawn = 0;
    for (std::int64_t gibbs = 0;; ++gibbs) {
      if (persistent ? gibbs > 0 : gibbs < plan.gibbs_steps)
        sample(x, hidden_bounds + (gibbs - first_draw) * H,
               {n_hidden, step, hidden_stream(gibbs), plan.key}, hidden);
      if (gibbs == plan.gibbs_steps) break;
      pre_activations(down, hidden, y);
      sample(y, visible_bounds + gibbs * V, {n_visible, step, visible_stream(gibbs), plan.key},
             sampled);
      pre_activations(up, sampled, x);
      const std::int64_t until = smaller(drawn + per_step, draws.count);
      draw(draws, words, drawn, until);  // for the next row, while this one waits for its sums
      drawn = until;
    }
    mean_counts(x, negative);
    fill(changes, positive, negative, rate);
    update(up, down, changes, shown, sampled, visible_rate);
    ++row;
    if (--until_check <= 0) {
      until_check = smaller(safe_updates(up, visible_rate), safe_updates(down, visible_rate));
      if (until_check == 0) outcome = Outcome::diverged;
    }
    if (outcome == Outcome::done && (row % kRowsBetweenQuestions == 0 || row == plan.n_rows) &&
        !plan.monitor.keep_going(plan.monitor.context, row))
      outcome = Outcome::interrupted;
  }

  if (persistent) state.chains.words[0] = bits_of(hidden);
  for (std::int64_t j = 0; j < n_hidden; ++j) {
    for (std::int64_t i = 0; i < n_visible; ++i)
      parameters.weight[j * n_visible + i] = up.weight[i][j];
    parameters.hidden_bias[j] = up.bias[j];
  }
  for (std::int64_t i = 0; i < n_visible; ++i) parameters.visible_bias[i] = down.bias[i];
  return {outcome, row};
}

// work(constant): the number of vectors for n units; the baseline, slow anyway, has even ones only.
#if defined(__AVX2__)
constexpr int kVectorStep = 1;
#else
constexpr int kVectorStep = 2;
#endif
template <int N = kVectorStep, class Work>
void with_vectors(std::int64_t n, const Work& work) {
  if constexpr (N * kLanes < kMaxOnlineUnits) {
    if (n > N * kLanes) return with_vectors<N + kVectorStep>(n, work);
  }
  work(std::integral_constant<int, N>());
}

}  // namespace

TrainingReport train_online(Team& team, Parameters parameters, const Bits& data,
                            const TrainingPlan& plan, TrainingState& state) {
  if (plan.n_rows == 0) return {Outcome::done, 0};
  TrainingReport report;
  team.run([&](const Member& member) {
    if (member.index != 0) return;
    with_vectors(parameters.n_visible, [&](auto visible) {
      with_vectors(parameters.n_hidden, [&](auto hidden) {
        report =
            train<decltype(visible)::value, decltype(hidden)::value>(parameters, data, plan, state);
      });
    });
  });
  return report;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
