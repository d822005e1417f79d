// The moments of an optimiser: those of the weights in the caller's arrays, turned into the panels
// of the weights, those of the biases copied.
#pragma once

#include "cpu/step_rule.h"
#include "cpu/turned_rows.h"

namespace rbmx {
namespace RBMX_ISA {

struct WeightMoments {
  TurnedRows velocity;
  TurnedRows squares;
  RBMX_ALWAYS_INLINE Moments panel(std::int64_t p) const {
    return {velocity.panel(p), squares.panel(p)};
  }
};

struct ParameterMoments {
  WeightMoments weight;
  Moments hidden;   // padded to whole panels
  Moments visible;  // padded likewise; null where they do not learn
};

RBMX_INLINE Moments take_moments(Arena& arena, const TrainingState& state, std::int64_t n) {
  return {state.velocity.weight == nullptr ? nullptr : arena.take<float>(n),
          state.squares.weight == nullptr ? nullptr : arena.take<float>(n)};
}

// those that the state has, null for the others
static inline ParameterMoments make_moments(Arena& arena, const TrainingState& state,
                                            const PanelShape& up, const PanelShape& down) {
  return {
      {make_turned(arena, up, state.velocity.weight), make_turned(arena, up, state.squares.weight)},
      take_moments(arena, state, up.padded_out()),
      take_moments(arena, state, down.padded_out())};
}

static inline void copy_biases(const Parameters& from, float* hidden, float* visible) {
  if (hidden != nullptr) copy(from.hidden_bias, from.n_hidden, hidden);
  if (visible != nullptr) copy(from.visible_bias, from.n_visible, visible);
}

static inline void store_biases(const float* hidden, const float* visible, const Parameters& to) {
  if (hidden != nullptr) copy(hidden, to.n_hidden, to.hidden_bias);
  if (visible != nullptr) copy(visible, to.n_visible, to.visible_bias);
}

// scratch: room for all panels
static inline void load_moments(const PanelShape& up, const TrainingState& state,
                                const ParameterMoments& to, float* scratch, const Member& member) {
  turn(to.weight.velocity, up, scratch, member);
  turn(to.weight.squares, up, scratch, member);
  if (member.index != 0) return;
  copy_biases(state.velocity, to.hidden.velocity, to.visible.velocity);
  copy_biases(state.squares, to.hidden.squares, to.visible.squares);
}

static inline void store_moments(const PanelShape& up, const ParameterMoments& from,
                                 const TrainingState& state, float* scratch, const Member& member) {
  turn_back(from.weight.velocity, up, scratch, member);
  turn_back(from.weight.squares, up, scratch, member);
  if (member.index != 0) return;
  store_biases(from.hidden.velocity, from.visible.velocity, state.velocity);
  store_biases(from.hidden.squares, from.visible.squares, state.squares);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
