// One step of an optimiser, elementwise (rbmx/kernels.h, Rule). F is a float or a vector of them.
#pragma once

#include "cpu/simd.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

// The numbers of one minibatch, computed in double and rounded once.
struct StepRule {
  Rule rule;
  float first;
  float first_rest;  // 1 - first
  float second;
  float second_rest;
  float step;        // adam: rate / (1 - first^t);  rmsprop: rate
  float root_scale;  // adam: 1 / sqrt(1 - second^t);  rmsprop: 1
  float epsilon;
  float shrinkage;  // rate * l1
};

// updates: how many there are with this one, in the life of the model
RBMX_INLINE StepRule step_rule(const Update& update, std::uint64_t updates) {
  const bool adam = update.rule == Rule::adam;
  const double step = update.learning_rate / (adam ? 1 - power(update.first, updates) : 1.0);
  const double root_scale = adam ? 1 / __builtin_sqrt(1 - power(update.second, updates)) : 1.0;
  return {update.rule,
          static_cast<float>(update.first),
          static_cast<float>(1 - update.first),
          static_cast<float>(update.second),
          static_cast<float>(1 - update.second),
          static_cast<float>(step),
          static_cast<float>(root_scale),
          static_cast<float>(update.epsilon),
          static_cast<float>(update.learning_rate * update.l1)};
}

// How many updates there are with that of a batch, in the life of the model.
RBMX_INLINE std::uint64_t update_number(const TrainingPlan& plan, std::int64_t batch) {
  return static_cast<std::uint64_t>(plan.first_step) + static_cast<std::uint64_t>(batch) + 1;
}

// By what a mean gradient is multiplied before step() takes it as `change`.
RBMX_INLINE double change_rate(const Update& update) {
  const bool adaptive = update.rule == Rule::adam || update.rule == Rule::rmsprop;
  return adaptive ? 1.0 : update.learning_rate;
}

// Whether a change of zero leaves a parameter as it is.
RBMX_INLINE bool rests(const StepRule& r, const float* velocity) {
  return r.rule == Rule::momentum && velocity == nullptr && r.shrinkage == 0;
}

// Where the moments of a parameter stand, null where the rule has none.
struct Moments {
  float* velocity;
  float* squares;
  RBMX_ALWAYS_INLINE Moments at(std::int64_t i) const {
    return {velocity == nullptr ? nullptr : velocity + i,
            squares == nullptr ? nullptr : squares + i};
  }
};

template <class F>
RBMX_INLINE F step(const StepRule& r, F parameter, F change, const Moments& moments) {
  if (moments.squares != nullptr) {
    const F squares = load<F>(moments.squares) * r.second + (change * change) * r.second_rest;
    store(moments.squares, squares);
    if (r.rule == Rule::adam) {
      change = load<F>(moments.velocity) * r.first + change * r.first_rest;
      store(moments.velocity, change);
    }
    return parameter + (change * r.step) / (root(squares) * r.root_scale + r.epsilon);
  }
  if (moments.velocity == nullptr) return parameter + change;
  const F velocity = load<F>(moments.velocity) * r.first + change;
  store(moments.velocity, velocity);
  return parameter + (r.rule == Rule::nesterov ? velocity * r.first + change : velocity);
}

// towards zero by the shrinkage, and not past it
RBMX_INLINE Floats shrunk(const StepRule& r, Floats weight) {
  if (r.shrinkage == 0) return weight;
  const Ints sign = (Ints)weight & INT32_MIN;
  const Floats size = (Floats)((Ints)weight & INT32_MAX) - r.shrinkage;
  return (Floats)(size > 0 ? (Ints)size | sign : Ints{});
}

}  // namespace RBMX_ISA
}  // namespace rbmx
