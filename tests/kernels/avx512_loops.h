// The AVX-512 instructions that csrc/cpu uses, as loops over their elements, so that the AVX-512
// kernels can be compiled and their bytes compared on a processor without them: `make test-avx512`
// forces this header into every source of that instruction set. Slow, and for tests only.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512DQ__ 1
#define __AVX512VL__ 1
#define __AVX512VBMI2__ 1
#define __AVX512VNNI__ 1

namespace emulated {
#define RBMX_LOOP static inline __attribute__((always_inline))

template <class T, class V>
struct Elements {
  T v[sizeof(V) / sizeof(T)];
  Elements(V x) { std::memcpy(v, &x, sizeof x); }
  Elements() {}
  operator V() const {
    V x;
    std::memcpy(&x, v, sizeof x);
    return x;
  }
};
typedef Elements<std::int32_t, __m512i> I32;
typedef Elements<std::int16_t, __m512i> I16;
typedef Elements<int8_t, __m512i> I8;
typedef Elements<uint8_t, __m512i> U8;
typedef Elements<uint64_t, __m512i> U64;
typedef Elements<uint16_t, __m512i> U16;
typedef Elements<float, __m512> F;
RBMX_LOOP __m512i add_epi16(__m512i a, __m512i b) {
  U16 x(a), y(b);
  for (int i = 0; i < 32; i++) x.v[i] += y.v[i];
  return x;
}
RBMX_LOOP __m512i add_epi8(__m512i a, __m512i b) {
  U8 x(a), y(b);
  for (int i = 0; i < 64; i++) x.v[i] += y.v[i];
  return x;
}
RBMX_LOOP __m512i sub_epi8(__m512i a, __m512i b) {
  U8 x(a), y(b);
  for (int i = 0; i < 64; i++) x.v[i] -= y.v[i];
  return x;
}
RBMX_LOOP __m512i broadcast_i32x4(__m128i a) {
  __m512i r;
  for (int i = 0; i < 4; i++) std::memcpy((char*)&r + 16 * i, &a, 16);
  return r;
}
RBMX_LOOP __m512i castsi128_si512(__m128i a) {
  __m512i r;
  std::memset(&r, 0xAB, 64);
  std::memcpy(&r, &a, 16);
  return r;
}
template <class P>
RBMX_LOOP uint64_t compare_epu8(__m512i a, __m512i b, P p) {
  U8 x(a), y(b);
  uint64_t m = 0;
  for (int i = 0; i < 64; i++) m |= (uint64_t)p(x.v[i], y.v[i]) << i;
  return m;
}
RBMX_LOOP uint32_t cmpneq_epi16_mask(__m512i a, __m512i b) {
  U16 x(a), y(b);
  uint32_t m = 0;
  for (int i = 0; i < 32; i++) m |= (uint32_t)(x.v[i] != y.v[i]) << i;
  return m;
}
RBMX_LOOP __m512i cvtps_epi32(__m512 a) {
  F x(a);
  I32 r;
  for (int i = 0; i < 16; i++) {
    float f = x.v[i];
    r.v[i] = (std::isnan(f) || f >= 2147483648.0f || f < -2147483648.0f)
                 ? INT32_MIN
                 : (std::int32_t)std::nearbyintf(f);
  }
  return r;
}
RBMX_LOOP __m512i dpwssd_epi32(__m512i s, __m512i a, __m512i b) {
  I32 r(s);
  I16 x(a), y(b);
  for (int i = 0; i < 16; i++) r.v[i] += x.v[2 * i] * y.v[2 * i] + x.v[2 * i + 1] * y.v[2 * i + 1];
  return r;
}
RBMX_LOOP __m512 fmadd_ps(__m512 a, __m512 b, __m512 c) {
  __m512 r;
  for (int i = 0; i < 2; i++) {
    __m256 x, y, z;
    std::memcpy(&x, (char*)&a + 32 * i, 32);
    std::memcpy(&y, (char*)&b + 32 * i, 32);
    std::memcpy(&z, (char*)&c + 32 * i, 32);
    z = _mm256_fmadd_ps(x, y, z);
    std::memcpy((char*)&r + 32 * i, &z, 32);
  }
  return r;
}
RBMX_LOOP __m512i inserti32x4(__m512i a, __m128i b, int k) {
  std::memcpy((char*)&a + 16 * k, &b, 16);
  return a;
}
RBMX_LOOP __m512i mask_blend_epi32(uint16_t m, __m512i a, __m512i b) {
  I32 x(a), y(b);
  for (int i = 0; i < 16; i++)
    if (m >> i & 1) x.v[i] = y.v[i];
  return x;
}
RBMX_LOOP __m512i maskz_compress_epi16(uint32_t m, __m512i a) {
  U16 x(a), r;
  std::memset(r.v, 0, 64);
  int n = 0;
  for (int i = 0; i < 32; i++)
    if (m >> i & 1) r.v[n++] = x.v[i];
  return r;
}
RBMX_LOOP __m512i maskz_compress_epi8(uint64_t m, __m512i a) {
  U8 x(a), r;
  std::memset(r.v, 0, 64);
  int n = 0;
  for (int i = 0; i < 64; i++)
    if (m >> i & 1) r.v[n++] = x.v[i];
  return r;
}
RBMX_LOOP __m512i maskz_shuffle_epi8(uint64_t m, __m512i a, __m512i b) {
  U8 x(a), y(b), r;
  for (int i = 0; i < 64; i++)
    r.v[i] = (m >> i & 1) && !(y.v[i] & 0x80) ? x.v[(i & ~15) + (y.v[i] & 15)] : 0;
  return r;
}
RBMX_LOOP __m512 sqrt_ps(__m512 a) {
  F x(a);
  for (int i = 0; i < 16; i++) x.v[i] = __builtin_sqrtf(x.v[i]);
  return x;
}
RBMX_LOOP __m512 max_ps(__m512 a, __m512 b) {
  F x(a), y(b);
  for (int i = 0; i < 16; i++) x.v[i] = x.v[i] > y.v[i] ? x.v[i] : y.v[i];
  return x;
}
RBMX_LOOP __m512 min_ps(__m512 a, __m512 b) {
  F x(a), y(b);
  for (int i = 0; i < 16; i++) x.v[i] = x.v[i] < y.v[i] ? x.v[i] : y.v[i];
  return x;
}
RBMX_LOOP uint16_t movepi32_mask(__m512i a) {
  I32 x(a);
  uint16_t m = 0;
  for (int i = 0; i < 16; i++) m |= (uint16_t)((x.v[i] < 0) << i);
  return m;
}
RBMX_LOOP __m512i mul_epu32(__m512i a, __m512i b) {
  U64 x(a), y(b);
  for (int i = 0; i < 8; i++) x.v[i] = (x.v[i] & 0xffffffff) * (y.v[i] & 0xffffffff);
  return x;
}
RBMX_LOOP __m512i mullo_epi16(__m512i a, __m512i b) {
  U16 x(a), y(b);
  for (int i = 0; i < 32; i++) x.v[i] = (uint16_t)(x.v[i] * y.v[i]);
  return x;
}
RBMX_LOOP __m512i packs_epi32(__m512i a, __m512i b) {
  I32 x(a), y(b);
  I16 r;
  auto s = [](std::int32_t v) {
    return (std::int16_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
  };
  for (int l = 0; l < 4; l++)
    for (int i = 0; i < 4; i++) {
      r.v[8 * l + i] = s(x.v[4 * l + i]);
      r.v[8 * l + 4 + i] = s(y.v[4 * l + i]);
    }
  return r;
}
template <class T, class X>
RBMX_LOOP __m512i set1(X v) {
  Elements<T, __m512i> r;
  for (auto& x : r.v) x = (T)v;
  return r;
}
RBMX_LOOP __m512 set1_ps(float v) {
  F r;
  for (auto& x : r.v) x = v;
  return r;
}
RBMX_LOOP __m512i unpack_epi16(__m512i a, __m512i b, int hi) {
  I16 x(a), y(b), r;
  for (int l = 0; l < 4; l++)
    for (int i = 0; i < 4; i++) {
      r.v[8 * l + 2 * i] = x.v[8 * l + 4 * hi + i];
      r.v[8 * l + 2 * i + 1] = y.v[8 * l + 4 * hi + i];
    }
  return r;
}
RBMX_LOOP __m512i load_si512(const void* p) {
  __m512i r;
  std::memcpy(&r, p, 64);
  return r;
}
}  // namespace emulated
#define _mm512_add_epi16 emulated::add_epi16
#define _mm512_add_epi8 emulated::add_epi8
#define _mm512_sub_epi8 emulated::sub_epi8
#define _mm512_broadcast_i32x4 emulated::broadcast_i32x4
#define _mm512_castsi128_si512 emulated::castsi128_si512
#define _mm512_cmpeq_epi8_mask(a, b) \
  emulated::compare_epu8(a, b, [](uint8_t x, uint8_t y) { return x == y; })
#define _mm512_cmpge_epu8_mask(a, b) \
  emulated::compare_epu8(a, b, [](uint8_t x, uint8_t y) { return x >= y; })
#define _mm512_cmple_epu8_mask(a, b) \
  emulated::compare_epu8(a, b, [](uint8_t x, uint8_t y) { return x <= y; })
#define _mm512_mask_cmpgt_epu8_mask(m, a, b) \
  ((m) & emulated::compare_epu8(a, b, [](uint8_t x, uint8_t y) { return x > y; }))
#define _mm512_mask_cmplt_epu8_mask(m, a, b) \
  ((m) & emulated::compare_epu8(a, b, [](uint8_t x, uint8_t y) { return x < y; }))
#define _mm512_cmpneq_epi16_mask emulated::cmpneq_epi16_mask
#define _mm512_cvtps_epi32 emulated::cvtps_epi32
#define _mm512_dpwssd_epi32 emulated::dpwssd_epi32
#define _mm512_fmadd_ps emulated::fmadd_ps
#define _mm512_inserti32x4 emulated::inserti32x4
#define _mm512_load_si512 emulated::load_si512
#define _mm512_mask_blend_epi32 emulated::mask_blend_epi32
#define _mm512_maskz_compress_epi16 emulated::maskz_compress_epi16
#define _mm512_maskz_compress_epi8 emulated::maskz_compress_epi8
#define _mm512_maskz_shuffle_epi8 emulated::maskz_shuffle_epi8
#define _mm512_max_ps emulated::max_ps
#define _mm512_min_ps emulated::min_ps
#define _mm512_movepi32_mask emulated::movepi32_mask
#define _mm512_mul_epu32 emulated::mul_epu32
#define _mm512_mullo_epi16 emulated::mullo_epi16
#define _mm512_packs_epi32 emulated::packs_epi32
#define _mm512_set1_epi16 emulated::set1<std::int16_t>
#define _mm512_set1_epi64 emulated::set1<uint64_t>
#define _mm512_set1_epi8 emulated::set1<int8_t>
#define _mm512_set1_ps emulated::set1_ps
#define _mm512_sqrt_ps emulated::sqrt_ps
#define _mm512_storeu_si512(p, v)     \
  do {                                \
    __m512i t_ = (v);                 \
    std::memcpy((void*)(p), &t_, 64); \
  } while (0)
#define _mm512_unpackhi_epi16(a, b) emulated::unpack_epi16(a, b, 1)
#define _mm512_unpacklo_epi16(a, b) emulated::unpack_epi16(a, b, 0)
