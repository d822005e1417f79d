// Square tiles of 32-bit lanes, turned on their way from memory to memory.
#pragma once

#include "cpu/simd.h"

namespace rbmx {
namespace RBMX_ISA {

// Within each group of four lanes: a0 b0 a1 b1, a2 b2 a3 b3, and the same by pairs of lanes.
#if defined(__clang__)
#define RBMX_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define RBMX_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Ints{__VA_ARGS__})
#endif
#if defined(__AVX512F__)
RBMX_INLINE Ints unpack_low(Ints a, Ints b) {
  return RBMX_SHUFFLE(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
}
RBMX_INLINE Ints unpack_high(Ints a, Ints b) {
  return RBMX_SHUFFLE(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
}
RBMX_INLINE Ints unpack_low_pairs(Ints a, Ints b) {
  return RBMX_SHUFFLE(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
}
RBMX_INLINE Ints unpack_high_pairs(Ints a, Ints b) {
  return RBMX_SHUFFLE(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}
#else
RBMX_INLINE Ints unpack_low(Ints a, Ints b) { return RBMX_SHUFFLE(a, b, 0, 8, 1, 9, 4, 12, 5, 13); }
RBMX_INLINE Ints unpack_high(Ints a, Ints b) {
  return RBMX_SHUFFLE(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
}
RBMX_INLINE Ints unpack_low_pairs(Ints a, Ints b) {
  return RBMX_SHUFFLE(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
}
RBMX_INLINE Ints unpack_high_pairs(Ints a, Ints b) {
  return RBMX_SHUFFLE(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
}
#endif
#undef RBMX_SHUFFLE

// four lanes from each of at, at + pitch, at + 2 pitch, ...
template <class T>
RBMX_INLINE Ints load_quarters(const T* at, std::int64_t pitch) {
#if defined(__AVX512F__)
  __m512i v = _mm512_castsi128_si512(load<__m128i>(at));
  v = _mm512_inserti32x4(v, load<__m128i>(at + pitch), 1);
  v = _mm512_inserti32x4(v, load<__m128i>(at + 2 * pitch), 2);
  return (Ints)_mm512_inserti32x4(v, load<__m128i>(at + 3 * pitch), 3);
#elif defined(__AVX2__)
  const __m256i v = _mm256_castsi128_si256(load<__m128i>(at));
  return (Ints)_mm256_inserti128_si256(v, load<__m128i>(at + pitch), 1);
#else
  Ints v;
  for (int quarter = 0; quarter < kLanes / 4; ++quarter)
    std::memcpy(reinterpret_cast<char*>(&v) + 16 * quarter, at + quarter * pitch, 16);
  return v;
#endif
}

// to[c * to_pitch + r] = from[r * from_pitch + c] for r, c < kLanes. Each vector is loaded as four
// columns of every fourth row, so that only shuffles inside groups of four lanes remain.
template <class T>
RBMX_INLINE void transpose_tile(const T* from, std::int64_t from_pitch, T* to,
                                std::int64_t to_pitch) {
  static_assert(sizeof(T) == 4, "a lane holds 32 bits");
  for (int column = 0; column < kLanes; column += 4) {
    Ints x[4];
    for (int r = 0; r < 4; ++r)
      x[r] = load_quarters(from + r * from_pitch + column, 4 * from_pitch);
    const Ints low01 = unpack_low(x[0], x[1]), high01 = unpack_high(x[0], x[1]);
    const Ints low23 = unpack_low(x[2], x[3]), high23 = unpack_high(x[2], x[3]);
    store(to + (column + 0) * to_pitch, unpack_low_pairs(low01, low23));
    store(to + (column + 1) * to_pitch, unpack_high_pairs(low01, low23));
    store(to + (column + 2) * to_pitch, unpack_low_pairs(high01, high23));
    store(to + (column + 3) * to_pitch, unpack_high_pairs(high01, high23));
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
