// A stack whose layers go up by other weights than they come down by, and its states on their way:
// up from the data (wake) and down from what the top machine dreams (sleep).
#pragma once

#include "cpu/delta_rule.h"

namespace rbmx {
namespace RBMX_ISA {

struct Stack {
  std::int64_t n_layers;
  DeltaLayer* up;
  DeltaLayer* down;
  MutableBits* wake;   // states of each level, from the data to the units below the top
  MutableBits* sleep;  // likewise
  Training top;
  std::int64_t n_labels;
};

static inline std::int64_t units_at(const UpDownStack& given, std::int64_t level) {
  return level == 0 ? given.up[0].parameters.n_visible : given.up[level - 1].parameters.n_hidden;
}

static inline Stack make_stack(Arena& arena, const UpDownStack& given, const TrainingState& state,
                               std::int64_t rows, std::int64_t gibbs_steps, int threads) {
  Stack s = {};
  s.n_layers = given.n_layers;
  s.top = make_training(arena, given.top, state, rows, gibbs_steps, 0, threads);
  s.n_labels = given.top.n_visible - units_at(given, s.n_layers);
  s.up = arena.take<DeltaLayer>(s.n_layers);
  s.down = arena.take<DeltaLayer>(s.n_layers);
  s.wake = arena.take<MutableBits>(s.n_layers + 1);
  s.sleep = arena.take<MutableBits>(s.n_layers + 1);
  const std::int64_t most = s.top.m.max_rows;
  for (std::int64_t level = 0; level <= s.n_layers; ++level) {
    const std::int64_t units = units_at(given, level);
    for (MutableBits* states : {&s.wake[level], &s.sleep[level]})
      *states = make_bits(arena, most, round_up(units, kQuadUnits), units);
  }
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    s.up[i] = make_delta_layer(arena, given.up[i], s.sleep[i], most, threads);
    s.down[i] = make_delta_layer(arena, given.down[i], s.wake[i + 1], most, threads);
  }
  return s;
}

static inline void load(const Stack& s, const UpDownStack& given, const TrainingState& state,
                        const Member& member) {
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    load(s.up[i], given.up[i], member);
    load(s.down[i], given.down[i], member);
  }
  load(s.top, given.top, state, member);
}

static inline void store(const Stack& s, const UpDownStack& given, const TrainingState& state,
                         const Member& member) {
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    store(s.up[i], given.up[i], member);
    store(s.down[i], given.down[i], member);
  }
  store(s.top, given.top, state, member);
}

// the first `units` bits of a row; those behind them in the last word become zero
static inline void copy_units(const std::uint64_t* from, std::int64_t units, std::uint64_t* to) {
  const std::int64_t words = words_for(units);
  std::memcpy(to, from, static_cast<std::size_t>(words) * sizeof(std::uint64_t));
  to[words - 1] &= ~std::uint64_t{0} >> (64 * words - units);
}

// Rows of data become the lowest wake states and the labels of the top machine's data. A wait()
// must follow, none need come before the learning of these states is over.
static inline void gather(const Stack& s, const Bits& data, const std::int64_t* order,
                          std::int64_t rows, const Member& member) {
  const std::int64_t units = s.wake[0].units, above = s.wake[s.n_layers].units;
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    const std::uint64_t* from = data.words + order[row] * data.stride;
    std::uint64_t* seen = s.top.m.data.words + row * s.top.m.data.stride;
    copy_units(from, units, s.wake[0].words + row * s.wake[0].stride);
    for (std::int64_t label = 0; label < s.n_labels; ++label)
      set_bit(seen, above + label, get_bit(from, units + label));
  }
}

// Up from gathered data to listed data of the top machine. Ends with a barrier.
static inline void wake(const Stack& s, std::int64_t rows, std::uint32_t step,
                        const Member& member) {
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    list_shared(s.up[i].t.m.visible_lists, view(s.wake[i]), rows, false, member);
    member.wait();
    draw_outputs(s.up[i], rows, step, kHiddenStream, s.wake[i + 1], member);
    member.wait();
  }
  const MutableBits &seen = s.top.m.data, &states = s.wake[s.n_layers];
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    std::uint64_t* to = seen.words + row * seen.stride;
    const std::int64_t last = words_for(states.units) - 1;
    const std::uint64_t labels = to[last];
    copy_units(states.words + row * states.stride, states.units, to);
    if (states.units % 64 != 0) to[last] |= labels >> (states.units % 64) << (states.units % 64);
  }
  list_shared(s.top.m.visible_lists, view(seen), rows, false, member);
  member.wait();
}

// Down from the samples of the top machine. Ends with a barrier.
static inline void sleep(const Stack& s, std::int64_t rows, std::uint32_t step,
                         const Member& member) {
  const MutableBits &dreamt = s.top.m.samples, &states = s.sleep[s.n_layers];
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    copy_units(dreamt.words + row * dreamt.stride, states.units,
               states.words + row * states.stride);
  }
  for (std::int64_t i = s.n_layers - 1; i >= 0; --i) {
    list_shared(s.down[i].t.m.visible_lists, view(s.sleep[i + 1]), rows, false, member);
    member.wait();
    draw_outputs(s.down[i], rows, step, kVisibleStream, s.sleep[i], member);
    member.wait();
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
