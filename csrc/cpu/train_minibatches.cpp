// For each minibatch of `order`: v0 = data rows; h ~ p(h | v0) or the persistent chains; k times v
// ~ p(v | h), h ~ p(h | v); then every parameter takes a step (step_rule.h) along the difference of
// the phases (gradient.h), plain or centred (centering.h).
// data: (rows, n_visible) bits   weight: (n_hidden, n_visible)
#include "cpu/batches.h"
#include "cpu/table.h"
#include "cpu/update.h"

namespace rbmx {
namespace RBMX_ISA {

TrainingReport train_minibatches(Team& team, Parameters parameters, const Bits& data,
                                 const TrainingPlan& plan, TrainingState& state) {
  if (plan.n_rows == 0) return {Outcome::done, 0};
  const bool persistent = state.chains.words != nullptr;

  Arena arena;
  Training t = make_training(arena, parameters, state, rows_of_batch(plan, 0), plan.gibbs_steps,
                             plan.update.offset_rate, team.size());
  const MutableBits chain = persistent ? state.chains : t.m.hidden;
  Run run;

  team.run([&](const Member& member) {
    const auto gather_batch = [&](std::int64_t batch) {
      gather(t.m, data, order_of_batch(plan, batch), rows_of_batch(plan, batch), member);
    };
    const auto learn = [&](std::int64_t batch) {
      const std::int64_t rows = rows_of_batch(plan, batch);
      const std::int64_t n_chains = persistent ? state.chains.rows : rows;
      if (member.index == 0) cut_batch(t.m.chunks, rows, n_chains);
      run_chain(t.m, rows, chain, n_chains, persistent, plan.gibbs_steps,
                {plan.key, 0, step_of_batch(plan, batch)}, member);
      update_panels(t, rows, n_chains,
                    rates_for(plan.update, t.m.chunks.divisor, update_number(plan, batch)), member);
      if (batch + 1 < count_batches(plan)) gather_batch(batch + 1);
    };
    load(t, parameters, state, member);
    gather_batch(0);
    member.wait();
    run_batches(plan, run, member, learn,
                [&] { return diverged(t.m.up, t.m.down, t.watch, member); });
    store(t, parameters, state, member);
  });
  return run.report;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
