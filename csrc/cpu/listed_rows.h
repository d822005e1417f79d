// The rows of a matrix as lists of their non-zeros, in order and cut into blocks of columns:
//   index[((block * rows) + row) * capacity + n] = column - block * columns_per_block
// A chain of fused multiply-adds that leaves out its zero factors has the same bytes: a sum plus a
// zero is that sum.
#pragma once

#include "cpu/gemm_tile.h"
#include "rbmx/arena.h"
#include "rbmx/bits.h"

namespace rbmx {
namespace RBMX_ISA {

inline constexpr double kListedDensity = 0.5;  // beyond it tiles of dense products are faster

struct ListedRows {
  std::uint16_t* index;  // null: nothing is listed
  float* values;         // null where every non-zero is a one
  std::int32_t* lengths;
  std::int64_t rows;
  std::int64_t columns_per_block;  // a multiple of 32
  std::int64_t capacity;

  RBMX_ALWAYS_INLINE std::int64_t list(std::int64_t block, std::int64_t row) const {
    return block * rows + row;
  }
};

static inline ListedRows make_listed_rows(Arena& arena, std::int64_t rows, std::int64_t columns,
                                          std::int64_t columns_per_block, bool with_values) {
  const std::int64_t capacity = columns_per_block + kListSlack;
  const std::int64_t lists = (columns + columns_per_block - 1) / columns_per_block * rows;
  return {arena.take<std::uint16_t>(lists * capacity),
          with_values ? arena.take<float>(lists * capacity) : nullptr,
          arena.take<std::int32_t>(lists),
          rows,
          columns_per_block,
          capacity};
}

// The ones of a row of bits.
static inline void list_bits(const ListedRows& lists, std::int64_t row, const std::uint64_t* bits,
                             std::int64_t columns) {
  for (std::int64_t first = 0; first < columns; first += lists.columns_per_block) {
    const std::int64_t list = lists.list(first / lists.columns_per_block, row);
    const std::int64_t last = smaller(first + lists.columns_per_block, columns);
    std::uint16_t* out = lists.index + list * lists.capacity;
    int n = 0;
    for (std::int64_t at = first; at < last; at += 32) {
      const auto word = static_cast<std::uint32_t>(bits[at >> 6] >> (at & 63));
      n += list_ones(word, static_cast<std::uint16_t>(at - first), 1, out + n);
    }
    lists.lengths[list] = n;
  }
}

// The non-zeros of a row of values; returns how many.
static inline std::int64_t list_values(const ListedRows& lists, std::int64_t row,
                                       const float* values, std::int64_t columns) {
  std::int64_t all = 0;
  for (std::int64_t first = 0; first < columns; first += lists.columns_per_block) {
    const std::int64_t list = lists.list(first / lists.columns_per_block, row);
    const std::int64_t last = smaller(first + lists.columns_per_block, columns);
    std::uint16_t* index = lists.index + list * lists.capacity;
    float* out = lists.values + list * lists.capacity;
    std::int64_t n = 0;
    for (std::int64_t at = first; at < last; at += kLanes) {
      Floats v{};
      std::memcpy(&v, values + at,
                  static_cast<std::size_t>(smaller(kLanes, last - at)) * sizeof(float));
      for (std::uint32_t live = sign_mask(v != 0.0f); live != 0; live &= live - 1) {
        const std::int64_t column = at + __builtin_ctz(live);
        index[n] = static_cast<std::uint16_t>(column - first);
        out[n++] = values[column];
      }
    }
    lists.lengths[list] = static_cast<std::int32_t>(n);
    all += n;
  }
  return all;
}

// The lists of the columns of one block of `from`, whose first `rows` rows are listed, in `to`.
static inline void list_columns(const ListedRows& from, std::int64_t block, std::int64_t rows,
                                const ListedRows& to) {
  const std::int64_t first = block * from.columns_per_block;
  const std::int64_t columns = smaller(from.columns_per_block, to.rows - first);
  for (std::int64_t start = 0; start < rows; start += to.columns_per_block) {
    const std::int64_t lists = to.list(start / to.columns_per_block, first);
    std::memset(to.lengths + lists, 0, static_cast<std::size_t>(columns) * sizeof(std::int32_t));
    const std::int64_t end = smaller(start + to.columns_per_block, rows);
    for (std::int64_t row = start; row < end; ++row) {
      const std::int64_t list = from.list(block, row);
      for (std::int64_t n = 0; n < from.lengths[list]; ++n) {
        const std::int64_t source = list * from.capacity + n;
        const std::int64_t column = lists + from.index[source];
        const std::int64_t place = column * to.capacity + to.lengths[column]++;
        to.index[place] = static_cast<std::uint16_t>(row - start);
        if (to.values != nullptr) to.values[place] = from.values[source];
      }
    }
  }
}

// out (last - first, V vectors) = the listed rows first .. last times b (columns, V vectors)
template <int V, bool kOnes>
static inline void multiply_listed(const ListedRows& lists, std::int64_t first, std::int64_t last,
                                   std::int64_t columns, const float* b, float* out) {
  constexpr std::int64_t width = V * kLanes;
  const std::int64_t blocks = (columns + lists.columns_per_block - 1) / lists.columns_per_block;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const float* rows = b + block * lists.columns_per_block * width;
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t list = lists.list(block, row);
      const std::uint16_t* index = lists.index + list * lists.capacity;
      const float* values = kOnes ? nullptr : lists.values + list * lists.capacity;
      float* to = out + (row - first) * width;
      Floats sum[V];
      for (int i = 0; i < V; ++i) sum[i] = block == 0 ? Floats{} : load<Floats>(to + i * kLanes);
      for (std::int32_t n = 0; n < lists.lengths[list]; ++n) {
        const float* from = rows + index[n] * width;
        if constexpr (kOnes) {
          for (int i = 0; i < V; ++i) sum[i] += load<Floats>(from + i * kLanes);
        } else {
          const Floats factor = broadcast(values[n]);
          for (int i = 0; i < V; ++i)
            sum[i] = fused(factor, load<Floats>(from + i * kLanes), sum[i]);
        }
      }
      for (int i = 0; i < V; ++i) store(to + i * kLanes, sum[i]);
    }
  }
}

// Widths of panels in vectors: even, so that a panel is whole tiles of gemm_tile.h.
inline constexpr int kMostVectors = 14;

template <int V = kMostVectors>
static inline void multiply_listed(const ListedRows& lists, std::int64_t first, std::int64_t last,
                                   std::int64_t columns, const float* b, std::int64_t width,
                                   float* out) {
  if (width == V * kLanes) {
    return lists.values == nullptr ? multiply_listed<V, true>(lists, first, last, columns, b, out)
                                   : multiply_listed<V, false>(lists, first, last, columns, b, out);
  }
  if constexpr (V > 2) multiply_listed<V - 2>(lists, first, last, columns, b, width, out);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
