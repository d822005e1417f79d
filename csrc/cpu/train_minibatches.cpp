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
  const std::int64_t n_batches = (plan.n_rows + plan.batch_size - 1) / plan.batch_size;
  if (n_batches == 0) return {Outcome::done, 0};
  const bool persistent = state.chains.words != nullptr;
  const std::int64_t batch_rows = smaller(plan.batch_size, plan.n_rows);

  Arena arena;
  Training t = make_training(arena, parameters, state, batch_rows, plan.gibbs_steps,
                             plan.update.offset_rate, team.size());

  const MutableBits chain = persistent ? state.chains : t.m.hidden;
  std::int64_t batches_done = 0;
  Outcome outcome = Outcome::done;

  team.run([&](const Member& member) {
    load(t, parameters, state, member);
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
      const bool lost = diverged(t.m.up, t.m.down, t.watch, member);
      if (member.index == 0) {
        batches_done = batch + 1;
        outcome = lost ? Outcome::diverged : t.stop ? Outcome::interrupted : Outcome::done;
      }
      if (lost || t.stop) break;
    }
    member.wait();
    store(t, parameters, state, member);
  });
  return {outcome, batches_done};
}

}  // namespace RBMX_ISA
}  // namespace rbmx
