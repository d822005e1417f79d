// c (m, n) = a (m, k) b (k, n) with one chain of fused multiply-adds over k for each output, from
// zero and in the order of k: the same bytes for any blocking, split of rows, thread count and
// instruction set.
#pragma once

#include "cpu/gemm_tile.h"
#include "cpu/transpose.h"
#include "rbmx/arena.h"

namespace rbmx {
namespace RBMX_ISA {

inline constexpr std::int64_t kDepth = 256;  // of packed a and b; a tile's columns of b fit L1
inline constexpr std::int64_t kBlockRows = 12 * kTileRows;
inline constexpr std::int64_t kBlockColumns = 16 * kTileColumns;

struct GemmScratch {
  float* a;  // (kBlockRows, kDepth): rows of depth, or for each tile of rows (depth, kTileRows)
  float* b;  // for each tile of columns (kDepth, kTileColumns)
};

RBMX_INLINE GemmScratch make_gemm_scratch(Arena& arena) {
  return {arena.take<float>(kBlockRows * kDepth), arena.take<float>(kBlockColumns * kDepth)};
}

// Keeps the order in memory: rows of a stay rows, columns stay columns.
static inline Strided pack_a(const Strided& a, std::int64_t rows, std::int64_t depth, float* to) {
  if (a.column == 1) {
    for (std::int64_t i = 0; i < rows; ++i) {
      std::memcpy(to + i * kDepth, a.values + i * a.row,
                  static_cast<std::size_t>(depth) * sizeof(float));
    }
    return {to, kDepth, 1};
  }
  for (std::int64_t first = 0; first < rows; first += kTileRows) {
    const std::int64_t live = smaller(kTileRows, rows - first);
    for (std::int64_t p = 0; p < depth; ++p) {
      const Strided from = a.at(first, p);
      float* out = to + first * kDepth + p * kTileRows;
      if (live == kTileRows && a.row == 1) {
        std::memcpy(out, from.values, kTileRows * sizeof(float));
      } else {
        for (std::int64_t r = 0; r < live; ++r) out[r] = from.values[r * a.row];
      }
    }
  }
  return {to, 1, kTileRows};
}

// to[(tile * kDepth + p) * kTileColumns + column % kTileColumns], zero past the last column
static inline void pack_b(const Strided& b, std::int64_t columns, std::int64_t depth, float* to) {
  for (std::int64_t first = 0; first < columns; first += kLanes) {
    const std::int64_t live = smaller(kLanes, columns - first);
    float* out = to + first / kTileColumns * kTileColumns * kDepth + first % kTileColumns;
    std::int64_t p = 0;
    if (live == kLanes && b.row == 1) {
      for (; p + kLanes <= depth; p += kLanes) {
        transpose_tile(b.at(p, first).values, b.column, out + p * kTileColumns, kTileColumns);
      }
    }
    for (; p < depth; ++p) {
      const Strided from = b.at(p, first);
      Floats row{};
      if (live == kLanes && b.column == 1) {
        row = load<Floats>(from.values);
      } else {
        for (std::int64_t j = 0; j < live; ++j) row[j] = from.values[j * b.column];
      }
      store(out + p * kTileColumns, row);
    }
  }
}

// A tile that hangs over the last column goes through a whole one.
static inline void multiply_edge(std::int64_t rows, std::int64_t columns, const Strided& a,
                                 const float* b, std::int64_t depth, bool goes_on, float* c,
                                 std::int64_t c_pitch) {
  float tile[kTileRows * kTileColumns] = {};
  const auto bytes = static_cast<std::size_t>(columns) * sizeof(float);
  for (std::int64_t r = 0; r < rows; ++r)
    if (goes_on) std::memcpy(tile + r * kTileColumns, c + r * c_pitch, bytes);
  multiply_rows(rows, a, b, kTileColumns, depth, goes_on, tile, kTileColumns);
  for (std::int64_t r = 0; r < rows; ++r)
    std::memcpy(c + r * c_pitch, tile + r * kTileColumns, bytes);
}

// One thread's product; rows of c stand c_pitch apart.
static inline void gemm_slice(std::int64_t m, std::int64_t n, std::int64_t k, const Strided& a,
                              const Strided& b, float* c, std::int64_t c_pitch,
                              const GemmScratch& scratch) {
  for (std::int64_t i = 0; k == 0 && i < m; ++i)
    std::memset(c + i * c_pitch, 0, static_cast<std::size_t>(n) * sizeof(float));
  for (std::int64_t j0 = 0; j0 < n; j0 += kBlockColumns) {
    const std::int64_t columns = smaller(kBlockColumns, n - j0);
    for (std::int64_t k0 = 0; k0 < k; k0 += kDepth) {
      const std::int64_t depth = smaller(kDepth, k - k0);
      pack_b(b.at(k0, j0), columns, depth, scratch.b);
      for (std::int64_t i0 = 0; i0 < m; i0 += kBlockRows) {
        const std::int64_t rows = smaller(kBlockRows, m - i0);
        const Strided packed = pack_a(a.at(i0, k0), rows, depth, scratch.a);
        for (std::int64_t j = 0; j < columns; j += kTileColumns) {
          for (std::int64_t i = 0; i < rows; i += kTileRows) {
            const Strided tile = {scratch.a + i * kDepth, packed.row, packed.column};
            const std::int64_t height = smaller(kTileRows, rows - i);
            float* out = c + (i0 + i) * c_pitch + j0 + j;
            if (columns - j >= kTileColumns) {
              multiply_rows(height, tile, scratch.b + j * kDepth, kTileColumns, depth, k0 != 0, out,
                            c_pitch);
            } else {
              multiply_edge(height, columns - j, tile, scratch.b + j * kDepth, depth, k0 != 0, out,
                            c_pitch);
            }
          }
        }
      }
    }
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
