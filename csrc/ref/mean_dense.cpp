// means, or samples where `means` is null, of the units given the real-valued rows of the other
// side
#include "ref/dense.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

void mean_dense(const Model& model, Side side, const Reals& given, const Place& place, float* means,
                const Samples& samples) {
  const std::int64_t units = units_of(model, side);
  for (std::int64_t row = 0; row < given.rows; ++row) {
    const float* states = given.values + row * given.units;
    if (means != nullptr) {
      const auto found = means_of(model, side, states);
      std::copy(found.begin(), found.end(), means + row * units);
      continue;
    }
    const auto drawn = samples_of(model, side, states, place, row, side == Side::hidden ? 1 : 2);
    for (std::int64_t i = 0; i < units; ++i) {
      const float s = drawn[static_cast<std::size_t>(i)];
      if (samples.values != nullptr) {
        samples.values[row * samples.pitch + i] = s;
      } else {
        set_bit(samples.bits.words + row * samples.bits.stride, i, s != 0);
      }
    }
  }
}

}  // namespace ref
}  // namespace rbmx
