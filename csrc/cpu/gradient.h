// The contrastive-divergence gradient of binary visible units, a sum of selected rows of means:
//   D_ji = sum over rows with v0_i of p0_j  -  sum over rows with v1_i of p1_j     (exact, in units
//   of 2^-15)
//
// For each visible unit one list over a chunk of rows names rows of a table that stays in the
// first-level cache. Where both phases have the same rows, the table holds p0 (unit on in the data
// only), -p1 (on in the sample only) and p0 - p1 (on in both), so that a row costs one addition at
// most. A unit that is on in most rows lists instead what is missing from the sum over all rows:
// the same table rows, with data and sample exchanged for what they lack, are then subtracted.
#pragma once

#include "cpu/half_step.h"

namespace rbmx {
namespace RBMX_ISA {

inline constexpr std::int64_t kChunkRows = 128;
inline constexpr std::int64_t kQuadUnits =
    256;  // visible units whose lists are built together: four words

// Room of a list: list_ones may write past its end, and the next list may be another thread's.
inline constexpr std::int64_t kListRoom = kChunkRows + kListSlack;

enum class Phase { both, positive, negative };

struct Chunk {
  Phase phase;
  std::int64_t first;
  std::int64_t rows;
};

// rows of a batch and of the chains, cut into chunks
struct Chunks {
  Chunk* chunk;
  std::int64_t count;
  bool joint;                   // as many chains as rows: one list serves both phases
  std::int64_t positive_scale;  // D = positive_scale * positive sum - negative_scale * negative sum
  std::int64_t negative_scale;
  std::int64_t
      divisor;  // mean over rows = D / divisor: the least common multiple of the two counts
};

// the table's row of zeros, behind the rows of its one or three parts
RBMX_INLINE std::int64_t zero_row(const Chunk& chunk) {
  return chunk.phase == Phase::both ? 3 * chunk.rows : chunk.rows;
}

RBMX_INLINE std::int64_t gcd(std::int64_t a, std::int64_t b) {
  while (b != 0) {
    const std::int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static inline void cut(Chunks& chunks, Phase phase, std::int64_t rows) {
  const std::int64_t parts = (rows + kChunkRows - 1) / kChunkRows;
  for (std::int64_t i = 0; i < parts; ++i) {
    const std::int64_t first = rows * i / parts;
    chunks.chunk[chunks.count++] = {phase, first, rows * (i + 1) / parts - first};
  }
}

// chunks.chunk has room for both phases of the largest batch
static inline void cut_batch(Chunks& chunks, std::int64_t rows, std::int64_t chains) {
  const std::int64_t common = gcd(rows, chains);
  chunks.count = 0;
  chunks.joint = rows == chains;
  chunks.positive_scale = chains / common;
  chunks.negative_scale = rows / common;
  chunks.divisor = rows / common * chains;
  if (chunks.joint) {
    cut(chunks, Phase::both, rows);
  } else {
    cut(chunks, Phase::positive, rows);
    cut(chunks, Phase::negative, chains);
  }
}

// entries[(chunk * units + unit) * kListRoom + n]: byte offsets into the table of that chunk
struct UnitLists {
  std::uint16_t* entries;
  std::uint16_t* lengths;
  std::uint8_t* missing;     // 1: the list names what is missing from the sum over all rows
  std::int64_t* difference;  // (units,) positive_scale * ones in the data - negative_scale * ones
                             // in the samples
  std::uint8_t* idle;        // (units,) 1: no row in any list
  std::int64_t units;        // rounded up to kQuadUnits
  std::uint16_t pitch;       // bytes of a row of the table
};

RBMX_INLINE UnitLists make_unit_lists(Arena& arena, std::int64_t n_visible, std::int64_t max_chunks,
                                      std::int64_t table_width) {
  UnitLists lists;
  lists.units = round_up(n_visible, kQuadUnits);
  lists.pitch = static_cast<std::uint16_t>(table_width * 2);
  lists.entries = arena.take<std::uint16_t>(max_chunks * lists.units * kListRoom);
  lists.lengths = arena.take<std::uint16_t>(max_chunks * lists.units);
  lists.missing = arena.take<std::uint8_t>(max_chunks * lists.units);
  lists.difference = arena.take<std::int64_t>(lists.units);
  lists.idle = arena.take<std::uint8_t>(lists.units);
  return lists;
}

typedef std::uint64_t Quad __attribute__((vector_size(32)));

// four 64 x 64 bit matrices at once: bit c of word r becomes bit r of word c (Hacker's Delight,
// 7-3)
RBMX_INLINE void transpose_bits(Quad (&a)[64]) {
  std::uint64_t mask = 0x00000000FFFFFFFFull;
  for (int j = 32; j != 0; j >>= 1, mask ^= mask << j) {
    for (int k = 0; k < 64; k = ((k | j) + 1) & ~j) {
      const Quad t = ((a[k] >> j) ^ a[k + j]) & mask;
      a[k] ^= t << j;
      a[k + j] ^= t;
    }
  }
}

// The four words from `word` on of rows first .. first + rows of bits, transposed: unit u of the
// four words is lane u / 64 of out[half][u % 64], one bit a row. Rows past the end are zero.
// bits.stride is a multiple of eight words, so that four words can always be read.
RBMX_INLINE void rows_of_units(const Bits& bits, std::int64_t word, std::int64_t first,
                               std::int64_t rows, Quad (&out)[2][64]) {
  for (int half = 0; half < 2; ++half) {
    if (rows <= half * 64) {
      std::memset(out[half], 0, sizeof out[half]);
      continue;
    }
    for (int r = 0; r < 64; ++r) {
      const std::int64_t row = half * 64 + r;
      out[half][r] =
          row < rows ? load<Quad>(bits.words + (first + row) * bits.stride + word) : Quad{};
    }
    transpose_bits(out[half]);
  }
}

// Which of a chunk's rows: bit r of low, then of high.
struct RowSet {
  std::uint64_t low;
  std::uint64_t high;
};
RBMX_INLINE RowSet operator&(RowSet a, RowSet b) { return {a.low & b.low, a.high & b.high}; }
RBMX_INLINE RowSet operator|(RowSet a, RowSet b) { return {a.low | b.low, a.high | b.high}; }
RBMX_INLINE RowSet without(RowSet a, RowSet b) { return {a.low & ~b.low, a.high & ~b.high}; }
RBMX_INLINE std::int32_t count(RowSet a) {
  return static_cast<std::int32_t>(__builtin_popcountll(a.low) + __builtin_popcountll(a.high));
}
RBMX_INLINE RowSet first_rows(std::int64_t n) {
  const std::uint64_t all = ~std::uint64_t{0};
  return {n >= 64 ? all : (std::uint64_t{1} << n) - 1, n <= 64 ? 0
                                                       : n == 128
                                                           ? all
                                                           : (std::uint64_t{1} << (n - 64)) - 1};
}

RBMX_INLINE int list_rows_of_unit(RowSet rows, std::int64_t base, std::uint16_t pitch,
                                  std::uint16_t* out) {
  int n = 0;
  const std::uint32_t words[4] = {
      static_cast<std::uint32_t>(rows.low), static_cast<std::uint32_t>(rows.low >> 32),
      static_cast<std::uint32_t>(rows.high), static_cast<std::uint32_t>(rows.high >> 32)};
  for (int i = 0; i < 4; ++i) {
    n += list_ones(words[i], static_cast<std::uint16_t>((base + 32 * i) * pitch), pitch, out + n);
  }
  return n;
}

// The lists and differences of the 256 units from quad * 256 on, for all chunks.
static inline void list_units(const UnitLists& lists, const Chunks& chunks, std::int64_t quad,
                              const Bits& data, const Bits& samples) {
  const std::int64_t unit0 = quad * kQuadUnits, word = unit0 / 64;
  Quad v0[2][64], v1[2][64];
  std::memset(lists.difference + unit0, 0, kQuadUnits * sizeof(std::int64_t));
  std::memset(lists.idle + unit0, 1, kQuadUnits);
  std::memset(v0, 0, sizeof v0);
  std::memset(v1, 0, sizeof v1);
  for (std::int64_t c = 0; c < chunks.count; ++c) {
    const Chunk chunk = chunks.chunk[c];
    const RowSet all = first_rows(chunk.rows);
    if (chunk.phase != Phase::negative) rows_of_units(data, word, chunk.first, chunk.rows, v0);
    if (chunk.phase != Phase::positive) rows_of_units(samples, word, chunk.first, chunk.rows, v1);
    for (std::int64_t u = 0; u < kQuadUnits; ++u) {
      const std::int64_t list = c * lists.units + unit0 + u;
      std::uint16_t* out = lists.entries + list * kListRoom;
      RowSet on0 = {v0[0][u & 63][u >> 6], v0[1][u & 63][u >> 6]};
      RowSet on1 = {v1[0][u & 63][u >> 6], v1[1][u & 63][u >> 6]};
      const std::int32_t some = count(chunk.phase == Phase::both       ? on0 | on1
                                      : chunk.phase == Phase::positive ? on0
                                                                       : on1);
      lists.lengths[list] = 0;
      lists.missing[list] = 0;
      if (some == 0) continue;
      lists.idle[unit0 + u] = 0;
      if (chunk.phase == Phase::both) {
        lists.difference[unit0 + u] += count(on0) - count(on1);
      } else if (chunk.phase == Phase::positive) {
        lists.difference[unit0 + u] += chunks.positive_scale * count(on0);
      } else {
        lists.difference[unit0 + u] -= chunks.negative_scale * count(on1);
      }
      const std::int32_t lacking = static_cast<std::int32_t>(chunk.rows) -
                                   (chunk.phase == Phase::both ? count(on0 & on1) : some);
      if (lacking < some) {
        lists.missing[list] = 1;
        // on in the sample alone misses p0, on in the data alone -p1, off in both p0 - p1
        on0 = without(all, on0);
        on1 = without(all, on1);
      }
      int n = 0;
      if (chunk.phase == Phase::both) {
        n = list_rows_of_unit(without(on0, on1), 0, lists.pitch, out);
        n += list_rows_of_unit(without(on1, on0), chunk.rows, lists.pitch, out + n);
        n += list_rows_of_unit(on0 & on1, 2 * chunk.rows, lists.pitch, out + n);
      } else {
        n = list_rows_of_unit(chunk.phase == Phase::positive ? on0 : on1, 0, lists.pitch, out);
      }
      if (n % 2 != 0) out[n++] = static_cast<std::uint16_t>(zero_row(chunk) * lists.pitch);
      lists.lengths[list] = static_cast<std::uint16_t>(n);
    }
  }
}

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
// `positive` is the whole difference and `negative` zero. n_units includes padding. Idle units,
// whose sums are zero, are passed over where skip_idle says so.
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
