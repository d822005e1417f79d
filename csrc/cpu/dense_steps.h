// The steps of a minibatch of real-valued data (dense_batch.h). Every function here is called by
// all members of the team and ends before a barrier.
#pragma once

#include "cpu/dense_batch.h"

namespace rbmx {
namespace RBMX_ISA {

// Rows of the data, gathered or listed.
static inline void take_data(const DenseBatch& t, const Reals& data, const std::int64_t* order,
                             std::int64_t rows, const Member& member) {
  const Range own = member.split(rows);
  for (std::int64_t row = own.begin; row < own.end; ++row) {
    const float* from = data.values + order[row] * data.units;
    if (t.data.listed.index != nullptr) {
      list_values(t.data.listed, row, from, data.units);
    } else {
      std::memcpy(t.data.values + row * t.data.pitch, from,
                  static_cast<std::size_t>(data.units) * sizeof(float));
    }
  }
}

// The grouped units of samples, once all panels are done; the same rows as in take_samples.
static inline void draw_shared(const DenseBatch& t, std::int64_t rows, const Place& place,
                               std::uint32_t stream, const Member& member) {
  if (!t.down.grouped.any()) return;
  const Range own = member.split(rows);
  draw_groups(t.down.grouped, t.inputs, own.begin, own.end, place, stream, t.sampled.bits);
}

// Rows of samples from where they were drawn; values already are where they belong.
static inline void take_samples(const Samples& samples, std::int64_t rows, const BatchRows& to,
                                const Member& member) {
  const MutableBits& bits = samples.bits;
  if (bits.words == nullptr) return;
  const Range own = member.split(rows);
  for (std::int64_t row = own.begin; row < own.end; ++row) {
    const std::uint64_t* from = bits.words + row * bits.stride;
    if (to.listed.index != nullptr) {
      list_bits(to.listed, row, from, bits.units);
      continue;
    }
    for (std::int64_t i = 0; i < bits.units; i += kLanes) {
      const Words word = Words{} + static_cast<std::uint32_t>(from[i >> 6] >> (i & 63));
      store(to.values + row * to.pitch + i, to_floats((Ints)(word >> lane_numbers() & 1u)));
    }
  }
}

// The columns of listed rows, for the gradient.
static inline void list_units(const BatchRows& rows, std::int64_t n, const Factor& units,
                              const Member& member) {
  if (rows.listed.index == nullptr) return;
  const Range blocks = member.split((units.listed.rows + rows.listed.columns_per_block - 1) /
                                    rows.listed.columns_per_block);
  for (std::int64_t block = blocks.begin; block < blocks.end; ++block)
    list_columns(rows.listed, block, n, units.listed);
}

// One half-step of `rows` rows. means: null, or (panels, max_rows, width).
static inline void half_step(const DenseBatch& t, const Panels& p, const BatchRows& given,
                             std::int64_t rows, const Place& place, std::uint32_t stream,
                             float* means, const Samples& samples, const Member& member) {
  const std::int64_t groups = (rows + kRowsPerCall - 1) / kRowsPerCall;
  std::int64_t parts = (rows + t.part_rows - 1) / t.part_rows;
  const std::int64_t wanted = (2 * member.size + p.n_panels - 1) / p.n_panels;
  if (t.product == Product::canonical && parts < wanted) parts = smaller(wanted, groups);
  float* pre = t.scratch_of(member);
  member.share(p.n_panels * parts, [&](std::int64_t item) {
    const std::int64_t panel = item / parts, part = item % parts;
    const std::int64_t first = groups * part / parts * kRowsPerCall;
    const std::int64_t last = smaller(rows, groups * (part + 1) / parts * kRowsPerCall);
    multiply(t.product, given.factor(), first, last, p.panel(panel), p.n_in, p.width, pre);
    const std::int64_t unit0 = panel * p.width;
    if (p.grouped.any())
      keep_inputs(p.grouped, pre, p.width, p.bias + unit0, unit0, first, last, t.inputs);
    activate_panel(
        p.unit, pre, p.width, p.bias + unit0, unit0, p.n_out, first, last, place, stream,
        {means == nullptr ? nullptr : means + panel * t.max_rows * p.width, p.width, samples});
  });
}

// Both phases of the gradient and the update of all parameters.
static inline void update(const DenseBatch& t, const DensePhase& positive,
                          const DensePhase& negative, const DenseRates& rates,
                          const Member& member) {
  const Panels& up = t.up;
  Watch& watch = t.watch[member.index];
  watch = {0.0f, false};
  float* plus = t.scratch_of(member);
  float* minus = plus + t.part_units * up.width;
  const std::int64_t parts = (up.n_in + t.part_units - 1) / t.part_units;
  member.share(up.n_panels * parts, [&](std::int64_t item) {
    const std::int64_t panel = item / parts, first = item % parts * t.part_units;
    const std::int64_t last = smaller(first + t.part_units, up.n_in);
    const std::int64_t means = panel * t.max_rows * up.width, unit0 = panel * up.width;
    multiply(t.product, positive.units, first, last, positive.means + means, positive.rows,
             up.width, plus);
    multiply(t.product, negative.units, first, last, negative.means + means, negative.rows,
             up.width, minus);
    update_weights(up, panel, first, last, plus, minus, t.moments.weight.panel(panel), rates,
                   t.down, watch);
    if (first == 0) {
      sum_means(positive.means + means, positive.rows, up.width, plus);
      sum_means(negative.means + means, negative.rows, up.width, minus);
      update_biases(up.bias + unit0, t.moments.hidden.at(unit0), plus, minus, up.width, rates,
                    watch);
    }
    if (panel == 0) {
      sum_units(positive.units, first, last, positive.rows, plus);
      sum_units(negative.units, first, last, negative.rows, minus);
      update_biases(t.down.bias + first, t.moments.visible.at(first), plus, minus, last - first,
                    rates, watch);
    }
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
