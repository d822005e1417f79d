// From integer sums to means and samples of one panel and a block of rows:
//   x = bias + 2^-20 sum,  mean = sigmoid(x),  sample = u < mean      (docs/determinism.md)
// Eight rows of a unit share a Philox call, so rows are taken in groups of eight, one or two
// vectors of units at a time.
#pragma once

#include "cpu/philox_lanes.h"
#include "cpu/projection.h"

namespace rbmx {
namespace RBMX_ISA {

RBMX_INLINE Floats pre_activation(const Projection& p, const std::int32_t* sums, Floats bias) {
  return bias + to_floats(load<Ints>(sums)) * p.scale;
}

// What a half-step leaves behind: means, or counts, or bits, or counts and bits; null pointers for
// what is not wanted. Row r of the block is row r of means, counts and bits.
struct HalfStepOutput {
  float* means;          // (rows, n_out)
  std::int16_t* counts;  // mean in units of 2^-15, (rows, width) of this panel, packed by pairs
  MutableBits bits;      // words null: no sample
  float* inputs =
      nullptr;  // x of the outputs in p.grouped, (rows, its pitch); set where there are any
};

// Means, counts and samples, or inputs of grouped outputs, of rows first .. last - 1 of a panel,
// whose sums begin with row `first`. stream: which half-step of the step (determinism.md).
void activate(const Projection& p, std::int64_t panel, const std::int32_t* sums, std::int64_t first,
              std::int64_t last, const Place& place, std::uint32_t stream,
              const HalfStepOutput& out);

}  // namespace RBMX_ISA
}  // namespace rbmx
