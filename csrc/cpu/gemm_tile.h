// A tile of c = a b in registers: each output is one chain of fused multiply-adds over the inner
// index, in its order; a chain that was cut goes on from the partial sum in c.
#pragma once

#include "cpu/simd.h"

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

// a(i, p) = values[i * row + p * column]
struct Strided {
  const float* values;
  std::int64_t row;
  std::int64_t column;

  RBMX_ALWAYS_INLINE Strided at(std::int64_t i, std::int64_t p) const {
    return {values + i * row + p * column, row, column};
  }
};

// x in every lane; a sum with zeros would cost an addition, since it turns -0 into 0
RBMX_INLINE Floats broadcast(float x) {
#if defined(__AVX512F__)
  return (Floats)_mm512_set1_ps(x);
#elif defined(__AVX2__)
  return (Floats)_mm256_set1_ps(x);
#else
  return Floats{x, x, x, x, x, x, x, x};
#endif
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

// c (R, kTileColumns) = a (R, depth) b (depth, kTileColumns), or c + a b where c goes on; rows of b
// and c stand a pitch apart.
template <int R>
static inline void multiply_tile(const Strided& a, const float* b, std::int64_t b_pitch,
                                 std::int64_t depth, bool goes_on, float* c, std::int64_t c_pitch) {
  constexpr int kStep = 3;  // rows reached from one pointer: x86 scales an index by 1 and 2 floats
  Floats sum[R][kTileVectors];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < kTileVectors; ++v)
      sum[r][v] = goes_on ? load<Floats>(c + r * c_pitch + v * kLanes) : Floats{};
  }
  const float* rows[(R + kStep - 1) / kStep];
  for (int r = 0; r < R; r += kStep) rows[r / kStep] = a.values + r * a.row;
  for (std::int64_t p = 0; p < depth; ++p) {
    Floats column[kTileVectors];
    for (int v = 0; v < kTileVectors; ++v) column[v] = load<Floats>(b + v * kLanes);
    for (int r = 0; r < R; ++r) {
      const Floats factor = broadcast(rows[r / kStep][r % kStep * a.row]);
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = fused(factor, column[v], sum[r][v]);
    }
    for (const float*& row : rows) row += a.column;
    b += b_pitch;
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < kTileVectors; ++v) store(c + r * c_pitch + v * kLanes, sum[r][v]);
  }
}

// the same for 1 .. kTileRows rows
template <int R = kTileRows>
static inline void multiply_rows(std::int64_t rows, const Strided& a, const float* b,
                                 std::int64_t b_pitch, std::int64_t depth, bool goes_on, float* c,
                                 std::int64_t c_pitch) {
  if (rows == R) return multiply_tile<R>(a, b, b_pitch, depth, goes_on, c, c_pitch);
  if constexpr (R > 1) multiply_rows<R - 1>(rows, a, b, b_pitch, depth, goes_on, c, c_pitch);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
