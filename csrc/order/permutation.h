// Seeded orders of rows.
#pragma once

#include <cstdint>

#include "rbmx/philox.h"

namespace rbmx {

// A uniformly random order of 0 .. n - 1 by Fisher and Yates: from i = n - 1 down to 1, swap place
// i with place floor(r * (i + 1) / 2^64), r the 64 bits of the first two words of Philox at counter
// (i, i >> 32, 0, 0).
void permutation(std::int64_t n, Key key, std::int64_t* out);

}  // namespace rbmx
