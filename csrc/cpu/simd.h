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
typedef std::int16_t WideShorts __attribute__((vector_size(4 * kLanes)));
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

RBMX_INLINE Ints to_ints(Shorts v) { return __builtin_convertvector(v, Ints); }
RBMX_INLINE Floats to_floats(Ints v) { return __builtin_convertvector(v, Floats); }
RBMX_INLINE Ints truncate(Floats v) { return __builtin_convertvector(v, Ints); }
RBMX_INLINE Words lane_numbers() {
  Words v;
  for (int i = 0; i < kLanes; ++i) v[i] = static_cast<std::uint32_t>(i);
  return v;
}

// a > b ? a : b and a < b ? a : b, so b where either is not a number
RBMX_INLINE Floats larger(Floats a, Floats b) {
#if defined(__AVX512F__)
  return (Floats)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Floats)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return a > b ? a : b;
#endif
}
RBMX_INLINE Ints larger(Ints a, Ints b) { return a > b ? a : b; }
RBMX_INLINE Floats smaller(Floats a, Floats b) {
#if defined(__AVX512F__)
  return (Floats)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Floats)_mm256_min_ps((__m256)a, (__m256)b);
#else
  return a < b ? a : b;
#endif
}

// correctly rounded square root
RBMX_INLINE float root(float v) { return __builtin_sqrtf(v); }
RBMX_INLINE Floats root(Floats v) {
#if defined(__AVX512F__)
  return (Floats)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__)
  return (Floats)_mm256_sqrt_ps((__m256)v);
#else
  for (int i = 0; i < kLanes; ++i) v[i] = root(v[i]);
  return v;
#endif
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

// kOnes[byte] names the ones of a byte, from the lowest on.
struct OnesOfBytes {
  std::uint8_t position[256][8];
};
constexpr OnesOfBytes ones_of_bytes() {
  OnesOfBytes table = {};
  for (int byte = 0; byte < 256; ++byte) {
    int n = 0;
    for (int bit = 0; bit < 8; ++bit) {
      if ((byte >> bit & 1) != 0) table.position[byte][n++] = static_cast<std::uint8_t>(bit);
    }
  }
  return table;
}
alignas(64) static constexpr OnesOfBytes kOnes = ones_of_bytes();

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
#elif defined(__AVX2__)
  const std::uint16_t* const begin = out;
  const __m128i step = _mm_set1_epi16(static_cast<short>(pitch));
  __m128i base = _mm_set1_epi16(static_cast<short>(start));
  for (int i = 0; i < 4; ++i, word >>= 8, base = _mm_add_epi16(base, _mm_slli_epi16(step, 3))) {
    const std::uint32_t byte = word & 0xFFu;
    const __m128i positions =
        _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kOnes.position[byte])));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm_add_epi16(base, _mm_mullo_epi16(positions, step)));
    out += __builtin_popcount(byte);
  }
  return static_cast<int>(out - begin);
#else
  int n = 0;
  for (; word != 0; word &= word - 1) {
    out[n++] = static_cast<std::uint16_t>(start + __builtin_ctz(word) * pitch);
  }
  return n;
#endif
}

// Two vectors of integers as shorts, larger ones saturated, in the order that add_rows undoes.
RBMX_INLINE WideShorts pack(Ints a, Ints b) {
#if defined(__AVX512F__)
  return (WideShorts)_mm512_packs_epi32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (WideShorts)_mm256_packs_epi32((__m256i)a, (__m256i)b);
#else
  WideShorts out;
  for (int i = 0; i < 2 * kLanes; ++i) {
    const std::int32_t value = i < kLanes ? a[i] : b[i - kLanes];
    out[i] = static_cast<std::int16_t>(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
  }
  return out;
#endif
}

// low and high += the packed shorts at a and at b, widened: the shorts of a and b are brought
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

}  // namespace RBMX_ISA

template <>
struct Lanes<RBMX_ISA::Floats> {
  static RBMX_ALWAYS_INLINE RBMX_ISA::Floats splat(float x) { return RBMX_ISA::Floats{} + x; }
  static RBMX_ALWAYS_INLINE RBMX_ISA::Floats at_least(RBMX_ISA::Floats x, float low) {
    return RBMX_ISA::larger(RBMX_ISA::Floats{} + low, x);
  }
  static RBMX_ALWAYS_INLINE RBMX_ISA::Floats at_most(RBMX_ISA::Floats x, float high) {
    return RBMX_ISA::smaller(RBMX_ISA::Floats{} + high, x);
  }
  static RBMX_ALWAYS_INLINE RBMX_ISA::Floats power_of_two(RBMX_ISA::Floats rounded) {
    return (RBMX_ISA::Floats)(((RBMX_ISA::Words)rounded + 127u) << 23);
  }
  static RBMX_ALWAYS_INLINE RBMX_ISA::Floats fraction(RBMX_ISA::Floats x, RBMX_ISA::Floats& n) {
    const RBMX_ISA::Ints exponent = ((RBMX_ISA::Ints)x - kRootOfHalf) >> 23;
    n = RBMX_ISA::to_floats(exponent);
    return (RBMX_ISA::Floats)((RBMX_ISA::Ints)x - (exponent << 23));
  }
  static RBMX_ALWAYS_INLINE RBMX_ISA::Floats root(RBMX_ISA::Floats x) { return RBMX_ISA::root(x); }
};

}  // namespace rbmx
