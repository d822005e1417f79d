// One minibatch of contrastive divergence over bits, shared by a team: the positive phase, k Gibbs
// steps, and the lists from which gradient.h sums. Every function here is called by all members and
// ends before a barrier; a minibatch is read top to bottom in run_chain below.
#pragma once

#include "cpu/gradient.h"
#include "cpu/row_block.h"

namespace rbmx {
namespace RBMX_ISA {

struct Minibatch {
  Projection up;    // visible -> hidden
  Projection down;  // hidden -> visible
  ActiveLists visible_lists;
  ActiveLists hidden_lists;
  MutableBits data;              // the batch, gathered
  MutableBits samples;           // v of the negative phase
  MutableBits hidden;            // h of a CD chain
  std::int16_t* positive_means;  // p(h | data), (panels, max_rows, width), units of 2^-15
  std::int16_t* negative_means;  // p(h | samples)
  std::int32_t* up_sums;         // kept for the next half-step, (panels, max_rows, width), or null
  std::int32_t* down_sums;       // likewise
  std::int32_t* sums;            // where they are not kept, per member: (kPartRows, width)
  std::int64_t sums_per_member;
  float* inputs;  // of grouped visible units, (max_rows, pitch), or null
  std::int64_t max_rows;
  UnitLists unit_lists;
  Chunks chunks;
  std::int64_t max_chunks;
};

inline constexpr std::int64_t kPartRows = 128;
inline constexpr std::int64_t kMostKept = std::int64_t{1} << 20;  // sums kept per direction: 4 MiB

// rows padded to whole cache lines of bits
RBMX_INLINE MutableBits make_bits(Arena& arena, std::int64_t rows, std::int64_t padded_units,
                                  std::int64_t units) {
  const std::int64_t stride = round_up(padded_units, 512) / 64;
  return {arena.take<std::uint64_t>(rows * stride), rows, units, stride};
}

RBMX_INLINE Bits view(const MutableBits& bits) {
  return {bits.words, bits.rows, bits.units, bits.stride};
}

// Room for the sums of one direction where a later half-step goes on from them.
RBMX_INLINE std::int32_t* make_sums(Arena& arena, const Projection& p, std::int64_t rows,
                                    bool wanted) {
  const std::int64_t size = p.padded_out() * rows;
  return wanted && size <= kMostKept ? arena.take<std::int32_t>(size) : nullptr;
}

// rows: of the largest batch; chains: persistent chains, 0 for CD
static inline Minibatch make_minibatch(Arena& arena, const Model& model, std::int64_t rows,
                                       std::int64_t chains, std::int64_t gibbs_steps, int threads) {
  const std::int64_t n_visible = model.n_visible, n_hidden = model.n_hidden;
  Minibatch m;
  m.max_rows = rows > chains ? rows : chains;
  m.up = make_projection(arena, n_visible, n_hidden, hidden_vectors(n_hidden), n_visible);
  m.down = make_projection(arena, n_hidden, n_visible, panel_vectors(n_visible), m.up.padded_out());
  m.down.grouped = span_of(model.units.groups);
  m.inputs =
      m.down.grouped.any() ? arena.take<float>(m.max_rows * m.down.grouped.pitch()) : nullptr;
  m.visible_lists = make_lists(arena, m.up, m.max_rows);
  m.hidden_lists = make_lists(arena, m.down, m.max_rows);
  const std::int64_t quads = round_up(n_visible, kQuadUnits);
  m.data = make_bits(arena, rows, quads, n_visible);
  m.samples = make_bits(arena, m.max_rows, quads, n_visible);
  m.hidden = make_bits(arena, chains == 0 ? rows : 0, m.up.padded_out(), n_hidden);
  m.positive_means = arena.take<std::int16_t>(m.up.padded_out() * m.max_rows);
  m.negative_means = arena.take<std::int16_t>(m.up.padded_out() * m.max_rows);
  m.up_sums = make_sums(arena, m.up, m.max_rows, gibbs_steps > 1 || chains == 0);
  m.down_sums = make_sums(arena, m.down, m.max_rows, gibbs_steps > 1);
  m.sums_per_member = kPartRows * (m.up.width > m.down.width ? m.up.width : m.down.width);
  m.sums = arena.take<std::int32_t>(m.sums_per_member * threads);
  m.max_chunks = most_chunks(rows, chains);
  m.unit_lists = make_unit_lists(arena, n_visible, m.max_chunks, m.up.width);
  m.chunks.chunk = arena.take<Chunk>(m.max_chunks);
  return m;
}

// In how many parts the rows of a panel are handed out: one reads each block of weights once, more
// even out the work of the members.
RBMX_INLINE std::int64_t parts_of_rows(std::int64_t panels, std::int64_t rows, int members) {
  const std::int64_t fewest = (rows + kPartRows - 1) / kPartRows;
  std::int64_t best = fewest;
  double best_cost = 1e30;
  for (std::int64_t parts = fewest; parts < fewest + 4; ++parts) {
    const std::int64_t turns = (panels * parts + members - 1) / members;
    const double cost = static_cast<double>(turns) / static_cast<double>(parts) *
                        (1 + 0.04 * static_cast<double>(parts));
    if (cost < best_cost) {
      best_cost = cost;
      best = parts;
    }
  }
  const std::int64_t groups = (rows + kRowsPerCall - 1) / kRowsPerCall;
  return smaller(best, groups);
}

// The half-step of all panels over `rows` rows, in items of a panel and a part of the rows. kept:
// null or the sums of all panels; counts: null or (panels, max_rows, width); bits: null words or
// the samples to write. Meanwhile other(i) is called for i < n_others: work of another kind that
// may run beside it.
template <class Other>
RBMX_INLINE void shared_half_step(const Minibatch& m, const Projection& p, const ActiveLists& lists,
                                  std::int64_t rows, const Place& place, std::uint32_t stream,
                                  std::int32_t* kept, std::int16_t* counts, const MutableBits& bits,
                                  const Member& member, std::int64_t n_others, Other&& other) {
  const std::int64_t groups = (rows + kRowsPerCall - 1) / kRowsPerCall;
  const std::int64_t parts = parts_of_rows(p.n_panels, rows, member.size);
  member.share(n_others + p.n_panels * parts, [&](std::int64_t item) {
    if (item < n_others) {
      other(item);
      return;
    }
    const std::int64_t panel = (item - n_others) / parts, part = (item - n_others) % parts;
    const std::int64_t first = groups * part / parts * kRowsPerCall;
    const std::int64_t last = smaller(rows, groups * (part + 1) / parts * kRowsPerCall);
    std::int32_t* sums = kept == nullptr ? m.sums + member.index * m.sums_per_member
                                         : kept + (panel * m.max_rows + first) * p.width;
    add_active_rows(p, panel, lists, first, last, sums);
    activate(p, panel, sums, first, last, place, stream,
             {nullptr, counts == nullptr ? nullptr : counts + panel * m.max_rows * p.width, bits,
              p.grouped.any() ? m.inputs : nullptr});
  });
}

static inline void shared_half_step(const Minibatch& m, const Projection& p,
                                    const ActiveLists& lists, std::int64_t rows, const Place& place,
                                    std::uint32_t stream, std::int32_t* kept, std::int16_t* counts,
                                    const MutableBits& bits, const Member& member) {
  shared_half_step(m, p, lists, rows, place, stream, kept, counts, bits, member, 0,
                   [](std::int64_t) {});
}

// continuing: the sums of these rows still stand for what was listed before
static inline void list_shared(const ActiveLists& lists, const Bits& bits, std::int64_t rows,
                               bool continuing, const Member& member) {
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row)
    list_row(lists, row, bits.words + row * bits.stride, continuing);
}

// The grouped units of samples, once all panels are done; the same rows as in list_shared.
static inline void draw_shared(const Minibatch& m, std::int64_t rows, const Place& place,
                               std::uint32_t stream, const Member& member) {
  if (!m.down.grouped.any()) return;
  const Range range = member.split(rows);
  draw_groups(m.down.grouped, m.inputs, range.begin, range.end, place, stream, m.samples);
}

// Rows order[0] .. order[rows - 1] of data become m.data and its lists. Nothing else reads either
// before the next half-step, so a wait() must follow, but none need come before.
static inline void gather(const Minibatch& m, const Bits& data, const std::int64_t* order,
                          std::int64_t rows, const Member& member) {
  const auto bytes = static_cast<std::size_t>(words_for(data.units) * 8);
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    std::uint64_t* words = m.data.words + row * m.data.stride;
    std::memcpy(words, data.words + order[row] * data.stride, bytes);
    list_row(m.visible_lists, row, words, false);
  }
}

// From gathered data to sums that are ready for the gradient. chain: hidden bits of the negative
// phase, the persistent chains (n_chains rows, kept) or, for CD, m.hidden, which the positive phase
// fills.
static inline void run_chain(const Minibatch& m, std::int64_t rows, const MutableBits& chain,
                             std::int64_t n_chains, bool persistent, std::int64_t gibbs_steps,
                             const Place& place, const Member& member) {
  const MutableBits none = {};
  shared_half_step(m, m.up, m.visible_lists, rows, place, kHiddenStream, m.up_sums,
                   m.positive_means, persistent ? none : chain, member);
  member.wait();
  for (std::int64_t step = 0; step < gibbs_steps; ++step) {
    const bool last = step + 1 == gibbs_steps;
    list_shared(m.hidden_lists, view(chain), n_chains, step > 0 && m.down_sums != nullptr, member);
    member.wait();
    shared_half_step(m, m.down, m.hidden_lists, n_chains, place, visible_stream(step), m.down_sums,
                     nullptr, m.samples, member);
    member.wait();
    draw_shared(m, n_chains, place, visible_stream(step), member);
    // the first sample of CD goes on from its data row
    list_shared(m.visible_lists, view(m.samples), n_chains,
                (step > 0 || !persistent) && m.up_sums != nullptr, member);
    member.wait();
    shared_half_step(m, m.up, m.visible_lists, n_chains, place, hidden_stream(step + 1), m.up_sums,
                     last ? m.negative_means : nullptr, last && !persistent ? none : chain, member,
                     last ? m.unit_lists.units / kQuadUnits : 0, [&](std::int64_t quad) {
                       list_units(m.unit_lists, m.chunks, quad, view(m.data), view(m.samples));
                     });
    member.wait();
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
