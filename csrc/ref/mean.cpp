// mean(unit) = sigmoid(bias + 2^-20 sum over active inputs of rint(2^20 weight)); sample = u < mean
#include "ref/half_step.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

void mean(const Model& model, Side side, const Bits& given, float* out) {
  const std::int64_t units = units_of(model, side);
  for (std::int64_t row = 0; row < given.rows; ++row) {
    for (std::int64_t unit = 0; unit < units; ++unit) {
      out[row * units + unit] =
          sigmoid(pre_activation(model, side, given.words + row * given.stride, unit));
    }
    for (const Group& group : groups_of(model, side)) {
      const auto means = group_means(group_inputs(model, given.words + row * given.stride, group));
      std::copy(means.begin(), means.end(), out + row * units + group.first);
    }
  }
}

void sample(const Model& model, Side side, const Bits& given, const Place& place, MutableBits out) {
  for (std::int64_t row = 0; row < given.rows; ++row) {
    sample_row(model, side, given.words + row * given.stride, place, row,
               side == Side::hidden ? 1 : 2, out.words + row * out.stride, nullptr);
  }
}

}  // namespace ref
}  // namespace rbmx
