// What a team shares to train on real-valued data: weights in panels, and one minibatch. Samples of
// Bernoulli units are bits, so their products are sums of listed rows, and so are those of data
// that are mostly zeros; other data and samples are multiplied in tiles. BLAS, as a cross-check,
// multiplies all.
#pragma once

#include "cpu/dense_update.h"

namespace rbmx {
namespace RBMX_ISA {

inline constexpr std::int64_t kPartRows = 64;
inline constexpr std::int64_t kPartUnits = 48;  // whole tiles and vectors

// Rows that are written anew in each batch: dense, or as lists.
struct BatchRows {
  float* values;
  std::int64_t pitch;
  ListedRows listed;

  RBMX_ALWAYS_INLINE Factor factor() const { return {{values, pitch, 1}, listed}; }
  RBMX_ALWAYS_INLINE Factor columns() const { return {{values, 1, pitch}, {}}; }
};

struct DenseBatch {
  Product product;
  Panels up;    // visible -> hidden: the master weights
  Panels down;  // hidden -> visible: their mirror
  ParameterMoments moments;

  BatchRows data;
  BatchRows samples;      // v of the negative phase
  BatchRows hidden;       // h
  Factor data_units;      // the columns of data
  Factor sample_units;    // the columns of samples
  Samples sampled;        // v where it is drawn: bits, or values of samples
  Samples chain;          // h likewise; the persistent chains
  float* inputs;          // of grouped visible units, (chains, pitch), or null
  float* positive_means;  // (up panels, max_rows, width)
  float* negative_means;

  std::int64_t max_rows;
  std::int64_t part_rows;  // most rows and visible units of an item
  std::int64_t part_units;
  float* scratch;  // per member
  std::int64_t scratch_size;
  Watch* watch;  // per member

  float* scratch_of(const Member& member) const { return scratch + member.index * scratch_size; }
};

// Whether few enough of the data are not zero; a sample of them decides, and no byte depends on it.
static inline bool mostly_zero(const Reals& data, const TrainingPlan& plan) {
  constexpr std::int64_t kLooked = 64;
  const std::int64_t rows = smaller(plan.n_rows, kLooked);
  std::int64_t live = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const float* row = data.values + plan.order[plan.n_rows * r / rows] * data.units;
    for (std::int64_t i = 0; i < data.units; ++i) live += row[i] != 0.0f;
  }
  return static_cast<double>(live) < kListedDensity * static_cast<double>(rows * data.units);
}

// an odd number of cache lines, so that rows do not meet in the same sets
RBMX_INLINE std::int64_t pitch_for(std::int64_t columns) { return round_up(columns, 16) | 16; }

static inline MutableBits take_bits(Arena& arena, std::int64_t rows, std::int64_t units) {
  const std::int64_t stride = round_up(units, 512) / 64;
  return {arena.take<std::uint64_t>(rows * stride), rows, units, stride};
}

static inline BatchRows dense_rows(Arena& arena, std::int64_t rows, std::int64_t columns) {
  return {arena.take<float>(rows * pitch_for(columns)), pitch_for(columns), {}};
}

// Rows of samples: bits are listed, unless BLAS takes them.
static inline BatchRows sample_rows(Arena& arena, Unit unit, bool blas, std::int64_t rows,
                                    std::int64_t columns, std::int64_t columns_per_block) {
  if (unit == Unit::bernoulli && !blas)
    return {nullptr, 0, make_listed_rows(arena, rows, columns, columns_per_block, false)};
  return dense_rows(arena, rows, columns);
}

// Where samples of a unit type are drawn that become such rows.
static inline Samples where_drawn(Arena& arena, Unit unit, const BatchRows& rows, std::int64_t n,
                                  std::int64_t units) {
  if (unit == Unit::bernoulli) return {take_bits(arena, n, units), nullptr, 0};
  return {{}, rows.values, rows.pitch};
}

// 0 for CD
RBMX_INLINE std::int64_t n_chains(const TrainingState& state) {
  return state.chains.words != nullptr ? state.chains.rows : state.n_real_chains;
}

static inline DenseBatch make_dense_batch(Arena& arena, const Parameters& parameters,
                                          const TrainingState& state, std::int64_t rows,
                                          bool listed_data, Product product, int threads) {
  const std::int64_t n_visible = parameters.n_visible, n_hidden = parameters.n_hidden;
  const bool blas = product == Product::blas;
  DenseBatch t = {};
  t.product = product;
  // BLAS packs for itself: one panel
  const std::int64_t up_width = blas ? round_up(n_hidden, kLanes) : panel_width(n_hidden);
  const std::int64_t down_width = blas ? round_up(n_visible, kLanes) : panel_width(n_visible);
  t.up = make_panels(arena, n_visible, n_hidden, up_width, round_up(n_visible, kLanes));
  t.down = make_panels(arena, n_hidden, n_visible, down_width, t.up.padded_out());
  t.up.unit = parameters.units.hidden;
  t.down.unit = parameters.units.visible;
  t.down.grouped = span_of(parameters.units.groups);
  t.moments = make_moments(arena, state, t.up, t.down);

  const std::int64_t chains = n_chains(state) > 0 ? n_chains(state) : rows;
  t.max_rows = rows > chains ? rows : chains;
  t.inputs = t.down.grouped.any() ? arena.take<float>(chains * t.down.grouped.pitch()) : nullptr;
  t.positive_means = arena.take<float>(t.max_rows * t.up.padded_out());
  t.negative_means = arena.take<float>(t.max_rows * t.up.padded_out());
  const std::int64_t block = t.up.rows_per_block;
  if (listed_data) {
    t.data.listed = make_listed_rows(arena, rows, n_visible, block, true);
    t.data_units.listed = make_listed_rows(arena, n_visible, rows, block, true);
  } else {
    t.data = dense_rows(arena, rows, n_visible);
    t.data_units = t.data.columns();
  }
  t.samples = sample_rows(arena, t.down.unit, blas, chains, n_visible, block);
  t.hidden = sample_rows(arena, t.up.unit, blas, chains, n_hidden, t.down.rows_per_block);
  t.sample_units = t.samples.columns();
  if (t.samples.listed.index != nullptr)
    t.sample_units = {{}, make_listed_rows(arena, n_visible, chains, block, false)};
  t.sampled = where_drawn(arena, t.down.unit, t.samples, chains, n_visible);
  t.chain = where_drawn(arena, t.up.unit, t.hidden, chains, n_hidden);
  if (state.chains.words != nullptr) t.chain.bits = state.chains;

  const auto share = [&](std::int64_t n, std::int64_t of) {
    return round_up((n + threads - 1) / threads, of);
  };
  t.part_rows = blas ? share(t.max_rows, kRowsPerCall) : kPartRows;
  t.part_units = blas ? share(n_visible, kLanes) : kPartUnits;
  const std::int64_t widest = up_width > down_width ? up_width : down_width;
  const std::int64_t half_step = t.part_rows * widest, update = 2 * t.part_units * up_width;
  t.scratch_size = round_up(half_step > update ? half_step : update, 16);
  t.scratch = arena.take<float>(t.scratch_size * threads);
  t.watch = arena.take<Watch>(threads);
  return t;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
