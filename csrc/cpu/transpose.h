// Square tiles of floats, turned in registers.
#pragma once

#include "cpu/simd.h"

namespace rbmx {
namespace RBMX_ISA {

// tile[r] holds lane c = element (r, c); afterwards tile[c] holds lane r
RBMX_INLINE void transpose(Floats (&tile)[kLanes]) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  // GCC 12 makes a permutation and a blend of each shuffle in simd.h; these are one instruction
  __m256 pairs[8], fours[8];
  for (int r = 0; r < 8; r += 2) {
    pairs[r] = _mm256_unpacklo_ps((__m256)tile[r], (__m256)tile[r + 1]);
    pairs[r + 1] = _mm256_unpackhi_ps((__m256)tile[r], (__m256)tile[r + 1]);
  }
  for (int r = 0; r < 8; r += 4) {
    fours[r] = _mm256_shuffle_ps(pairs[r], pairs[r + 2], 0x44);
    fours[r + 1] = _mm256_shuffle_ps(pairs[r], pairs[r + 2], 0xEE);
    fours[r + 2] = _mm256_shuffle_ps(pairs[r + 1], pairs[r + 3], 0x44);
    fours[r + 3] = _mm256_shuffle_ps(pairs[r + 1], pairs[r + 3], 0xEE);
  }
  for (int r = 0; r < 4; ++r) {
    tile[r] = (Floats)_mm256_permute2f128_ps(fours[r], fours[r + 4], 0x20);
    tile[r + 4] = (Floats)_mm256_permute2f128_ps(fours[r], fours[r + 4], 0x31);
  }
#else
  Ints whole[kLanes];
  for (int r = 0; r < kLanes; ++r) whole[r] = (Ints)tile[r];
  transpose(whole);
  for (int r = 0; r < kLanes; ++r) tile[r] = (Floats)whole[r];
#endif
}

}  // namespace RBMX_ISA
}  // namespace rbmx
