// The frame of every loop over minibatches: one after another, until the weights diverge or the
// monitor ends the call.
#pragma once

#include "cpu/simd.h"
#include "parallel/team.h"
#include "rbmx/bits.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

RBMX_INLINE std::int64_t count_batches(const TrainingPlan& plan) {
  return (plan.n_rows + plan.batch_size - 1) / plan.batch_size;
}
RBMX_INLINE std::int64_t rows_of_batch(const TrainingPlan& plan, std::int64_t batch) {
  return smaller(plan.batch_size, plan.n_rows - batch * plan.batch_size);
}
RBMX_INLINE const std::int64_t* order_of_batch(const TrainingPlan& plan, std::int64_t batch) {
  return plan.order + batch * plan.batch_size;
}
// of a minibatch, in the life of the model
RBMX_INLINE std::uint32_t step_of_batch(const TrainingPlan& plan, std::int64_t batch) {
  return plan.first_step + static_cast<std::uint32_t>(batch);
}

// How far a call has come; all members share it.
struct Run {
  TrainingReport report = {Outcome::done, 0};
  bool stop = false;
};

// Called by all members, ends with a barrier. learn(batch): a minibatch, whose last wait() is left
// to this. diverged(): the same answer for all.
template <class Learn, class Diverged>
RBMX_INLINE void run_batches(const TrainingPlan& plan, Run& run, const Member& member,
                             Learn&& learn, Diverged&& diverged) {
  const std::int64_t n_batches = count_batches(plan);
  for (std::int64_t batch = 0; batch < n_batches; ++batch) {
    learn(batch);
    if (member.index == 0) run.stop = !plan.monitor.keep_going(plan.monitor.context, batch + 1);
    member.wait();
    const bool lost = diverged();
    if (member.index == 0) {
      run.report = {lost       ? Outcome::diverged
                    : run.stop ? Outcome::interrupted
                               : Outcome::done,
                    batch + 1};
    }
    if (lost || run.stop) break;
  }
  member.wait();
}

}  // namespace RBMX_ISA
}  // namespace rbmx
