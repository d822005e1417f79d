// F(v) = -sum_i b_i v_i - sum_j softplus(c_j + sum_i W_ji v_i), both sums in float64, in unit order
// visible: (rows, n_visible) bits   weight: (n_hidden, n_visible)   out: (rows,)
#include "cpu/row_block.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

void free_energy(Team& team, const Model& model, const Bits& visible, double* out) {
  Arena arena;
  const Projection p = projection_to(arena, model, Side::hidden);
  RowBlock* blocks = make_row_blocks(arena, p, false, team.size());
  const std::int64_t n_blocks = (visible.rows + kRowBlock - 1) / kRowBlock;
  team.run([&](const Member& member) {
    fill(p, model, Side::hidden, member);
    member.wait();
    const RowBlock& block = blocks[member.index];
    const Range range = member.split(n_blocks);
    for (std::int64_t b = range.begin; b < range.end; ++b) {
      const std::int64_t first = b * kRowBlock, rows = smaller(kRowBlock, visible.rows - first);
      list_rows(block, visible, first, rows, false);
      for (std::int64_t row = first; row < first + rows; ++row) {
        double energy = 0;
        for (std::int64_t i = 0; i < model.n_visible; ++i) {
          if (get_bit(visible.words + row * visible.stride, i))
            energy -= static_cast<double>(model.visible_bias[i]);
        }
        out[row] = energy;
      }
      for (std::int64_t panel = 0; panel < p.n_panels; ++panel) {
        add_active_rows(p, panel, block.lists, 0, rows, block.sums);
        const std::int64_t unit0 = panel * p.width;
        for (std::int64_t row = 0; row < rows; ++row) {
          for (std::int64_t unit = unit0; unit < smaller(unit0 + p.width, p.n_out);
               unit += kLanes) {
            const Floats term = softplus(pre_activation(
                p, block.sums + row * p.width + unit - unit0, load<Floats>(p.bias + unit)));
            const std::int64_t live = smaller(kLanes, p.n_out - unit);
            for (std::int64_t lane = 0; lane < live; ++lane)
              out[first + row] -= static_cast<double>(term[lane]);
          }
        }
      }
    }
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
