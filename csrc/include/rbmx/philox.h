// Philox4x32-10: ten rounds of (x0, x1, x2, x3) -> (hi(M1 x2) ^ x1 ^ k0, lo(M1 x2), hi(M0 x0) ^ x3
// ^ k1, lo(M0 x0)). Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011.
#pragma once

#include <array>
#include <cstdint>

namespace rbmx {

struct Key {
  std::uint32_t k0;
  std::uint32_t k1;
};

// Where a random number lives (docs/determinism.md): eight consecutive rows of one unit share one
// call.
struct Counter {
  std::uint32_t unit;
  std::uint32_t row_group;
  std::uint32_t step;
  std::uint32_t stream;
};

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53u;
inline constexpr std::uint32_t kPhiloxM1 = 0xCD9E8D57u;
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9u;
inline constexpr std::uint32_t kPhiloxW1 = 0xBB67AE85u;
inline constexpr int kPhiloxRounds = 10;
inline constexpr int kRowsPerCall = 8;
// Set in the stream word of the second call, which is made only when the first sixteen bits tie.
inline constexpr std::uint32_t kTieBit = 0x80000000u;

inline std::array<std::uint32_t, 4> philox(const Counter& counter, Key key) {
  std::uint32_t x0 = counter.unit, x1 = counter.row_group, x2 = counter.step, x3 = counter.stream;
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t a = std::uint64_t{kPhiloxM0} * x0;
    const std::uint64_t b = std::uint64_t{kPhiloxM1} * x2;
    x0 = static_cast<std::uint32_t>(b >> 32) ^ x1 ^ key.k0;
    x1 = static_cast<std::uint32_t>(b);
    x2 = static_cast<std::uint32_t>(a >> 32) ^ x3 ^ key.k1;
    x3 = static_cast<std::uint32_t>(a);
    key.k0 += kPhiloxW0;
    key.k1 += kPhiloxW1;
  }
  return {x0, x1, x2, x3};
}

}  // namespace rbmx
