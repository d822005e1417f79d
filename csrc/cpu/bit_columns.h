// Rows of bits turned into columns: for each unit a word of which bit r is row r.
#pragma once

#include "cpu/simd.h"
#include "rbmx/bits.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

inline constexpr std::int64_t kQuadUnits =
    256;  // visible units whose lists are built together: four words

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

}  // namespace RBMX_ISA
}  // namespace rbmx
