// Row-wise kernels take their rows in blocks: a thread carries a block through all panels on its
// own.
#pragma once

#include "cpu/half_step.h"

namespace rbmx {
namespace RBMX_ISA {

inline constexpr std::int64_t kRowBlock = 64;

RBMX_INLINE Projection projection_to(Arena& arena, const Model& model, Side side) {
  if (side == Side::hidden)
    return make_projection(arena, model.n_visible, model.n_hidden, panel_vectors(model.n_hidden),
                           model.n_visible);
  Projection p = make_projection(arena, model.n_hidden, model.n_visible,
                                 panel_vectors(model.n_visible), model.n_hidden);
  p.grouped = span_of(model.units.groups);
  return p;
}

RBMX_INLINE void fill(const Projection& p, const Model& model, Side side, const Member& member) {
  if (side == Side::hidden) {
    fill_from_rows(p, model.weight, model.hidden_bias, member);
  } else {
    fill_from_columns(p, model.weight, model.visible_bias, member);
  }
}

// One thread's lists and sums for a block of rows through one projection.
struct RowBlock {
  ActiveLists lists;
  std::int32_t* sums;      // (kRowBlock, width) of one panel, or of all panels where they are kept
  float* inputs;           // of grouped outputs, (kRowBlock, pitch); null where there are none
  std::int64_t per_panel;  // from the sums of one panel to the next; 0 where they are not kept
};

// keep: the next half-step through the same projection goes on from the sums of this one
RBMX_INLINE RowBlock* make_row_blocks(Arena& arena, const Projection& p, bool keep, int threads) {
  auto* blocks = arena.take<RowBlock>(threads);
  for (int i = 0; i < threads; ++i) {
    blocks[i].lists = make_lists(arena, p, kRowBlock);
    blocks[i].sums = arena.take<std::int32_t>(kRowBlock * (keep ? p.padded_out() : p.width));
    blocks[i].inputs = p.grouped.any() ? arena.take<float>(kRowBlock * p.grouped.pitch()) : nullptr;
    blocks[i].per_panel = keep ? kRowBlock * p.width : 0;
  }
  return blocks;
}

// rows of `given` from `first` on, as lists; continuing: the block's sums stand for its last lists
RBMX_INLINE void list_rows(const RowBlock& block, const Bits& given, std::int64_t first,
                           std::int64_t rows, bool continuing) {
  for (std::int64_t row = 0; row < rows; ++row)
    list_row(block.lists, row, given.words + (first + row) * given.stride, continuing);
}

// The half-step of one block of rows; out and place speak of its first row.
RBMX_INLINE void half_step(const Projection& p, const RowBlock& block, std::int64_t rows,
                           const Place& place, std::uint32_t stream, HalfStepOutput out) {
  out.inputs = block.inputs;
  for (std::int64_t panel = 0; panel < p.n_panels; ++panel) {
    std::int32_t* sums = block.sums + panel * block.per_panel;
    add_active_rows(p, panel, block.lists, 0, rows, sums);
    activate(p, panel, sums, 0, rows, place, stream, out);
  }
  if (out.inputs == nullptr) return;
  if (out.means != nullptr) group_means(p.grouped, out.inputs, rows, out.means, p.n_out);
  if (out.bits.words != nullptr)
    draw_groups(p.grouped, out.inputs, 0, rows, place, stream, out.bits);
}

// Streams of the row-wise samplers and of training (docs/determinism.md).
inline constexpr std::uint32_t kHiddenStream = 1;
inline constexpr std::uint32_t kVisibleStream = 2;
RBMX_INLINE std::uint32_t visible_stream(std::int64_t gibbs_step) {
  return kVisibleStream + 2 * static_cast<std::uint32_t>(gibbs_step);
}
RBMX_INLINE std::uint32_t hidden_stream(std::int64_t gibbs_step) {
  return kHiddenStream + 2 * static_cast<std::uint32_t>(gibbs_step);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
