// Philox4x32-10 (rbmx/philox.h) for vectors of consecutive units that share row group, step and
// stream.
//
// A vector's even and odd lanes stand in two vectors of 64-bit lanes, of which only the low halves
// count: a 32 x 32 -> 64 bit product then needs nothing moved before or after.
#pragma once

#include "cpu/simd.h"
#include "rbmx/philox.h"

namespace rbmx {
namespace RBMX_ISA {

typedef std::uint64_t Longs __attribute__((vector_size(4 * kLanes)));

// products of the low halves of the lanes with m
RBMX_INLINE Longs multiply_low(Longs v, std::uint32_t m) {
#if defined(__AVX512F__)
  return (Longs)_mm512_mul_epu32((__m512i)v, _mm512_set1_epi64(m));
#elif defined(__AVX2__)
  return (Longs)_mm256_mul_epu32((__m256i)v, _mm256_set1_epi64x(m));
#else
  return (v & 0xFFFFFFFFu) * m;
#endif
}

// the low halves of even, the low halves of odd, in turn
RBMX_INLINE Words in_turn(Longs even, Longs odd) {
#if defined(__AVX512F__)
  return (Words)_mm512_mask_blend_epi32(0xAAAA, (__m512i)even, (__m512i)(odd << 32));
#elif defined(__AVX2__)
  return (Words)_mm256_blend_epi32((__m256i)even, (__m256i)(odd << 32), 0xAA);
#else
  return (Words)((even & 0xFFFFFFFFu) | odd << 32);
#endif
}

// x in every lane
RBMX_INLINE Longs splat(std::uint64_t x) {
#if defined(__AVX512F__)
  return (Longs)_mm512_set1_epi64(static_cast<long long>(x));
#elif defined(__AVX2__)
  return (Longs)_mm256_set1_epi64x(static_cast<long long>(x));
#else
  Longs v;  // lane by lane: GCC 12 vectorises Longs{} + x in schedule() and gets it wrong
  for (std::size_t i = 0; i < sizeof v / sizeof x; ++i) v[i] = x;
  return v;
#endif
}

// The key words of the ten rounds, in every lane.
struct KeySchedule {
  Longs words[kPhiloxRounds][2];
};

RBMX_INLINE KeySchedule schedule(Key key) {
  KeySchedule keys;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    keys.words[round][0] = splat(key.k0);
    keys.words[round][1] = splat(key.k1);
    key.k0 += kPhiloxW0;
    key.k1 += kPhiloxW1;
  }
  return keys;
}

// out[n]: the four words of the units first_unit + n * kLanes + lane
template <int N>
RBMX_INLINE void philox_lanes(std::uint32_t first_unit, std::uint32_t row_group, std::uint32_t step,
                              std::uint32_t stream, const KeySchedule& keys, Words (&out)[N][4]) {
  Longs x0[2 * N], x1[2 * N], x2[2 * N], x3[2 * N];
  for (int i = 0; i < 2 * N; ++i) {
    const Longs units =
        (Longs)(lane_numbers() + (first_unit + static_cast<std::uint32_t>(i / 2 * kLanes)));
    x0[i] = i % 2 == 0 ? units : units >> 32;
    x1[i] = splat(row_group);
    x2[i] = splat(step);
    x3[i] = splat(stream);
  }
#pragma GCC unroll 10
  for (int round = 0; round < kPhiloxRounds; ++round) {
    for (int i = 0; i < 2 * N; ++i) {
      const Longs a = multiply_low(x0[i], kPhiloxM0), b = multiply_low(x2[i], kPhiloxM1);
      x0[i] = b >> 32 ^ x1[i] ^ keys.words[round][0];
      x1[i] = b;
      x2[i] = a >> 32 ^ x3[i] ^ keys.words[round][1];
      x3[i] = a;
    }
  }
  for (int n = 0; n < N; ++n) {
    out[n][0] = in_turn(x0[2 * n], x0[2 * n + 1]);
    out[n][1] = in_turn(x1[2 * n], x1[2 * n + 1]);
    out[n][2] = in_turn(x2[2 * n], x2[2 * n + 1]);
    out[n][3] = in_turn(x3[2 * n], x3[2 * n + 1]);
  }
}

RBMX_INLINE void philox_lanes(std::uint32_t first_unit, std::uint32_t row_group, std::uint32_t step,
                              std::uint32_t stream, Key key, Words (&out)[4]) {
  Words words[1][4];
  philox_lanes<1>(first_unit, row_group, step, stream, schedule(key), words);
  for (int i = 0; i < 4; ++i) out[i] = words[0][i];
}

// The sixteen bits of a call that belong to row `row` (mod 8) of its group.
RBMX_INLINE Ints draw16(const Words (&call)[4], int row) {
  return (Ints)((call[row >> 1] >> (16 * (row & 1))) & 0xFFFFu);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
