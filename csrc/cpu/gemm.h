// c (m, n) = a (m, k) b (k, n) with one chain of fused multiply-adds over k for each output, from
// zero and in the order of k: the same bytes for any blocking, split of rows, thread count and
// instruction set.
#pragma once

#include "cpu/simd.h"
#include "rbmx/arena.h"
#include "rbmx/bits.h"

namespace rbmx {
namespace RBMX_ISA {

#if defined(__AVX512F__)
inline constexpr int kTileRows = 12;
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6;
#else
inline constexpr int kTileRows = 4;
#endif
inline constexpr int kTileVectors = 2;
inline constexpr std::int64_t kTileColumns = kTileVectors * kLanes;
inline constexpr std::int64_t kDepth = 256;  // rows of b in one packed block

// a(i, p) = values[i * row + p * column]
struct Strided {
  const float* values;
  std::int64_t row;
  std::int64_t column;
};

struct GemmScratch {
  float* a;  // (kDepth, kTileRows) of each tile of rows
  float* b;  // (kDepth, kTileColumns)
};

RBMX_INLINE GemmScratch make_gemm_scratch(Arena& arena, std::int64_t max_m) {
  return {arena.take<float>(round_up(max_m, kTileRows) * kDepth),
          arena.take<float>(kDepth * kTileColumns)};
}

RBMX_INLINE Floats fused(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
  return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  for (int i = 0; i < kLanes; ++i) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return c;
#endif
}

// One tile of outputs over one block of depth; c is loaded where the chain goes on.
static inline void gemm_tile(const float* a, const float* b, std::int64_t depth, bool start,
                             float* tile) {
  Floats sum[kTileRows][kTileVectors];
  for (int r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kTileVectors; ++v) {
      sum[r][v] = start ? Floats{} : load<Floats>(tile + r * kTileColumns + v * kLanes);
    }
  }
  for (std::int64_t p = 0; p < depth; ++p) {
    Floats column[kTileVectors];
    for (int v = 0; v < kTileVectors; ++v)
      column[v] = load<Floats>(b + p * kTileColumns + v * kLanes);
    for (int r = 0; r < kTileRows; ++r) {
      const Floats factor = Floats{} + a[p * kTileRows + r];
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = fused(factor, column[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kTileVectors; ++v) store(tile + r * kTileColumns + v * kLanes, sum[r][v]);
  }
}

static inline void gemm_slice(std::int64_t m, std::int64_t n, std::int64_t k, const Strided& a,
                              const Strided& b, float* c, std::int64_t c_row,
                              const GemmScratch& scratch) {
  const std::int64_t row_tiles = (m + kTileRows - 1) / kTileRows;
  if (k == 0) {
    for (std::int64_t i = 0; i < m; ++i)
      std::memset(c + i * c_row, 0, static_cast<std::size_t>(n) * sizeof(float));
  }
  for (std::int64_t k0 = 0; k0 < k; k0 += kDepth) {
    const std::int64_t depth = smaller(kDepth, k - k0);
    for (std::int64_t tile = 0; tile < row_tiles; ++tile) {
      float* packed = scratch.a + tile * kTileRows * kDepth;
      for (std::int64_t p = 0; p < depth; ++p) {
        for (int r = 0; r < kTileRows; ++r) {
          const std::int64_t i = tile * kTileRows + r;
          packed[p * kTileRows + r] = i < m ? a.values[i * a.row + (k0 + p) * a.column] : 0.0f;
        }
      }
    }
    for (std::int64_t j0 = 0; j0 < n; j0 += kTileColumns) {
      const std::int64_t columns = smaller(kTileColumns, n - j0);
      for (std::int64_t p = 0; p < depth; ++p) {
        for (std::int64_t j = 0; j < kTileColumns; ++j) {
          scratch.b[p * kTileColumns + j] =
              j < columns ? b.values[(k0 + p) * b.row + (j0 + j) * b.column] : 0.0f;
        }
      }
      for (std::int64_t tile = 0; tile < row_tiles; ++tile) {
        const std::int64_t i0 = tile * kTileRows, rows = smaller(kTileRows, m - i0);
        float outputs[kTileRows * kTileColumns];
        const auto bytes = static_cast<std::size_t>(columns) * sizeof(float);
        if (k0 != 0) {
          for (std::int64_t r = 0; r < rows; ++r)
            std::memcpy(outputs + r * kTileColumns, c + (i0 + r) * c_row + j0, bytes);
        }
        gemm_tile(scratch.a + tile * kTileRows * kDepth, scratch.b, depth, k0 == 0, outputs);
        for (std::int64_t r = 0; r < rows; ++r)
          std::memcpy(c + (i0 + r) * c_row + j0, outputs + r * kTileColumns, bytes);
      }
    }
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
