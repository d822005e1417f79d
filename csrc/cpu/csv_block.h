// A block of 64 bytes of CSV text and the fields of one to three digits that end in it:
//   value[s] = digit[s-1] + 10 digit[s-2] + 100 digit[s-3] for every separator s.
// An instruction set offers a CsvBlock with `separators` and
//   ends_line(block), newlines(block)
//   compact(block, out)   the values side by side; up to 64 bytes may change
//   above(block, limit)   bit i is value i > limit, for limit in -1 .. 255
// and a CsvReader with
//   begin()               of a line
//   is_zeros(text)        whether all of a block is "0,0,...,0,"
//   read(text, before)    the block at text, where the three bytes before it are looked at too;
//                         before: the separators of the 64 bytes before
//   in_doubt()            whether there was a byte neither digit nor separator, or a value over 255
#pragma once

#if defined(__AVX512VBMI2__)
#include "cpu/csv_block_avx512.h"
#else
#include "cpu/csv_block_avx2.h"
#endif

namespace rbmx {
namespace RBMX_ISA {

inline constexpr std::int64_t kCsvBlock = 64;

// Where fields end, from block to block.
struct CsvShape {
  std::uint64_t before = std::uint64_t{1} << 63;  // separators of the block before; a field begins
  std::uint64_t pairs = 0;                        // its digits that follow a digit

  // Whether all of that block, but maybe its last byte, was fields of one digit, and where the
  // field that is open at its end begins: 0 or 1 byte before this one.
  RBMX_ALWAYS_INLINE bool one_digit_fields() const {
    return before == 0xAAAAAAAAAAAAAAAAu || before == 0x5555555555555555u;
  }
  RBMX_ALWAYS_INLINE std::int64_t open() const { return static_cast<std::int64_t>(~before >> 63); }

  // Bits at empty fields and at the fourth digits of fields.
  RBMX_ALWAYS_INLINE std::uint64_t misfits(std::uint64_t separators) {
    const std::uint64_t behind = separators << 1 | before >> 63;
    const std::uint64_t pairs_now = ~(separators | behind);
    const std::uint64_t fourths = pairs_now & (pairs_now << 2 | pairs >> 62);
    before = separators;
    pairs = pairs_now;
    return (separators & behind) | fourths;
  }
};

}  // namespace RBMX_ISA
}  // namespace rbmx
