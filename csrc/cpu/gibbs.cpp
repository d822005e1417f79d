// steps times: h ~ p(h | v), v ~ p(v | h), in place
// visible: (rows, n_visible) bits   weight: (n_hidden, n_visible)
#include "cpu/row_block.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

void gibbs(Team& team, const Model& model, MutableBits visible, std::int64_t steps,
           const Place& place) {
  Arena arena;
  const Projection up = projection_to(arena, model, Side::hidden);
  const Projection down = projection_to(arena, model, Side::visible);
  RowBlock* up_blocks = make_row_blocks(arena, up, steps > 1, team.size());
  RowBlock* down_blocks = make_row_blocks(arena, down, steps > 1, team.size());
  const std::int64_t hidden_stride = words_for(model.n_hidden);
  auto* hidden = arena.take<std::uint64_t>(team.size() * kRowBlock * hidden_stride);
  const std::int64_t n_blocks = (visible.rows + kRowBlock - 1) / kRowBlock;
  team.run([&](const Member& member) {
    fill(up, model, Side::hidden, member);
    fill(down, model, Side::visible, member);
    member.wait();
    const Range range = member.split(n_blocks);
    for (std::int64_t b = range.begin; b < range.end; ++b) {
      const std::int64_t first = b * kRowBlock, rows = smaller(kRowBlock, visible.rows - first);
      const MutableBits v = {visible.words + first * visible.stride, rows, model.n_visible,
                             visible.stride};
      const MutableBits h = {hidden + member.index * kRowBlock * hidden_stride, rows,
                             model.n_hidden, hidden_stride};
      for (std::int64_t step = 0; step < steps; ++step) {
        const Place here = {place.key, place.first_row + first,
                            place.step + static_cast<std::uint32_t>(step)};
        list_rows(up_blocks[member.index], {v.words, rows, v.units, v.stride}, 0, rows, step > 0);
        half_step(up, up_blocks[member.index], rows, here, kHiddenStream, {nullptr, nullptr, h});
        list_rows(down_blocks[member.index], {h.words, rows, h.units, h.stride}, 0, rows, step > 0);
        half_step(down, down_blocks[member.index], rows, here, kVisibleStream,
                  {nullptr, nullptr, v});
      }
    }
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
