// A layer of binary units that learns by the delta rule which states its outputs take, given those
// of its inputs: the slope of log p(out | in),
//   D_ji = sum over rows with in_i of (out_j - p_j),   p_j = sigmoid(bias_j + sum_i W_ji in_i)
// This is the gradient of gradient.h with the inputs in both phases and the outputs, of which one
// that is on counts kMeanMax, as the positive means. There is no way back, so nothing is mirrored.
#pragma once

#include "cpu/update.h"

namespace rbmx {
namespace RBMX_ISA {

struct DeltaLayer {
  Training t;  // t.m.data and t.m.samples: the inputs it learns from
  Key key;
};

static inline DeltaLayer make_delta_layer(Arena& arena, const Directed& way,
                                          const MutableBits& inputs, std::int64_t rows,
                                          int threads) {
  const Parameters& p = way.parameters;
  DeltaLayer layer = {};
  layer.key = way.key;
  Minibatch& m = layer.t.m;
  m.up = make_projection(arena, p.n_visible, p.n_hidden, hidden_vectors(p.n_hidden), p.n_visible);
  m.visible_lists = make_lists(arena, m.up, rows);
  m.data = m.samples = inputs;
  m.positive_means = arena.take<std::int16_t>(m.up.padded_out() * rows);
  m.negative_means = arena.take<std::int16_t>(m.up.padded_out() * rows);
  m.sums_per_member = kPartRows * m.up.width;
  m.sums = arena.take<std::int32_t>(m.sums_per_member * threads);
  m.max_rows = rows;
  m.max_chunks = most_chunks(rows, 0);
  m.unit_lists = make_unit_lists(arena, p.n_visible, m.max_chunks, m.up.width);
  m.chunks.chunk = arena.take<Chunk>(m.max_chunks);

  Training& t = layer.t;
  t.weight = make_turned(arena, m.up, p.weight);
  if (way.velocity.weight != nullptr) {
    t.moments.weight.velocity = make_turned(arena, m.up, way.velocity.weight);
    t.moments.hidden.velocity = arena.take<float>(m.up.padded_out());
  }
  make_scratch(arena, t, threads);
  return layer;
}

RBMX_INLINE TrainingState state_of(const Directed& way) {
  TrainingState state = {};
  state.velocity = way.velocity;
  return state;
}

static inline void load(const DeltaLayer& layer, const Directed& way, const Member& member) {
  fill_bias(layer.t.m.up, way.parameters.hidden_bias, member);
  turn_weights(layer.t, state_of(way), member);
}

static inline void store(const DeltaLayer& layer, const Directed& way, const Member& member) {
  turn_weights_back(layer.t, state_of(way), member);
  if (member.index == 0) copy(layer.t.m.up.bias, layer.t.m.up.n_out, way.parameters.hidden_bias);
}

// Outputs drawn from the inputs in the layer's lists. A wait() must come before and after, here and
// below.
static inline void draw_outputs(const DeltaLayer& layer, std::int64_t rows, std::uint32_t step,
                                std::uint32_t stream, const MutableBits& outputs,
                                const Member& member) {
  const Minibatch& m = layer.t.m;
  shared_half_step(m, m.up, m.visible_lists, rows, {layer.key, 0, step}, stream, nullptr, nullptr,
                   outputs, member);
}

// States as means, packed as activate() packs them.
static inline void states_to_means(const Minibatch& m, const MutableBits& states, std::int64_t rows,
                                   const Member& member) {
  const PackedOrder order = packed_order();
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    const std::uint64_t* bits = states.words + row * states.stride;
    for (std::int64_t panel = 0; panel < m.up.n_panels; ++panel) {
      std::int16_t* means = m.positive_means + (panel * m.max_rows + row) * m.up.width;
      for (std::int64_t at = 0; at < m.up.width; at += 2 * kLanes) {
        const std::int64_t first = panel * m.up.width + at;
        for (int k = 0; k < 2 * kLanes; ++k)
          means[at + k] = get_bit(bits, first + order.unit[k]) ? kMeanMax : 0;
      }
    }
  }
}

// What the update needs: the inputs' lists by unit, the outputs, and what was expected of them.
static inline void compare(const DeltaLayer& layer, const MutableBits& outputs, std::int64_t rows,
                           const Member& member) {
  const Minibatch& m = layer.t.m;
  states_to_means(m, outputs, rows, member);
  shared_half_step(m, m.up, m.visible_lists, rows, {}, 0, nullptr, m.negative_means, {}, member,
                   m.unit_lists.units / kQuadUnits, [&](std::int64_t quad) {
                     list_units(m.unit_lists, m.chunks, quad, view(m.data), view(m.samples));
                   });
}

static inline void learn(const DeltaLayer& layer, std::int64_t rows, const Update& update,
                         std::uint64_t updates, const Member& member) {
  const Rates rates = rates_for(update, layer.t.m.chunks.divisor, updates);
  update_hidden_panels(layer.t, rows, rows, rates, {}, member);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
