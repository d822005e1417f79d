// How the states of an enumerated side are cut (docs/determinism.md): the first kLowUnits or fewer
// units run through their states in the inner loop, where
//   1 + exp(x + d) = (1 + exp(x)) (q + p exp(d)),   p = sigmoid(x),  q = sigmoid(-x)
// leaves one product for each unit of the other side, x from the other units, d from these.
#pragma once

#include <cstdint>

#include "rbmx/kernels.h"
#include "rbmx/partial_sums.h"

namespace rbmx {

inline constexpr std::int64_t kLowUnits = 6;
inline constexpr std::int64_t kHighStates = 64;  // states of the other units in a chunk

struct EnumerationCut {
  std::int64_t low;          // units of the inner loop
  std::int64_t low_states;   // 2^low
  std::int64_t high_states;  // of all other units
  std::int64_t n_chunks;     // of kHighStates or fewer
  std::int64_t fold;         // factors that a part takes before its logarithm is added up
};

// Factors lie between exp(-d) and exp(d), d the largest sum of |weight| of the low units: as many
// low units, and factors in a row, as kProductRange allows.
EnumerationCut cut_enumeration(const Enumeration& e);

}  // namespace rbmx
