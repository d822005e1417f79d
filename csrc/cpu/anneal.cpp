// log_weight += sum_k F_k-1(v) - F_k(v), v <- a Gibbs step at beta_k: a chain's way along a path of
// machines from independent units to the model (Neal 2001; Salakhutdinov and Murray 2008)
// visible: (rows, n_visible) bits   weight: (n_hidden, n_visible)   log_weights: (rows,)
//
// The integer sums of the weights know no temperature: beta scales them on their way to the
// sigmoid. So the weights are packed once, both free energies and the hidden sample come from one
// sum, and a row's sums go on from temperature to temperature.
#include "cpu/eight.h"
#include "cpu/row_block.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

// A projection at an inverse temperature: a scale and biases of its own beside the shared weights.
RBMX_INLINE Projection tempered(Arena& arena, const Projection& p) {
  Projection at = p;
  at.bias = arena.take<float>(p.padded_out());
  std::memcpy(at.bias, p.bias, static_cast<std::size_t>(p.padded_out()) * sizeof(float));
  return at;
}

// bias = (1 - beta) base + beta bias of the model; base: null for zeros
void set_temperature(Projection& at, double beta, const float* base, const float* bias) {
  at.scale = static_cast<float>(beta) * (1.0f / kWeightOne);
  for (std::int64_t i = 0; i < at.n_out; ++i) {
    const double from = base == nullptr ? 0 : static_cast<double>(base[i]);
    at.bias[i] = static_cast<float>((1 - beta) * from + beta * static_cast<double>(bias[i]));
  }
}

// What a member needs to take a block of rows along the path.
struct Walker {
  Projection before, up, down;  // hidden units at the last and at this temperature; visible ones
  RowBlock up_block, down_block;
  std::uint64_t* hidden;  // (block, words)
  Eight* parts;           // (block,) of the log weights
};

// parts += softplus(x_j at this temperature) - softplus(x_j at the last), for one panel
void add_differences(const Walker& w, std::int64_t panel, const std::int32_t* sums,
                     std::int64_t rows) {
  const std::int64_t unit0 = panel * w.up.width;
  for (std::int64_t row = 0; row < rows; ++row, sums += w.up.width) {
    Eight parts = w.parts[row];
    for (std::int64_t i = 0; i < w.up.width; i += kLanes) {
      const Floats now = pre_activation(w.up, sums + i, load<Floats>(w.up.bias + unit0 + i));
      const Floats then =
          pre_activation(w.before, sums + i, load<Floats>(w.before.bias + unit0 + i));
      const Floats difference = softplus(now) - softplus(then);
      for (int eight = 0; eight < kLanes / kParts; ++eight) parts += eight_of(difference, eight);
    }
    w.parts[row] = parts;
  }
}

// v.(b - a), in unit order
double base_energy(const Model& model, const float* base, const std::uint64_t* v) {
  double sum = 0;
  for (std::int64_t word = 0; word < words_for(model.n_visible); ++word) {
    for (std::uint64_t ones = v[word]; ones != 0; ones &= ones - 1) {
      const std::int64_t i = 64 * word + __builtin_ctzll(ones);
      sum += static_cast<double>(model.visible_bias[i]) - static_cast<double>(base[i]);
    }
  }
  return sum;
}

// One temperature for a block of rows; place speaks of its first row, sample: whether chains move
// on.
void step(Walker& w, const Model& model, const AnnealingPath& path, std::int64_t k,
          const MutableBits& v, const Place& place, bool sample, double* log_weights) {
  const double last = path.betas[k - 1], beta = path.betas[k];
  const Bits shown = {v.words, v.rows, v.units, v.stride};
  const MutableBits h = {w.hidden, v.rows, model.n_hidden, words_for(model.n_hidden)};
  const Bits drawn = {h.words, h.rows, h.units, h.stride};
  const Projection other = w.before;
  w.before = w.up;
  w.up = other;
  set_temperature(w.up, beta, nullptr, model.hidden_bias);
  list_rows(w.up_block, shown, 0, v.rows, k > 1);
  for (std::int64_t row = 0; row < v.rows; ++row) {
    w.parts[row] = Eight{};
    log_weights[row] +=
        base_energy(model, path.base_bias, v.words + row * v.stride) * (beta - last);
  }
  for (std::int64_t panel = 0; panel < w.up.n_panels; ++panel) {
    std::int32_t* sums = w.up_block.sums + panel * w.up_block.per_panel;
    add_active_rows(w.up, panel, w.up_block.lists, 0, v.rows, sums);
    add_differences(w, panel, sums, v.rows);
    if (sample) activate(w.up, panel, sums, 0, v.rows, place, kHiddenStream, {nullptr, nullptr, h});
  }
  for (std::int64_t row = 0; row < v.rows; ++row) log_weights[row] += total_of(w.parts[row]);
  if (!sample) return;
  set_temperature(w.down, beta, path.base_bias, model.visible_bias);
  list_rows(w.down_block, drawn, 0, v.rows, k > 1);
  half_step(w.down, w.down_block, v.rows, place, kVisibleStream, {nullptr, nullptr, v});
}

}  // namespace

bool anneal(Team& team, const Model& model, const AnnealingPath& path, MutableBits visible,
            const Place& place, const Monitor& monitor, double* log_weights) {
  if (visible.rows == 0 || path.n_betas < 2) return true;
  Arena arena;
  const Projection up = projection_to(arena, model, Side::hidden);
  const Projection down = projection_to(arena, model, Side::visible);
  RowBlock* up_blocks = make_row_blocks(arena, up, true, team.size());
  RowBlock* down_blocks = make_row_blocks(arena, down, true, team.size());
  auto* walkers = arena.take<Walker>(team.size());
  for (int i = 0; i < team.size(); ++i) {
    walkers[i] = {tempered(arena, up),
                  tempered(arena, up),
                  tempered(arena, down),
                  up_blocks[i],
                  down_blocks[i],
                  arena.take<std::uint64_t>(kRowBlock * words_for(model.n_hidden)),
                  arena.take<Eight>(kRowBlock)};
  }
  // fewer rows in a block where there are more members than blocks, whole groups of draws
  const std::int64_t share = (visible.rows + team.size() - 1) / team.size();
  const std::int64_t block = smaller(kRowBlock, round_up(share, kRowsPerCall));
  std::int64_t done = 0;  // steps of a chain
  bool stopped = false;
  team.run([&](const Member& member) {
    fill(up, model, Side::hidden, member);
    fill(down, model, Side::visible, member);
    member.wait();
    Walker& walker = walkers[member.index];
    member.share((visible.rows + block - 1) / block, [&](std::int64_t b) {
      const std::int64_t first = b * block, rows = smaller(block, visible.rows - first);
      const MutableBits v = {visible.words + first * visible.stride, rows, model.n_visible,
                             visible.stride};
      set_temperature(walker.up, path.betas[0], nullptr, model.hidden_bias);
      for (std::int64_t k = 1; k < path.n_betas; ++k) {
        if (__atomic_load_n(&stopped, __ATOMIC_RELAXED)) return;
        const Place here = {place.key, place.first_row + first,
                            place.step + static_cast<std::uint32_t>(k)};
        step(walker, model, path, k, v, here, k + 1 < path.n_betas, log_weights + first);
        const std::int64_t steps = __atomic_add_fetch(&done, rows, __ATOMIC_RELAXED);
        if (member.index == 0 && !monitor.keep_going(monitor.context, steps))
          __atomic_store_n(&stopped, true, __ATOMIC_RELAXED);
      }
    });
  });
  return !stopped;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
