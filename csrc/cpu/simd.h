// Vectors for one instruction set: arithmetic by the compiler's vector extension, so one source
// serves all; the few operations that it lacks are intrinsics below, with a plain form for any
// other processor. Everything is elementwise, so the number of lanes never changes a result.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "rbmx/math.h"

namespace rbmx {
namespace RBMX_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#else
inline constexpr int kLanes = 8;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef std::uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef std::int16_t Shorts __attribute__((vector_size(2 * kLanes)));
typedef double Doubles __attribute__((vector_size(8 * kLanes)));

#define RBMX_INLINE static RBMX_ALWAYS_INLINE

RBMX_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

template <class V, class T>
RBMX_INLINE V load(const T* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class V, class T>
RBMX_INLINE void store(T* p, V v) {
  std::memcpy(p, &v, sizeof v);
}

RBMX_INLINE Ints to_ints(Shorts v) {
#if defined(__AVX512F__)
  return (Ints)_mm512_cvtepi16_epi32((__m256i)v);  // GCC 12 would widen the halves one by one
#else
  return __builtin_convertvector(v, Ints);
#endif
}
RBMX_INLINE Shorts to_shorts(Ints v) {
#if defined(__AVX512F__)
  return (Shorts)_mm512_cvtepi32_epi16((__m512i)v);
#else
  return __builtin_convertvector(v, Shorts);
#endif
}
RBMX_INLINE Floats to_floats(Ints v) { return __builtin_convertvector(v, Floats); }
RBMX_INLINE Ints truncate(Floats v) { return __builtin_convertvector(v, Ints); }
RBMX_INLINE Words lane_numbers() {
  Words v;
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<std::uint32_t>(i);
  return v;
}

// nearest integer, ties to even; |v| < 2^31
RBMX_INLINE Ints round_to_ints(Floats v) {
#if defined(__AVX512F__)
  return (Ints)_mm512_cvtps_epi32((__m512)v);
#elif defined(__AVX2__)
  return (Ints)_mm256_cvtps_epi32((__m256)v);
#elif defined(__SSE2__)
  Ints out;
  const __m128i low = _mm_cvtps_epi32(load<__m128>(&v));
  const __m128i high = _mm_cvtps_epi32(load<__m128>(reinterpret_cast<const float*>(&v) + 4));
  std::memcpy(&out, &low, 16);
  std::memcpy(reinterpret_cast<char*>(&out) + 16, &high, 16);
  return out;
#else
  Ints out;
  for (int i = 0; i < kLanes; ++i) out[i] = static_cast<std::int32_t>(__builtin_rintf(v[i]));
  return out;
#endif
}

// bit i of the result is the sign bit of lane i
RBMX_INLINE std::uint32_t sign_mask(Ints v) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)v);
#elif defined(__AVX2__)
  return static_cast<std::uint32_t>(_mm256_movemask_ps((__m256)v));
#elif defined(__SSE2__)
  const __m128 low = load<__m128>(&v);
  const __m128 high = load<__m128>(reinterpret_cast<const char*>(&v) + 16);
  return static_cast<std::uint32_t>(_mm_movemask_ps(low) | _mm_movemask_ps(high) << 4);
#else
  std::uint32_t mask = 0;
  for (int i = 0; i < kLanes; ++i) mask |= static_cast<std::uint32_t>(v[i] < 0) << i;
  return mask;
#endif
}

// high and low halves of the 64-bit products of each lane with m
RBMX_INLINE void multiply(Words v, std::uint32_t m, Words& high, Words& low) {
#if defined(__AVX512F__)
  const __m512i x = (__m512i)v, f = _mm512_set1_epi64(m);
  const __m512i even = _mm512_mul_epu32(x, f), odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), f);
  high = (Words)_mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
  low = (Words)_mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
#elif defined(__AVX2__)
  const __m256i x = (__m256i)v, f = _mm256_set1_epi64x(m);
  const __m256i even = _mm256_mul_epu32(x, f), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), f);
  high = (Words)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
  low = (Words)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
#else
  typedef std::uint64_t Wide __attribute__((vector_size(8 * kLanes)));
  const Wide product = __builtin_convertvector(v, Wide) * m;
  high = __builtin_convertvector(product >> 32, Words);
  low = __builtin_convertvector(product, Words);
#endif
}

// a * b + c, fused where the processor can: where the last bit does not matter
RBMX_INLINE Floats about(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
  return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// Half as many lanes of 64 bits, in the same register.
typedef std::uint64_t Longs __attribute__((vector_size(4 * kLanes)));

// products of the low 32 bits of each lane with m
RBMX_INLINE Longs multiply_low(Longs v, std::uint32_t m) {
#if defined(__AVX512F__)
  return (Longs)_mm512_mul_epu32((__m512i)v, _mm512_set1_epi64(m));
#elif defined(__AVX2__)
  return (Longs)_mm256_mul_epu32((__m256i)v, _mm256_set1_epi64x(m));
#else
  return (v & 0xFFFFFFFFu) * m;
#endif
}

// The positions of the ones of word, each turned into start + position * pitch, written to out;
// returns how many. Up to kListSlack entries past the last one may be overwritten.
inline constexpr int kListSlack = 32;
RBMX_INLINE int list_ones(std::uint32_t word, std::uint16_t start, std::uint16_t pitch,
                          std::uint16_t* out) {
#if defined(__AVX512VBMI2__)
  alignas(64) static constexpr std::uint16_t kLadder[32] = {
      0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
      16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
  const __m512i steps =
      _mm512_mullo_epi16(_mm512_load_si512(kLadder), _mm512_set1_epi16(static_cast<short>(pitch)));
  const __m512i entries = _mm512_add_epi16(_mm512_set1_epi16(static_cast<short>(start)), steps);
  _mm512_storeu_si512(out, _mm512_maskz_compress_epi16(word, entries));
  return __builtin_popcount(word);
#else
  int n = 0;
  for (; word != 0; word &= word - 1) {
    out[n++] = static_cast<std::uint16_t>(start + __builtin_ctz(word) * pitch);
  }
  return n;
#endif
}

// Two vectors of shorts, side by side.
struct ShortPair {
  Shorts first;
  Shorts second;
};

// The order in which add_rows wants a pair of vectors of shorts to stand in memory.
RBMX_INLINE ShortPair interleaved(ShortPair natural) {
#if defined(__AVX512VNNI__)
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
  const __m512i pair = _mm512_permutexvar_epi64(order, load<__m512i>(&natural));
  std::memcpy(&natural, &pair, sizeof natural);
#elif defined(__AVX2__)
  const __m256i pair = _mm256_permute4x64_epi64(load<__m256i>(&natural), 0xD8);
  std::memcpy(&natural, &pair, sizeof natural);
#endif
  return natural;
}

// low and high += the interleaved pairs at a and at b, widened: the shorts of a and b are brought
// together lane by lane, so that one multiply-add by ones widens and sums both.
RBMX_INLINE void add_rows(const std::int16_t* a, const std::int16_t* b, Ints& low, Ints& high) {
#if defined(__AVX512VNNI__)
  const __m512i x = load<__m512i>(a), y = load<__m512i>(b), ones = _mm512_set1_epi16(1);
  low = (Ints)_mm512_dpwssd_epi32((__m512i)low, _mm512_unpacklo_epi16(x, y), ones);
  high = (Ints)_mm512_dpwssd_epi32((__m512i)high, _mm512_unpackhi_epi16(x, y), ones);
#elif defined(__AVX2__)
  const __m256i x = load<__m256i>(a), y = load<__m256i>(b), ones = _mm256_set1_epi16(1);
  low += (Ints)_mm256_madd_epi16(_mm256_unpacklo_epi16(x, y), ones);
  high += (Ints)_mm256_madd_epi16(_mm256_unpackhi_epi16(x, y), ones);
#else
  low += to_ints(load<Shorts>(a)) + to_ints(load<Shorts>(b));
  high += to_ints(load<Shorts>(a + kLanes)) + to_ints(load<Shorts>(b + kLanes));
#endif
}

// in[r] holds lane c = element (r, c); afterwards in[c] holds lane r
RBMX_INLINE void transpose(Ints (&in)[kLanes]) {
  for (int stride = kLanes / 2; stride > 0; stride /= 2) {
    Ints low_mask, high_mask;
    for (int lane = 0; lane < kLanes; ++lane) {
      const bool second = (lane & stride) != 0;
      low_mask[lane] = second ? kLanes + lane - stride : lane;
      high_mask[lane] = second ? kLanes + lane : lane + stride;
    }
    for (int i = 0; i < kLanes; ++i) {
      if ((i & stride) != 0) continue;
#if defined(__clang__)
      Ints low, high;
      for (int lane = 0; lane < kLanes; ++lane) {
        low[lane] = low_mask[lane] < kLanes ? in[i][low_mask[lane]]
                                            : in[i + stride][low_mask[lane] - kLanes];
        high[lane] = high_mask[lane] < kLanes ? in[i][high_mask[lane]]
                                              : in[i + stride][high_mask[lane] - kLanes];
      }
#else
      const Ints low = __builtin_shuffle(in[i], in[i + stride], low_mask);
      const Ints high = __builtin_shuffle(in[i], in[i + stride], high_mask);
#endif
      in[i] = low;
      in[i + stride] = high;
    }
  }
}

}  // namespace RBMX_ISA

template <>
struct Lanes<RBMX_ISA::Floats> {
  static RBMX_ALWAYS_INLINE RBMX_ISA::Floats splat(float x) { return RBMX_ISA::Floats{} + x; }
  static RBMX_ALWAYS_INLINE RBMX_ISA::Floats power_of_two(RBMX_ISA::Floats rounded) {
    return (RBMX_ISA::Floats)(((RBMX_ISA::Words)rounded + 127u) << 23);
  }
};

}  // namespace rbmx
