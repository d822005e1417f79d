// mean(unit) = sigmoid(bias + 2^-20 sum over active inputs of rint(2^20 weight)); sample = u < mean
// given: (rows, n_in) bits   weight: (n_hidden, n_visible)   out: (rows, n_out)
#include "cpu/row_block.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

void for_each_block(Team& team, const Model& model, Side side, const Bits& given,
                    const Place& place, std::uint32_t stream, const HalfStepOutput& out) {
  Arena arena;
  const Projection p = projection_to(arena, model, side);
  RowBlock* blocks = make_row_blocks(arena, p, false, team.size());
  const std::int64_t n_blocks = (given.rows + kRowBlock - 1) / kRowBlock;
  team.run([&](const Member& member) {
    fill(p, model, side, member);
    member.wait();
    const Range range = member.split(n_blocks);
    for (std::int64_t b = range.begin; b < range.end; ++b) {
      const std::int64_t first = b * kRowBlock, rows = smaller(kRowBlock, given.rows - first);
      list_rows(blocks[member.index], given, first, rows, false);
      HalfStepOutput part = out;
      if (part.means != nullptr) part.means += first * p.n_out;
      if (part.bits.words != nullptr) part.bits.words += first * part.bits.stride;
      half_step(p, blocks[member.index], rows, {place.key, place.first_row + first, place.step},
                stream, part);
    }
  });
}

}  // namespace

void mean(Team& team, const Model& model, Side side, const Bits& given, float* out) {
  for_each_block(team, model, side, given, {}, 0, {out, nullptr, {}});
}

void sample(Team& team, const Model& model, Side side, const Bits& given, const Place& place,
            MutableBits out) {
  const std::uint32_t stream = side == Side::hidden ? kHiddenStream : kVisibleStream;
  for_each_block(team, model, side, given, place, stream, {nullptr, nullptr, out});
}

}  // namespace RBMX_ISA
}  // namespace rbmx
