// Sums over all rows of the CD-k difference: weight_ji += v0_i p0_j - v1_i p1_j (units of 2^-15),
// hidden_j += p0_j - p1_j (units of 2^-15), visible_i += v0_i - v1_i; exact integers, so any split
// of the rows over calls adds up to the same sums. visible: (rows, n_visible) bits   weight:
// (n_hidden, n_visible)
#include "cpu/minibatch.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

template <int V>
void add_panel(const Minibatch& m, std::int64_t panel, std::int64_t rows,
               const GradientScratch& scratch, const Statistics& sums) {
  constexpr std::int64_t width = V * kLanes;
  const std::int16_t* positive = m.positive_means + panel * m.max_rows * width;
  const std::int16_t* negative = m.negative_means + panel * m.max_rows * width;
  const std::int64_t hidden0 = panel * width, live = smaller(width, m.up.n_out - hidden0);
  sum_panel<V>(
      m.unit_lists, m.chunks, positive, negative, m.up.n_in, scratch, true,
      [&](std::int64_t unit, const Ints(&plus)[V], const Ints(&)[V]) {
        std::int32_t lanes[width];
        for (int i = 0; i < V; ++i) store(lanes + i * kLanes, plus[i]);
        for (std::int64_t j = 0; j < live; ++j)
          sums.weight[(hidden0 + j) * m.up.n_in + unit] += lanes[j];
      },
      [](std::int64_t) {});
  Ints plus[V], minus[V];
  sum_means<V>(positive, rows, plus);
  sum_means<V>(negative, rows, minus);
  std::int32_t lanes[width];
  for (int i = 0; i < V; ++i) store(lanes + i * kLanes, plus[i] - minus[i]);
  for (std::int64_t j = 0; j < live; ++j) sums.hidden[hidden0 + j] += lanes[j];
}

void add_panels(const Minibatch& m, std::int64_t rows, const GradientScratch& scratch,
                const Statistics& sums, const Member& member) {
  const Range panels = member.split(m.up.n_panels);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    switch (m.up.width / kLanes) {
      case 2:
        add_panel<2>(m, panel, rows, scratch, sums);
        break;
      case 4:
        add_panel<4>(m, panel, rows, scratch, sums);
        break;
      default:
        add_panel<8>(m, panel, rows, scratch, sums);
        break;
    }
  }
  const Range units = member.split(m.up.n_in);
  for (std::int64_t unit = units.begin; unit < units.end; ++unit)
    sums.visible[unit] += m.unit_lists.difference[unit];
}

}  // namespace

void cd_statistics(Team& team, const Model& model, const Bits& visible, std::int64_t gibbs_steps,
                   const Place& place, Statistics sums) {
  constexpr std::int64_t kRows = 512;
  if (visible.rows == 0) return;
  Arena arena;
  Minibatch m =
      make_minibatch(arena, model, smaller(kRows, visible.rows), 0, gibbs_steps, team.size());
  auto* order = arena.take<std::int64_t>(visible.rows);
  for (std::int64_t row = 0; row < visible.rows; ++row) order[row] = row;
  auto* scratch = arena.take<GradientScratch>(team.size());
  for (int i = 0; i < team.size(); ++i)
    scratch[i] = make_gradient_scratch(arena, model.n_visible, m.up.width, m.max_chunks);
  team.run([&](const Member& member) {
    fill(m.up, model, Side::hidden, member);
    fill(m.down, model, Side::visible, member);
    for (std::int64_t first = 0; first < visible.rows; first += kRows) {
      const std::int64_t rows = smaller(kRows, visible.rows - first);
      if (member.index == 0) cut_batch(m.chunks, rows, rows);
      gather(m, visible, order + first, rows, member);
      member.wait();
      run_chain(m, rows, m.hidden, rows, false, gibbs_steps,
                {place.key, place.first_row + first, place.step}, member);
      add_panels(m, rows, scratch[member.index], sums, member);
      member.wait();
    }
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
