// value[s] = digit[s-1] + 10 digit[s-2] + 100 digit[s-3] for every separator s of 64 bytes of text
// that begin with a field, where digits before the field count as none.
#pragma once

#include <cstdint>

#include "cpu/simd.h"

namespace rbmx {
namespace RBMX_ISA {

#if defined(__AVX2__)

inline constexpr std::int64_t kCsvBlock = 64;

// Text is looked at xor '0': digits become 0 to 9, and by its low half a separator is none of them.
inline constexpr char kComma = ',' ^ '0', kNewline = '\n' ^ '0';

// Fields that are empty or longer than three digits, by the separators alone: bits at their ends.
RBMX_INLINE std::uint64_t misshapen(std::uint64_t separators) {
  const std::uint64_t behind = separators << 1 | 1;
  const std::uint64_t within_two = behind | behind << 1;
  const std::uint64_t within_four = within_two | within_two << 2;
  return separators & (behind | ~within_four);
}

#if defined(__AVX512VBMI2__)

struct CsvBlock {
  __m512i values;         // where present is 1; elsewhere anything
  std::uint64_t present;  // here the same as separators
  std::uint64_t separators;
  std::uint64_t newlines;
};

// Whether a byte was neither digit nor separator, or a value was above 255.
struct CsvDoubt {
  std::uint64_t found = 0;
  RBMX_ALWAYS_INLINE bool any() const { return found != 0; }
};

RBMX_INLINE __m512i by_digit(__m128i table) { return _mm512_broadcast_i32x4(table); }

RBMX_INLINE bool is_zeros(const char* text) {
  return _mm512_cmpneq_epi16_mask(load<__m512i>(text), _mm512_set1_epi16('0' | ',' << 8)) == 0;
}

RBMX_INLINE CsvBlock read_block(const char* text, CsvDoubt& doubt) {
  const __m512i x = _mm512_xor_si512(load<__m512i>(text), _mm512_set1_epi8('0'));
  // the bytes one, two and three places before; none are before the first field
  const __m512i lane_before = _mm512_alignr_epi32(x, _mm512_setzero_si512(), 12);
  const __m512i x1 = _mm512_alignr_epi8(x, lane_before, 15);
  const __m512i x2 = _mm512_alignr_epi8(x, lane_before, 14);
  const __m512i x3 = _mm512_alignr_epi8(x, lane_before, 13);
  CsvBlock block;
  block.newlines = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(kNewline));
  const std::uint64_t s = block.newlines | _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(kComma));
  block.separators = block.present = s;
  const std::uint64_t digits = _mm512_cmple_epu8_mask(x, _mm512_set1_epi8(9));
  const std::uint64_t two = s & ~(s << 2 | 2), three = two & ~(s << 3 | 4);
  const __m512i tens = _mm512_maskz_shuffle_epi8(
      two, by_digit(_mm_setr_epi8(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 0, 0, 0, 0, 0, 0)), x2);
  const __m512i hundreds = _mm512_maskz_shuffle_epi8(
      three, by_digit(_mm_setr_epi8(0, 100, -56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), x3);
  const __m512i low = _mm512_add_epi8(x1, tens);
  block.values = _mm512_add_epi8(low, hundreds);
  // a sum that wrapped round is less than what was added
  const std::uint64_t large = _mm512_mask_cmpgt_epu8_mask(three, x3, _mm512_set1_epi8(2)) |
                              _mm512_mask_cmplt_epu8_mask(three, block.values, hundreds);
  doubt.found |= ~(digits | s) | large;
  return block;
}

// Writes the values side by side; up to kCsvBlock bytes from out on may change.
RBMX_INLINE void compact(const CsvBlock& block, std::uint8_t* out) {
  store(out, _mm512_maskz_compress_epi8(block.present, block.values));
}

// bit i: value i > limit, for limit in -1 .. 255
RBMX_INLINE std::uint64_t above(const CsvBlock& block, int limit) {
  const __m512i least = _mm512_set1_epi8(static_cast<char>(limit + 1));
  const std::uint64_t larger = _mm512_cmpge_epu8_mask(block.values, least);
  return limit == 255 ? 0 : _pext_u64(larger, block.present);
}

#else

// Separators have a digit before them, so at most one of two neighbouring bytes is one: values
// stand in the 32 pairs of a block.
struct CsvBlock {
  __m256i values;         // of pairs; where present is 1, elsewhere 0
  std::uint32_t present;  // pairs with a separator
  std::uint64_t separators;
  std::uint64_t newlines;
};

// Whether a byte was neither digit nor separator, or a value was above 255.
struct CsvDoubt {
  __m256i foreign = _mm256_setzero_si256();  // bytes that are neither digit nor separator
  __m256i large = _mm256_setzero_si256();    // 16 bits each, above 255 for a value above 255
  RBMX_ALWAYS_INLINE bool any() const {
    const __m256i all = _mm256_or_si256(foreign, _mm256_srli_epi16(large, 8));
    return _mm256_testz_si256(all, all) == 0;
  }
};

struct CsvHalf {
  __m256i values;      // 16 bits for each pair
  __m256i separators;  // -1 each
  std::uint32_t newlines;
};

RBMX_INLINE __m256i by_digit(__m128i table) { return _mm256_broadcastsi128_si256(table); }

// x: 32 bytes xor '0'; x1, x2, x3: the bytes one, two and three places before
RBMX_INLINE CsvHalf read_half(__m256i x, __m256i x1, __m256i x2, __m256i x3, CsvDoubt& doubt) {
  const __m256i nine = _mm256_set1_epi8(9);
  const __m256i newlines = _mm256_cmpeq_epi8(x, _mm256_set1_epi8(kNewline));
  const __m256i s = _mm256_or_si256(newlines, _mm256_cmpeq_epi8(x, _mm256_set1_epi8(kComma)));
  const __m256i tens = _mm256_shuffle_epi8(
      by_digit(_mm_setr_epi8(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 0, 0, 0, 0, 0, 0)), x2);
  // no hundreds where x2 is a separator: a negative index gives zero
  const __m256i hundreds =
      _mm256_shuffle_epi8(by_digit(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0)),
                          _mm256_or_si256(x3, _mm256_cmpgt_epi8(x2, nine)));
  const __m256i low = _mm256_and_si256(_mm256_add_epi8(x1, tens), s);
  const __m256i high = _mm256_and_si256(hundreds, s);
  CsvHalf half;
  half.values = _mm256_add_epi16(_mm256_maddubs_epi16(low, _mm256_set1_epi8(1)),
                                 _mm256_maddubs_epi16(high, _mm256_set1_epi8(100)));
  half.separators = s;
  half.newlines = static_cast<std::uint32_t>(_mm256_movemask_epi8(newlines));
  doubt.foreign = _mm256_or_si256(doubt.foreign, _mm256_andnot_si256(s, _mm256_subs_epu8(x, nine)));
  doubt.large = _mm256_or_si256(doubt.large, half.values);
  return half;
}

RBMX_INLINE std::uint64_t joined(std::uint32_t low, std::uint32_t high) {
  return low | std::uint64_t{high} << 32;
}

RBMX_INLINE bool is_zeros(const char* text) {
  const __m256i zeros = _mm256_set1_epi16('0' | ',' << 8);
  const __m256i same = _mm256_and_si256(_mm256_cmpeq_epi8(load<__m256i>(text), zeros),
                                        _mm256_cmpeq_epi8(load<__m256i>(text + 32), zeros));
  return _mm256_movemask_epi8(same) == -1;
}

RBMX_INLINE CsvBlock read_block(const char* text, CsvDoubt& doubt) {
  const __m256i zero = _mm256_set1_epi8('0');
  const auto at = [&](int i) { return _mm256_xor_si256(load<__m256i>(text + i), zero); };
  const __m256i x = at(0);
  const __m256i lane_before = _mm256_permute2x128_si256(x, x, 0x08);  // none before the first field
  const CsvHalf a =
      read_half(x, _mm256_alignr_epi8(x, lane_before, 15), _mm256_alignr_epi8(x, lane_before, 14),
                _mm256_alignr_epi8(x, lane_before, 13), doubt);
  const CsvHalf b = read_half(at(32), at(31), at(30), at(29), doubt);
  CsvBlock block;
  block.separators = joined(static_cast<std::uint32_t>(_mm256_movemask_epi8(a.separators)),
                            static_cast<std::uint32_t>(_mm256_movemask_epi8(b.separators)));
  block.newlines = joined(a.newlines, b.newlines);
  // packing works within 128-bit lanes: the permutation puts the four parts back in order
  block.values = _mm256_permute4x64_epi64(_mm256_packus_epi16(a.values, b.values), 0xD8);
  const auto sign_of_pairs = [](__m256i s) { return _mm256_or_si256(s, _mm256_slli_epi16(s, 8)); };
  const __m256i present =
      _mm256_packs_epi16(sign_of_pairs(a.separators), sign_of_pairs(b.separators));
  block.present =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_permute4x64_epi64(present, 0xD8)));
  return block;
}

// For each set of 8 bytes, the places of its bytes in order: what a byte shuffle takes.
struct Gather {
  std::uint64_t places[256];
};
constexpr Gather make_gather() {
  Gather gather{};
  for (unsigned set = 0; set < 256; ++set) {
    int n = 0;
    for (unsigned place = 0; place < 8; ++place) {
      if ((set >> place & 1) != 0) gather.places[set] |= std::uint64_t{place} << (8 * n++);
    }
  }
  return gather;
}
alignas(64) static constexpr Gather kGather = make_gather();

// Writes the values side by side; up to kCsvBlock bytes from out on may change.
RBMX_INLINE void compact(const CsvBlock& block, std::uint8_t* out) {
  const __m128i parts[2] = {_mm256_castsi256_si128(block.values),
                            _mm256_extracti128_si256(block.values, 1)};
  std::uint32_t present = block.present;
  for (int part = 0; part < 4; ++part) {
    const unsigned set = present & 0xff;
    const __m128i bytes = part % 2 == 0 ? parts[part / 2] : _mm_srli_si128(parts[part / 2], 8);
    const __m128i places = _mm_cvtsi64_si128(static_cast<long long>(kGather.places[set]));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(bytes, places));
    out += __builtin_popcount(set);
    present >>= 8;
  }
}

// bit i: value i > limit, for limit in -1 .. 255
RBMX_INLINE std::uint64_t above(const CsvBlock& block, int limit) {
  const __m256i least = _mm256_set1_epi8(static_cast<char>(limit + 1));
  const __m256i larger = _mm256_cmpeq_epi8(_mm256_max_epu8(block.values, least), block.values);
  const auto pairs = static_cast<std::uint32_t>(_mm256_movemask_epi8(larger));
  return limit == 255 ? 0 : _pext_u32(pairs, block.present);
}

#endif
#endif

}  // namespace RBMX_ISA
}  // namespace rbmx
