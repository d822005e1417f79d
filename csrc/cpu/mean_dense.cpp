// mean = sigmoid(given W^T + c) or sigmoid(given W + b) for real-valued units; sample = u < mean
// given: (rows, n_in)   weight: (n_hidden, n_visible)   means, samples: (rows, n_out), samples null
// or bits
#include "cpu/dense.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

void mean_dense(Team& team, const Model& model, Side side, const Reals& given, const Place& place,
                Product product, float* means, MutableBits samples) {
  constexpr std::int64_t kRows = 128;  // rows of a member's products
  const bool up = side == Side::hidden;
  const std::int64_t n_in = up ? model.n_visible : model.n_hidden,
                     n_out = up ? model.n_hidden : model.n_visible;
  const Strided weight = up ? Strided{model.weight, 1, n_in} : Strided{model.weight, n_out, 1};
  const float* bias = up ? model.hidden_bias : model.visible_bias;
  const std::uint32_t stream = up ? kHiddenStream : kVisibleStream;
  const bool sampling = samples.words != nullptr;
  Arena arena;
  const Multiplier* multipliers = make_multipliers(arena, product, team.size());
  float* drawn = arena.take<float>(sampling ? team.size() * kRows * n_out : 0);
  const SerialBlas serial;
  const std::int64_t n_blocks = (given.rows + kRows - 1) / kRows;
  team.run([&](const Member& member) {
    float* own = sampling ? drawn + member.index * kRows * n_out : nullptr;
    const Range blocks = member.split(n_blocks);
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      const std::int64_t first = block * kRows, rows = smaller(kRows, given.rows - first);
      float* out = means + first * n_out;
      multipliers[member.index](rows, n_out, n_in, {given.values + first * n_in, n_in, 1}, weight,
                                out);
      activate_rows(out, bias, 0, rows, n_out, {place.key, place.first_row + first, place.step},
                    stream, own);
      for (std::int64_t at = 0; sampling && at < rows * n_out; ++at) {
        set_bit(samples.words + (first + at / n_out) * samples.stride, at % n_out, own[at] != 0.0f);
      }
    }
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
