// The fields that end in 64 bytes of text, by AVX2 (what a block is: cpu/csv_block.h). Of two
// neighbouring bytes at most one is a separator, so values stand in the 32 pairs of the block.
#pragma once

#include "cpu/simd.h"

namespace rbmx {
namespace RBMX_ISA {

struct CsvHalf {
  __m256i values;      // -1 - value for each pair, 16 bits; 0 in a pair without a separator
  __m256i separators;  // -1 each
  __m256i newlines;    // -1 each
};

struct CsvBlock {
  CsvHalf halves[2];
  std::uint64_t separators;
};

// The sign bits of 64 bytes.
RBMX_INLINE std::uint64_t signs(__m256i low, __m256i high) {
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(low)) |
         static_cast<std::uint64_t>(_mm256_movemask_epi8(high)) << 32;
}

// The sign bits of 32 numbers.
RBMX_INLINE std::uint32_t signs_of_pairs(__m256i low, __m256i high) {
  // packing works within 128-bit lanes: the permutation puts the four parts back in order
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xD8);
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(packed));
}

class CsvReader {
 public:
  // A line begins: what was found in others is forgotten.
  RBMX_ALWAYS_INLINE void begin() { largest_byte_ = largest_value_ = _mm256_setzero_si256(); }

  RBMX_ALWAYS_INLINE bool is_zeros(const char* text) const {
    const __m256i same = _mm256_and_si256(_mm256_cmpeq_epi8(load<__m256i>(text), zeros_),
                                          _mm256_cmpeq_epi8(load<__m256i>(text + 32), zeros_));
    return _mm256_movemask_epi8(same) == -1;
  }

  RBMX_ALWAYS_INLINE CsvBlock read(const char* text, std::uint64_t) {
    CsvBlock block;
    for (int i = 0; i < 2; ++i) block.halves[i] = read_half(text + 32 * i);
    block.separators = signs(block.halves[0].separators, block.halves[1].separators);
    return block;
  }

  RBMX_ALWAYS_INLINE bool in_doubt() const {
    const __m256i foreign = _mm256_subs_epu8(largest_byte_, _mm256_set1_epi8(9));
    const __m256i large = _mm256_cmpgt_epi16(_mm256_set1_epi16(-256), largest_value_);
    const __m256i all = _mm256_or_si256(foreign, large);
    return _mm256_testz_si256(all, all) == 0;
  }

 private:
  // For the low four bits of a byte: those of a digit are 0 to 9, those of a separator more.
  static RBMX_ALWAYS_INLINE __m256i by_digit(int scale, int offset) {
    alignas(16) std::int8_t table[16];
    for (int i = 0; i < 16; ++i) {
      table[i] = static_cast<std::int8_t>((i > 9 ? 0 : smaller(scale * i, 255)) + offset);
    }
    return held(_mm256_broadcastsi128_si256(load<__m128i>(table)));
  }
  // Keeps a constant: the compiler would make it anew for every block.
  static RBMX_ALWAYS_INLINE __m256i held(__m256i v) {
    __asm__("" : "+x"(v));
    return v;
  }
  static RBMX_ALWAYS_INLINE __m256i all(char c) { return held(_mm256_set1_epi8(c)); }

  RBMX_ALWAYS_INLINE CsvHalf read_half(const char* text) {
    const __m256i x = load<__m256i>(text), two_before = load<__m256i>(text - 2);
    CsvHalf half;
    half.newlines = _mm256_cmpeq_epi8(x, newline_);
    const __m256i s = _mm256_or_si256(half.newlines, _mm256_cmpeq_epi8(x, comma_));
    half.separators = s;
    // 1 + digit + 10 digit
    const __m256i low =
        _mm256_add_epi8(_mm256_shuffle_epi8(tens_, two_before), load<__m256i>(text - 1));
    // 50 digit (at most 255), none where two_before is no digit
    const __m256i fifties = _mm256_and_si256(_mm256_shuffle_epi8(fifties_, load<__m256i>(text - 3)),
                                             _mm256_cmpgt_epi8(two_before, below_digits_));
    const __m256i minus_fifties = _mm256_maddubs_epi16(fifties, s);  // a separator weighs -1
    half.values = _mm256_add_epi16(_mm256_maddubs_epi16(low, s),
                                   _mm256_add_epi16(minus_fifties, minus_fifties));
    largest_byte_ =
        _mm256_max_epu8(largest_byte_, _mm256_andnot_si256(s, _mm256_xor_si256(x, digit_zero_)));
    largest_value_ = _mm256_min_epi16(largest_value_, half.values);
    return half;
  }

  const __m256i newline_ = all('\n'), comma_ = all(','), digit_zero_ = all('0');
  const __m256i below_digits_ = all('0' - 1);
  const __m256i tens_ = by_digit(10, 1 - '0'), fifties_ = by_digit(50, 0);
  const __m256i zeros_ = held(_mm256_set1_epi16('0' | ',' << 8));
  __m256i largest_byte_;   // of those that are no separators, xor '0'
  __m256i largest_value_;  // as -1 - value
};

RBMX_INLINE bool ends_line(const CsvBlock& block) {
  const __m256i any = _mm256_or_si256(block.halves[0].newlines, block.halves[1].newlines);
  return _mm256_movemask_epi8(any) != 0;
}
RBMX_INLINE std::uint64_t newlines(const CsvBlock& block) {
  return signs(block.halves[0].newlines, block.halves[1].newlines);
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

RBMX_INLINE void compact(const CsvBlock& block, std::uint8_t* out) {
  const __m256i low = block.halves[0].values, high = block.halves[1].values;
  const __m256i ones = _mm256_set1_epi8(-1);
  const __m256i values = _mm256_permute4x64_epi64(
      _mm256_packus_epi16(_mm256_xor_si256(low, ones), _mm256_xor_si256(high, ones)), 0xD8);
  const __m128i halves[2] = {_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1)};
  std::uint32_t present = signs_of_pairs(low, high);
  for (int part = 0; part < 4; ++part) {
    const unsigned set = present & 0xff;
    const __m128i bytes = part % 2 == 0 ? halves[part / 2] : _mm_srli_si128(halves[part / 2], 8);
    const __m128i places = _mm_cvtsi64_si128(static_cast<long long>(kGather.places[set]));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(bytes, places));
    out += __builtin_popcount(set);
    present >>= 8;
  }
}

RBMX_INLINE std::uint64_t above(const CsvBlock& block, int limit) {
  const __m256i bound = _mm256_set1_epi16(static_cast<short>(-1 - limit));
  const __m256i low = block.halves[0].values, high = block.halves[1].values;
  const std::uint32_t larger =
      signs_of_pairs(_mm256_cmpgt_epi16(bound, low), _mm256_cmpgt_epi16(bound, high));
  return _pext_u32(larger, signs_of_pairs(low, high));
}

}  // namespace RBMX_ISA
}  // namespace rbmx
