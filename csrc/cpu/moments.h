// The moments of an optimiser beside the weights, in their panels, and their way from the caller's
// arrays and back.
#pragma once

#include "cpu/panels.h"
#include "cpu/step_rule.h"
#include "rbmx/arena.h"

namespace rbmx {
namespace RBMX_ISA {

struct ParameterMoments {
  Moments weight;   // laid out as the panels
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
  return {take_moments(arena, state, up.size()), take_moments(arena, state, up.padded_out()),
          take_moments(arena, state, down.padded_out())};
}

static inline void copy(const float* from, std::int64_t n, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
}

static inline void load_moments(const PanelShape& up, const TrainingState& state,
                                const ParameterMoments& to, const Member& member) {
  const auto load = [&](const Parameters& from, float* weight, float* hidden, float* visible) {
    if (weight == nullptr) return;
    load_panels(up, from.weight, weight, member);
    if (member.index != 0) return;
    copy(from.hidden_bias, from.n_hidden, hidden);
    if (visible != nullptr) copy(from.visible_bias, from.n_visible, visible);
  };
  load(state.velocity, to.weight.velocity, to.hidden.velocity, to.visible.velocity);
  load(state.squares, to.weight.squares, to.hidden.squares, to.visible.squares);
}

static inline void store_moments(const PanelShape& up, const ParameterMoments& from,
                                 const TrainingState& state, const Member& member) {
  const auto store = [&](const float* weight, const float* hidden, const float* visible,
                         const Parameters& to) {
    if (weight == nullptr) return;
    panels_to_rows(up, weight, to.weight, member);
    if (member.index != 0) return;
    copy(hidden, to.n_hidden, to.hidden_bias);
    if (visible != nullptr) copy(visible, to.n_visible, to.visible_bias);
  };
  store(from.weight.velocity, from.hidden.velocity, from.visible.velocity, state.velocity);
  store(from.weight.squares, from.hidden.squares, from.visible.squares, state.squares);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
