// For each minibatch of `order`: v0 = data rows; h ~ p(h | v0) or the persistent chains; k times v
// ~ p(v | h), h ~ p(h | v); then every parameter takes a step (step_rule.h) along the difference of
// the phases (gradient.h), plain or centred (centering.h).
// data: (rows, n_visible) bits   weight: (n_hidden, n_visible)
#include "cpu/table.h"
#include "cpu/update.h"

namespace rbmx {
namespace RBMX_ISA {

TrainingReport train_minibatches(Team& team, Parameters parameters, const Bits& data,
                                 const TrainingPlan& plan, TrainingState& state) {
  const std::int64_t n_visible = parameters.n_visible, n_hidden = parameters.n_hidden;
  const std::int64_t n_batches = (plan.n_rows + plan.batch_size - 1) / plan.batch_size;
  if (n_batches == 0) return {Outcome::done, 0};
  const bool persistent = state.chains.words != nullptr;
  const std::int64_t batch_rows = smaller(plan.batch_size, plan.n_rows);

  Arena arena;
  Training t;
  t.m = make_minibatch(arena, parameters, batch_rows, persistent ? state.chains.rows : 0,
                       plan.gibbs_steps, team.size());
  const Projection& up = t.m.up;
  const Projection& down = t.m.down;
  t.weight = arena.take<float>(up.size());
  t.moments = make_moments(arena, state, up, down);
  t.centring = make_centring(arena, t.m, state, plan.update.offset_rate);
  t.scratch = arena.take<GradientScratch>(team.size());
  for (int i = 0; i < team.size(); ++i)
    t.scratch[i] = make_gradient_scratch(arena, n_visible, up.width, t.m.max_chunks);
  t.watch = arena.take<Watch>(team.size());
  t.stop = false;

  const MutableBits chain = persistent ? state.chains : t.m.hidden;
  std::int64_t batches_done = 0;
  Outcome outcome = Outcome::done;

  team.run([&](const Member& member) {
    fill_from_rows(up, parameters.weight, parameters.hidden_bias, member);
    fill_from_columns(down, parameters.weight, parameters.visible_bias, member);
    load_panels(up, parameters.weight, t.weight, member);
    watch_loaded(t, member);
    load_moments(up, state, t.moments, member);
    const auto rows_of_batch = [&](std::int64_t batch) {
      return smaller(plan.batch_size, plan.n_rows - batch * plan.batch_size);
    };
    gather(t.m, data, plan.order, rows_of_batch(0), member);
    member.wait();
    for (std::int64_t batch = 0; batch < n_batches; ++batch) {
      const std::int64_t rows = rows_of_batch(batch);
      const std::int64_t n_chains = persistent ? state.chains.rows : rows;
      if (member.index == 0) cut_batch(t.m.chunks, rows, n_chains);
      run_chain(t.m, rows, chain, n_chains, persistent, plan.gibbs_steps,
                {plan.key, 0, plan.first_step + static_cast<std::uint32_t>(batch)}, member);
      update_panels(t, rows, n_chains,
                    rates_for(plan.update, t.m.chunks.divisor, update_number(plan, batch)), member);
      if (batch + 1 < n_batches) {
        gather(t.m, data, plan.order + (batch + 1) * plan.batch_size, rows_of_batch(batch + 1),
               member);
      }
      if (member.index == 0) t.stop = !plan.monitor.keep_going(plan.monitor.context, batch + 1);
      member.wait();
      const bool lost = diverged(up, down, t.watch, member);
      if (member.index == 0) {
        batches_done = batch + 1;
        outcome = lost ? Outcome::diverged : t.stop ? Outcome::interrupted : Outcome::done;
      }
      if (lost || t.stop) break;
    }
    member.wait();
    if (outcome == Outcome::diverged) return;  // the caller's parameters stay as they came
    panels_to_rows(up, t.weight, parameters.weight, member);
    store_moments(up, t.moments, state, member);
    if (member.index != 0) return;
    copy(up.bias, n_hidden, parameters.hidden_bias);
    copy(down.bias, n_visible, parameters.visible_bias);
  });
  return {outcome, batches_done};
}

}  // namespace RBMX_ISA
}  // namespace rbmx
