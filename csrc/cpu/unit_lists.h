// For each visible unit and chunk of rows, the rows that its gradient adds up: byte offsets into
// the table of gradient.h.
//
// Where both phases have the same rows, one list serves both: it names row r of the table's first
// part where the unit is on in the data only, of the second where it is on in the sample only, of
// the third where it is on in both. A unit that is on in most rows lists instead what is missing
// from the sum over all rows, in the same way: with what data and sample lack in place of what they
// have.
#pragma once

#include "cpu/bit_columns.h"
#include "rbmx/arena.h"
#include "rbmx/bits.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

inline constexpr std::int64_t kChunkRows = 128;

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

// Of batches of up to `rows` rows; chains: persistent ones, 0 for CD.
RBMX_INLINE std::int64_t most_chunks(std::int64_t rows, std::int64_t chains) {
  const auto chunks = [](std::int64_t n) { return (n + kChunkRows - 1) / kChunkRows; };
  return chunks(rows) + chunks(chains);
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

}  // namespace RBMX_ISA
}  // namespace rbmx
