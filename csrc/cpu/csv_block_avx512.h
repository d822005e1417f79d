// The fields that end in 64 bytes of text, by AVX-512 (what a block is: cpu/csv_block.h).
#pragma once

#include "cpu/simd.h"

namespace rbmx {
namespace RBMX_ISA {

struct CsvBlock {
  __m512i values;  // of the field that ends at a separator; elsewhere anything
  std::uint64_t separators;
  std::uint64_t newlines;
};

class CsvReader {
 public:
  RBMX_ALWAYS_INLINE void begin() { doubt_ = 0; }

  RBMX_ALWAYS_INLINE bool is_zeros(const char* text) const {
    return _mm512_cmpneq_epi16_mask(load<__m512i>(text), _mm512_set1_epi16('0' | ',' << 8)) == 0;
  }

  RBMX_ALWAYS_INLINE CsvBlock read(const char* text, std::uint64_t before) {
    const __m512i zero = _mm512_set1_epi8('0');
    const auto at = [&](int i) { return _mm512_sub_epi8(load<__m512i>(text + i), zero); };
    const __m512i x = at(0), three_before = at(-3);
    CsvBlock block;
    block.newlines = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('\n' - '0'));
    const std::uint64_t s = block.newlines | _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8(',' - '0'));
    block.separators = s;
    const std::uint64_t digits = _mm512_cmple_epu8_mask(x, _mm512_set1_epi8(9));
    // ends of fields of at least two and of three digits: no separator two or three bytes before
    const std::uint64_t two = s & ~(s << 2 | before >> 62), three = two & ~(s << 3 | before >> 61);
    const __m128i by_ten = _mm_setr_epi8(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 0, 0, 0, 0, 0, 0);
    const __m128i by_hundred =
        _mm_setr_epi8(0, 100, static_cast<char>(200), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m512i tens = _mm512_maskz_shuffle_epi8(two, _mm512_broadcast_i32x4(by_ten), at(-2));
    const __m512i hundreds =
        _mm512_maskz_shuffle_epi8(three, _mm512_broadcast_i32x4(by_hundred), three_before);
    block.values = _mm512_add_epi8(_mm512_add_epi8(at(-1), tens), hundreds);
    // a sum that wrapped round is less than what was added
    doubt_ |= ~(digits | s) |
              _mm512_mask_cmpgt_epu8_mask(three, three_before, _mm512_set1_epi8(2)) |
              _mm512_mask_cmplt_epu8_mask(three, block.values, hundreds);
    return block;
  }

  RBMX_ALWAYS_INLINE bool in_doubt() const { return doubt_ != 0; }

 private:
  std::uint64_t doubt_ = 0;
};

RBMX_INLINE bool ends_line(const CsvBlock& block) { return block.newlines != 0; }
RBMX_INLINE std::uint64_t newlines(const CsvBlock& block) { return block.newlines; }

RBMX_INLINE void compact(const CsvBlock& block, std::uint8_t* out) {
  store(out, _mm512_maskz_compress_epi8(block.separators, block.values));
}

RBMX_INLINE std::uint64_t above(const CsvBlock& block, int limit) {
  const __m512i least = _mm512_set1_epi8(static_cast<char>(limit + 1));
  const std::uint64_t larger = _mm512_cmpge_epu8_mask(block.values, least);
  return limit == 255 ? 0 : _pext_u64(larger, block.separators);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
