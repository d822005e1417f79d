// train_minibatches for real-valued data and units of any kind, in float32 products:
//   pre = v W^T + c, pre = h W + b, gradient = p0^T v0 / n - p1^T v1 / n_chains
// Canonical products leave the same bytes for any threads, processor and choice of lists.
// data: (rows, n_visible)   weight: (n_hidden, n_visible)
#include "cpu/batches.h"
#include "cpu/dense_steps.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

// From gathered data to a phase each; h starts from the data, or goes on from the chains.
void run_chain(const DenseBatch& t, std::int64_t rows, std::int64_t n_chains, bool persistent,
               std::int64_t gibbs_steps, const Place& place, const Member& member) {
  const Samples none = {};
  list_units(t.data, rows, t.data_units, member);
  half_step(t, t.up, t.data, rows, place, kHiddenStream, t.positive_means,
            persistent ? none : t.chain, member);
  member.wait();
  for (std::int64_t step = 0; step < gibbs_steps; ++step) {
    const bool last = step + 1 == gibbs_steps;
    take_samples(t.chain, n_chains, t.hidden, member);
    member.wait();
    half_step(t, t.down, t.hidden, n_chains, place, visible_stream(step), nullptr, t.sampled,
              member);
    member.wait();
    draw_shared(t, n_chains, place, visible_stream(step), member);
    take_samples(t.sampled, n_chains, t.samples, member);
    member.wait();
    if (last) list_units(t.samples, n_chains, t.sample_units, member);
    half_step(t, t.up, t.samples, n_chains, place, hidden_stream(step + 1),
              last ? t.negative_means : nullptr, last && !persistent ? none : t.chain, member);
    member.wait();
  }
}

// Called by all members after a barrier; the same answer for all.
bool diverged(const DenseBatch& t, const Member& member) {
  float largest = 0;
  bool bad = false;
  for (int i = 0; i < member.size; ++i) {
    bad |= t.watch[i].bad;
    largest = t.watch[i].largest > largest ? t.watch[i].largest : largest;
  }
  if (bad) return true;
  // sums of weights are integers only where states are bits
  if (t.up.unit != Unit::bernoulli || t.down.unit != Unit::bernoulli) return false;
  // the exact sums of |weight| are asked only where the largest weight does not settle them
  const std::int64_t most = t.up.n_in > t.up.n_out ? t.up.n_in : t.up.n_out;
  if (largest * static_cast<float>(most) < kMaxParameter) return false;
  member.wait();  // every member has read the watches
  t.watch[member.index].bad = !sums_fit(t.up, member) || !sums_fit(t.down, member);
  member.wait();
  for (int i = 0; i < member.size; ++i) bad |= t.watch[i].bad;
  return bad;
}

void load_state(const DenseBatch& t, const Parameters& p, const TrainingState& state,
                const Member& member) {
  load_moments(t.up, state, t.moments, t.up.values, member);
  load_panels(t.up, p.weight, t.up.values, member);
  load_columns(t.down, p.weight, member);
  if (member.index != 0) return;
  for (std::int64_t row = 0; row < state.n_real_chains; ++row)
    copy(state.real_chains + row * p.n_hidden, p.n_hidden, t.chain.values + row * t.chain.pitch);
  copy(p.hidden_bias, p.n_hidden, t.up.bias);
  copy(p.visible_bias, p.n_visible, t.down.bias);
}

// chains: also those that real-valued units have
void store_state(const DenseBatch& t, const Parameters& p, const TrainingState& state, bool chains,
                 const Member& member) {
  panels_to_rows(t.up, t.up.values, p.weight, member);
  store_moments(t.up, t.moments, state, t.up.values, member);
  if (member.index != 0) return;
  for (std::int64_t row = 0; chains && row < state.n_real_chains; ++row)
    copy(t.chain.values + row * t.chain.pitch, p.n_hidden, state.real_chains + row * p.n_hidden);
  copy(t.up.bias, p.n_hidden, p.hidden_bias);
  copy(t.down.bias, p.n_visible, p.visible_bias);
}

}  // namespace

TrainingReport train_dense(Team& team, Parameters parameters, const Reals& data,
                           const TrainingPlan& plan, TrainingState& state, Product product) {
  if (plan.n_rows == 0) return {Outcome::done, 0};
  const bool persistent = n_chains(state) > 0;
  const bool listed = product == Product::canonical && mostly_zero(data, plan);
  Arena arena;
  const DenseBatch t = make_dense_batch(arena, parameters, state, rows_of_batch(plan, 0), listed,
                                        product, team.size());
  const SerialBlas serial;
  Run run;

  team.run([&](const Member& member) {
    const auto learn = [&](std::int64_t batch) {
      const std::int64_t rows = rows_of_batch(plan, batch);
      const std::int64_t chains = persistent ? n_chains(state) : rows;
      take_data(t, data, order_of_batch(plan, batch), rows, member);
      member.wait();
      run_chain(t, rows, chains, persistent, plan.gibbs_steps,
                {plan.key, 0, step_of_batch(plan, batch)}, member);
      update(t, {t.data_units, t.positive_means, rows}, {t.sample_units, t.negative_means, chains},
             rates_for(plan.update, rows, chains, update_number(plan, batch)), member);
    };
    load_state(t, parameters, state, member);
    run_batches(plan, run, member, learn, [&] { return diverged(t, member); });
    store_state(t, parameters, state, run.report.outcome != Outcome::diverged, member);
  });
  return run.report;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
