// Packed bits: bit i of a row is bit (i mod 64) of word i / 64.
#pragma once

#include <cstdint>

namespace rbmx {

__attribute__((always_inline)) constexpr std::int64_t round_up(std::int64_t n,
                                                               std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
__attribute__((always_inline)) constexpr std::int64_t words_for(std::int64_t bits) {
  return (bits + 63) / 64;
}

__attribute__((always_inline)) inline bool get_bit(const std::uint64_t* row, std::int64_t i) {
  return (row[i >> 6] >> (i & 63)) & 1u;
}
__attribute__((always_inline)) inline void set_bit(std::uint64_t* row, std::int64_t i, bool value) {
  const std::uint64_t mask = std::uint64_t{1} << (i & 63);
  row[i >> 6] = value ? row[i >> 6] | mask : row[i >> 6] & ~mask;
}

}  // namespace rbmx
