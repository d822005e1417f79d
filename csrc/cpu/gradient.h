// The contrastive-divergence gradient of binary visible units, a sum of selected rows of means:
//   D_ji = sum over rows with v0_i of p0_j  -  sum over rows with v1_i of p1_j     (exact, in units
//   of 2^-15)
//
// The lists of unit_lists.h name rows of a table that stays in the first-level cache. Where both
// phases have the same rows, it holds p0 (unit on in the data only), -p1 (on in the sample only)
// and p0 - p1 (on in both), so that a row costs one addition at most.
#pragma once

#include "cpu/half_step.h"
#include "cpu/unit_lists.h"

namespace rbmx {
namespace RBMX_ISA {

// The table of a chunk for one panel, from the panel's packed means in units of 2^-15 (rows,
// width); its last row, which evens out lists of odd length, is zero.
template <int V>
RBMX_INLINE void build_table(const Chunk& chunk, const std::int16_t* positive,
                             const std::int16_t* negative, std::int16_t* table) {
  static_assert(V % 2 == 0, "means are packed by pairs of vectors");
  constexpr std::int64_t width = V * kLanes;
  const std::int64_t part = chunk.rows * width, from = chunk.first * width;
  if (chunk.phase == Phase::both) {
    for (std::int64_t at = 0; at < part; at += 2 * kLanes) {
      const auto p0 = load<WideShorts>(positive + from + at);
      const auto p1 = load<WideShorts>(negative + from + at);
      store(table + at, p0);
      store(table + part + at, -p1);
      store(table + 2 * part + at, p0 - p1);
    }
  } else {
    std::memcpy(table, (chunk.phase == Phase::positive ? positive : negative) + from,
                static_cast<std::size_t>(part) * sizeof(std::int16_t));
  }
  std::memset(table + zero_row(chunk) * width, 0, width * sizeof(std::int16_t));
}

// Sums of the panel's packed means over rows (hidden bias), in units of 2^-15.
template <int V>
RBMX_INLINE void sum_means(const std::int16_t* means, std::int64_t rows, Ints (&sum)[V]) {
  constexpr std::int64_t width = V * kLanes;
  alignas(64) static constexpr std::int16_t kZeros[2 * kLanes] = {};
  for (int i = 0; i < V; ++i) sum[i] = Ints{};
  for (std::int64_t r = 0; r < rows; r += 2) {
    for (int i = 0; i < V; i += 2) {
      const std::int16_t* row = means + r * width + i * kLanes;
      add_rows(row, r + 1 < rows ? row + width : kZeros, sum[i], sum[i + 1]);
    }
  }
}

// sum += what the list stands for; all: the sum over the chunk's rows, from which a list of what is
// missing is subtracted
template <int V>
RBMX_INLINE void add_table_rows(const UnitLists& lists, std::int64_t list,
                                const std::int16_t* table, const Ints (&all)[V], Ints (&sum)[V]) {
  const std::uint16_t* entry = lists.entries + list * kListRoom;
  const std::uint16_t* end = entry + lists.lengths[list];
  const char* rows = reinterpret_cast<const char*>(table);
  Ints listed[V];
  for (int i = 0; i < V; ++i) listed[i] = Ints{};
  for (; entry != end; entry += 2) {
    const auto* a = reinterpret_cast<const std::int16_t*>(rows + entry[0]);
    const auto* b = reinterpret_cast<const std::int16_t*>(rows + entry[1]);
    for (int i = 0; i < V; i += 2)
      add_rows(a + i * kLanes, b + i * kLanes, listed[i], listed[i + 1]);
  }
  if (lists.missing[list] == 0) {
    for (int i = 0; i < V; ++i) sum[i] += listed[i];
  } else {
    for (int i = 0; i < V; ++i) sum[i] += all[i] - listed[i];
  }
}

// D as floats, rounded once from the exact integer
RBMX_INLINE Floats difference(const Chunks& chunks, Ints positive, Ints negative) {
  if (chunks.joint) return to_floats(positive - negative);
  const Doubles exact =
      __builtin_convertvector(positive, Doubles) * static_cast<double>(chunks.positive_scale) -
      __builtin_convertvector(negative, Doubles) * static_cast<double>(chunks.negative_scale);
  return __builtin_convertvector(exact, Floats);
}

// Scratch of one thread: the table, and the sums so far of every visible unit where there are
// several chunks.
struct GradientScratch {
  std::int16_t* table;
  std::int32_t* positive;  // (units, width)
  std::int32_t* negative;
};

RBMX_INLINE GradientScratch make_gradient_scratch(Arena& arena, std::int64_t n_visible,
                                                  std::int64_t width, std::int64_t max_chunks) {
  const std::int64_t kept = max_chunks > 1 ? round_up(n_visible, kLanes) * width : 0;
  return {arena.take<std::int16_t>((3 * kChunkRows + 1) * width), arena.take<std::int32_t>(kept),
          arena.take<std::int32_t>(kept)};
}

// Whether the sums of a chunk begin at zero: the first of its phase.
RBMX_INLINE bool begins_sum(const Chunks& chunks, std::int64_t c) {
  return c == 0 ||
         (chunks.chunk[c].phase == Phase::negative && chunks.chunk[c - 1].phase != Phase::negative);
}

// Where the table's rows for units that are on throughout begin.
template <int V>
RBMX_INLINE std::int64_t all_rows(const Chunk& chunk) {
  return (chunk.phase == Phase::both ? 2 * chunk.rows : 0) * V * kLanes;
}

// Calls sink(unit, positive[V], negative[V]) for the visible units, in order, with the sums of one
// panel, and after_tile(unit0) after each kLanes units of which the sink saw one. In a joint batch
// `positive` is the whole difference and `negative` zero. Idle units, whose sums are zero, are
// passed over where skip_idle says so.
template <int V, class Sink, class AfterTile>
RBMX_INLINE void sum_panel(const UnitLists& lists, const Chunks& chunks,
                           const std::int16_t* positive, const std::int16_t* negative,
                           std::int64_t n_units, const GradientScratch& scratch, bool skip_idle,
                           Sink&& sink, AfterTile&& after_tile) {
  constexpr std::int64_t width = V * kLanes;
  const std::int64_t last = chunks.count - 1;
  Ints all[V];
  for (std::int64_t c = 0; c < last; ++c) {
    const Chunk& chunk = chunks.chunk[c];
    const bool first = begins_sum(chunks, c);
    std::int32_t* kept = chunk.phase == Phase::negative ? scratch.negative : scratch.positive;
    build_table<V>(chunk, positive, negative, scratch.table);
    sum_means<V>(scratch.table + all_rows<V>(chunk), chunk.rows, all);
    for (std::int64_t unit = 0; unit < n_units; ++unit) {
      if (lists.idle[unit] != 0 && skip_idle) continue;
      Ints sum[V];
      for (int i = 0; i < V; ++i)
        sum[i] = first ? Ints{} : load<Ints>(kept + unit * width + i * kLanes);
      add_table_rows<V>(lists, c * lists.units + unit, scratch.table, all, sum);
      for (int i = 0; i < V; ++i) store(kept + unit * width + i * kLanes, sum[i]);
    }
  }
  const Chunk& chunk = chunks.chunk[last];
  const bool to_negative = chunk.phase == Phase::negative, first = begins_sum(chunks, last);
  const std::int32_t* kept = to_negative ? scratch.negative : scratch.positive;
  build_table<V>(chunk, positive, negative, scratch.table);
  sum_means<V>(scratch.table + all_rows<V>(chunk), chunk.rows, all);
  for (std::int64_t tile = 0; tile < n_units; tile += kLanes) {
    bool seen = false;
    for (std::int64_t unit = tile; unit < smaller(tile + kLanes, n_units); ++unit) {
      if (lists.idle[unit] != 0 && skip_idle) continue;
      seen = true;
      Ints sum[V], other[V];
      for (int i = 0; i < V; ++i) {
        sum[i] = first ? Ints{} : load<Ints>(kept + unit * width + i * kLanes);
        other[i] = to_negative ? load<Ints>(scratch.positive + unit * width + i * kLanes) : Ints{};
      }
      add_table_rows<V>(lists, last * lists.units + unit, scratch.table, all, sum);
      if (to_negative) {
        sink(unit, other, sum);
      } else {
        sink(unit, sum, other);
      }
    }
    if (seen) after_tile(tile);
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
