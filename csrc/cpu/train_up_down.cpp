// The up-down algorithm (Hinton, Osindero and Teh 2006, appendix B). For each minibatch of `order`:
//   wake    states go up from the data, each layer's drawn by the weights of its way up
//   dream   the top machine takes a step of contrastive divergence; what its chain ends at
//   sleep   goes down, each layer's states drawn by the weights of its way down
//   learn   each way by the delta rule (delta_rule.h) from the states that the other one drew:
//           down from wake states, up from sleep states
// A minibatch is read top to bottom in learn_batch below.
#include "cpu/batches.h"
#include "cpu/table.h"
#include "cpu/up_down_stack.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

// Every way, and the top machine after run_chain. A wait() must follow.
void learn(const Stack& s, std::int64_t rows, std::int64_t n_chains, const Update& update,
           std::uint64_t updates, const Member& member) {
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    list_shared(s.up[i].t.m.visible_lists, view(s.sleep[i]), n_chains, false, member);
    list_shared(s.down[i].t.m.visible_lists, view(s.wake[i + 1]), rows, false, member);
  }
  member.wait();
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    compare(s.up[i], s.sleep[i + 1], n_chains, member);
    member.wait();
    compare(s.down[i], s.wake[i], rows, member);
    member.wait();
  }
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    learn(s.up[i], n_chains, update, updates, member);
    member.wait();
    learn(s.down[i], rows, update, updates, member);
    member.wait();
  }
  update_panels(s.top, rows, n_chains, rates_for(update, s.top.m.chunks.divisor, updates), member);
}

bool diverged(const Stack& s, const Member& member) {
  bool lost = diverged(s.top.m.up, s.top.m.down, s.top.watch, member);
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    for (const DeltaLayer* way : {&s.up[i], &s.down[i]})
      lost = diverged(way->t.m.up, way->t.watch, member) || lost;
  }
  return lost;
}

}  // namespace

TrainingReport train_up_down(Team& team, const UpDownStack& given, const Bits& data,
                             const TrainingPlan& plan, TrainingState& state) {
  if (plan.n_rows == 0) return {Outcome::done, 0};
  const bool persistent = state.chains.words != nullptr;

  Arena arena;
  Stack s = make_stack(arena, given, state, rows_of_batch(plan, 0), plan.gibbs_steps, team.size());
  const MutableBits chain = persistent ? state.chains : s.top.m.hidden;
  Run run;

  team.run([&](const Member& member) {
    const auto gather_batch = [&](std::int64_t batch) {
      gather(s, data, order_of_batch(plan, batch), rows_of_batch(plan, batch), member);
    };
    const auto learn_batch = [&](std::int64_t batch) {
      const std::int64_t rows = rows_of_batch(plan, batch);
      const std::int64_t n_chains = persistent ? state.chains.rows : rows;
      const std::uint32_t step = step_of_batch(plan, batch);
      if (member.index == 0) {
        cut_batch(s.top.m.chunks, rows, n_chains);
        for (std::int64_t i = 0; i < s.n_layers; ++i) {
          cut_batch(s.up[i].t.m.chunks, n_chains, n_chains);
          cut_batch(s.down[i].t.m.chunks, rows, rows);
        }
      }
      wake(s, rows, step, member);
      run_chain(s.top.m, rows, chain, n_chains, persistent, plan.gibbs_steps, {plan.key, 0, step},
                member);
      sleep(s, n_chains, step, member);
      learn(s, rows, n_chains, plan.update, update_number(plan, batch), member);
      if (batch + 1 < count_batches(plan)) gather_batch(batch + 1);
    };
    load(s, given, state, member);
    gather_batch(0);
    member.wait();
    run_batches(plan, run, member, learn_batch, [&] { return diverged(s, member); });
    store(s, given, state, member);
  });
  return run.report;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
