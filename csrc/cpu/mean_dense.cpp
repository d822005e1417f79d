// means or samples of the units whose inputs are given W^T + c or given W + b, given real-valued
// given: (rows, n_in)   weight: (n_hidden, n_visible)   means, samples: (rows, n_out), or null
#include "cpu/dense.h"
#include "cpu/moments.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

inline constexpr std::int64_t kMostRows = 64;  // of an item

// Rows first .. last of given: as lists, unless BLAS is asked for or too little of them is zero.
Factor factor_of(const Reals& given, std::int64_t first, std::int64_t last,
                 const ListedRows& lists) {
  const Factor dense = {{given.values + first * given.units, given.units, 1}, {}};
  if (lists.index == nullptr) return dense;
  std::int64_t live = 0;
  for (std::int64_t row = first; row < last; ++row)
    live += list_values(lists, row - first, given.values + row * given.units, given.units);
  const auto most = kListedDensity * static_cast<double>((last - first) * given.units);
  return static_cast<double>(live) < most ? Factor{{}, lists} : dense;
}

}  // namespace

void mean_dense(Team& team, const Model& model, Side side, const Reals& given, const Place& place,
                Product product, float* means, const Samples& samples) {
  const bool up = side == Side::hidden, blas = product == Product::blas;
  const std::int64_t n_in = up ? model.n_visible : model.n_hidden,
                     n_out = up ? model.n_hidden : model.n_visible;
  const float* bias = up ? model.hidden_bias : model.visible_bias;
  const Unit unit = up ? model.units.hidden : model.units.visible;
  const std::uint32_t stream = up ? kHiddenStream : kVisibleStream;
  Arena arena;
  const bool wants_means = means != nullptr;
  const Panels p =
      make_panels(arena, n_in, n_out, blas ? round_up(n_out, kLanes) : panel_width(n_out), n_in);
  auto* lists = arena.take<ListedRows>(team.size());
  for (int i = 0; i < team.size() && !blas; ++i)
    lists[i] = make_listed_rows(arena, kMostRows, n_in, p.rows_per_block, true);
  const GroupSpan grouped = up ? GroupSpan{} : span_of(model.units.groups);
  float* inputs = arena.take<float>(given.rows * grouped.pitch());
  float* scratch = arena.take<float>(team.size() * kMostRows * p.width);
  const std::int64_t share = round_up((given.rows + team.size() - 1) / team.size(), kRowsPerCall);
  const std::int64_t item_rows = smaller(share, kMostRows);
  const std::int64_t items = item_rows == 0 ? 0 : (given.rows + item_rows - 1) / item_rows;
  const SerialBlas serial;
  team.run([&](const Member& member) {
    if (member.index == 0) copy(bias, n_out, p.bias);
    up ? load_panels(p, model.weight, p.values, member) : load_columns(p, model.weight, member);
    member.wait();
    float* pre = scratch + member.index * kMostRows * p.width;
    member.share(items, [&](std::int64_t item) {
      const std::int64_t first = item * item_rows, last = smaller(first + item_rows, given.rows);
      const Factor left = factor_of(given, first, last, lists[member.index]);
      for (std::int64_t panel = 0; panel < p.n_panels; ++panel) {
        const std::int64_t unit0 = panel * p.width;
        multiply(product, left, 0, last - first, p.panel(panel), n_in, p.width, pre);
        if (grouped.any())
          keep_inputs(grouped, pre, p.width, p.bias + unit0, unit0, first, last, inputs);
        activate_panel(unit, pre, p.width, p.bias + unit0, unit0, n_out, first, last, place, stream,
                       {wants_means ? means + unit0 : nullptr, n_out, samples});
      }
      if (!grouped.any()) return;
      if (wants_means) {
        group_means(grouped, inputs + first * grouped.pitch(), last - first, means + first * n_out,
                    n_out);
      } else {
        draw_groups(grouped, inputs, first, last, place, stream, samples.bits);
      }
    });
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
