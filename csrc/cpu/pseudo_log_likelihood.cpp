// sum_i log p(v_i | v without i) = -sum_i softplus(s_i b_i + sum_j softplus(x_j + s_i W_ji) -
// softplus(x_j)),   x = c + W v,  s_i = 1 - 2 v_i
// visible: (rows, n_visible) bits   weight: (n_hidden, n_visible)   out: (rows,)
//
// With p = sigmoid(x) and q = sigmoid(-x) the inner sum is log prod_j (q_j + p_j exp(s_i W_ji)): no
// exponential is left inside, for those of the weights serve all rows.
#include "cpu/eight.h"
#include "cpu/row_block.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

inline constexpr std::int64_t kRows = 512;  // whose p and q are held at once
inline constexpr std::int64_t kTile = 32;   // visible units whose exponentials are held at once
inline constexpr int kAtOnce = 4;           // rows that are multiplied side by side

struct Factors {
  std::int64_t vectors;  // Eights for each row of hidden units
  std::int64_t fold;     // factors of a part between two logarithms
  Eight* p;              // (kRows, vectors)
  Eight* q;
  Eight*
      powers;  // (2, kTile, vectors) exp(W_ji) for units that are off, exp(-W_ji) where they are on
  Eight* parts;  // (kRows,) of the sums over visible units
};

// p and q of a block of rows of the chunk; padding keeps p next to 0, q = 1
void split(const Projection& up, const RowBlock& block, std::int64_t rows, const Factors& f,
           std::int64_t first) {
  for (std::int64_t panel = 0; panel < up.n_panels; ++panel) {
    add_active_rows(up, panel, block.lists, 0, rows, block.sums);
    const std::int64_t unit0 = panel * up.width;
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t i = 0; i < up.width && unit0 + i < up.n_out; i += kLanes) {
        const Floats x =
            pre_activation(up, block.sums + row * up.width + i, load<Floats>(up.bias + unit0 + i));
        for (std::int64_t eight = 0; eight < kLanes / kParts; ++eight) {
          const std::int64_t k = (unit0 + i) / kParts + eight;
          if (k >= f.vectors) break;
          const Eight wide = eight_of(x, eight);
          f.p[(first + row) * f.vectors + k] = sigmoid64(wide);
          f.q[(first + row) * f.vectors + k] = sigmoid64(-wide);
        }
      }
    }
  }
}

void fill_powers(const Factors& f, const Model& model, std::int64_t unit0, std::int64_t unit) {
  for (const int on : {0, 1}) {
    Eight* powers = f.powers + (on * kTile + unit) * f.vectors;
    auto* values = reinterpret_cast<double*>(powers);
    powers[f.vectors - 1] = Eight{};  // padding: exp(0)
    for (std::int64_t j = 0; j < model.n_hidden; ++j) {
      const auto weight = static_cast<double>(model.weight[j * model.n_visible + unit0 + unit]);
      values[j] = on == 0 ? weight : -weight;
    }
    for (std::int64_t k = 0; k < f.vectors; ++k) powers[k] = exp64(powers[k]);
  }
}

// parts of rows row .. row + N - 1 += log p(v_i | rest) of the tile's units
template <int N>
void add_tile(const Factors& f, const Model& model, std::int64_t unit0, std::int64_t units,
              const Bits& visible, std::int64_t first, std::int64_t row) {
  alignas(64) double delta[N][kTile];
  for (std::int64_t unit = 0; unit < kTile; ++unit) {
    if (unit >= units) {
      for (int r = 0; r < N; ++r) delta[r][unit] = -kExp64Limit;  // log p = 0
      continue;
    }
    const Eight* powers[N];
    Eight sum[N] = {};
    bool on[N];
    for (int r = 0; r < N; ++r) {
      on[r] = get_bit(visible.words + (first + row + r) * visible.stride, unit0 + unit);
      powers[r] = f.powers + ((on[r] ? kTile : 0) + unit) * f.vectors;
    }
    for (std::int64_t begin = 0; begin < f.vectors; begin += f.fold) {
      const std::int64_t end = smaller(begin + f.fold, f.vectors);
      Eight product[N];
      for (int r = 0; r < N; ++r) product[r] = Eight{} + 1.0;
      for (std::int64_t k = begin; k < end; ++k) {
        for (int r = 0; r < N; ++r) {
          const std::int64_t at = (row + r) * f.vectors + k;
          product[r] *= f.p[at] * powers[r][k] + f.q[at];
        }
      }
      for (int r = 0; r < N; ++r) sum[r] += log64(product[r]);
    }
    const auto bias = static_cast<double>(model.visible_bias[unit0 + unit]);
    for (int r = 0; r < N; ++r) delta[r][unit] = (on[r] ? -bias : bias) + total_of(sum[r]);
  }
  for (int r = 0; r < N; ++r) {
    for (std::int64_t unit = 0; unit < kTile; unit += kParts)
      f.parts[row + r] -= softplus64(load<Eight>(delta[r] + unit));
  }
}

double largest_weight(const Model& model) {
  float largest = 0;
  for (std::int64_t i = 0; i < model.n_hidden * model.n_visible; ++i) {
    const float size = __builtin_fabsf(model.weight[i]);
    largest = size > largest ? size : largest;
  }
  return static_cast<double>(largest);
}

}  // namespace

void pseudo_log_likelihood(Team& team, const Model& model, const Bits& visible, double* out) {
  Arena arena;
  const Projection up = projection_to(arena, model, Side::hidden);
  RowBlock* blocks = make_row_blocks(arena, up, false, team.size());
  const std::int64_t held = smaller(kRows, visible.rows);
  const double range = largest_weight(model);
  Factors f;
  f.vectors = (model.n_hidden + kParts - 1) / kParts;
  f.fold = static_cast<std::int64_t>(kProductRange / (range > 1 ? range : 1));
  f.p = arena.take<Eight>(held * f.vectors);
  f.q = arena.take<Eight>(held * f.vectors);
  f.powers = arena.take<Eight>(2 * kTile * f.vectors);
  f.parts = arena.take<Eight>(held);
  team.run([&](const Member& member) {
    fill(up, model, Side::hidden, member);
    for (std::int64_t first = 0; first < visible.rows; first += held) {
      const std::int64_t rows = smaller(held, visible.rows - first);
      member.wait();
      member.share((rows + kRowBlock - 1) / kRowBlock, [&](std::int64_t b) {
        const std::int64_t begin = b * kRowBlock, count = smaller(kRowBlock, rows - begin);
        list_rows(blocks[member.index], visible, first + begin, count, false);
        split(up, blocks[member.index], count, f, begin);
        for (std::int64_t row = begin; row < begin + count; ++row) f.parts[row] = Eight{};
      });
      for (std::int64_t unit0 = 0; unit0 < model.n_visible; unit0 += kTile) {
        const std::int64_t units = smaller(kTile, model.n_visible - unit0);
        member.wait();
        member.share(units, [&](std::int64_t unit) { fill_powers(f, model, unit0, unit); });
        member.wait();
        member.share((rows + kAtOnce - 1) / kAtOnce, [&](std::int64_t group) {
          const std::int64_t begin = group * kAtOnce, end = smaller(begin + kAtOnce, rows);
          if (end - begin == kAtOnce)
            return add_tile<kAtOnce>(f, model, unit0, units, visible, first, begin);
          for (std::int64_t row = begin; row < end; ++row)
            add_tile<1>(f, model, unit0, units, visible, first, row);
        });
      }
      member.wait();
      const Range mine = member.split(rows);
      for (std::int64_t row = mine.begin; row < mine.end; ++row)
        out[first + row] = total_of(f.parts[row]);
    }
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
