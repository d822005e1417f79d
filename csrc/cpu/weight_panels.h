// Float weights as products read them: panels (panels.h), a block of whose rows stays in L1.
#pragma once

#include "cpu/categorical.h"
#include "cpu/gemm_tile.h"
#include "cpu/listed_rows.h"
#include "cpu/panels.h"

namespace rbmx {
namespace RBMX_ISA {

struct Panels : PanelShape {
  float* values;
  float* bias;                  // padded to whole panels
  std::int64_t rows_per_block;  // rows of a panel that stay in L1
  GroupSpan grouped = {};       // outputs that are drawn by groups
  Unit unit = Unit::bernoulli;  // what the outputs are

  RBMX_ALWAYS_INLINE float* panel(std::int64_t p) const { return values + panel_at(p); }
};

#if defined(__AVX512F__)
inline constexpr std::int64_t kPanelBytes = 32 * 1024;  // of a block of rows
#else
inline constexpr std::int64_t kPanelBytes = 24 * 1024;
#endif

// The width that wastes the fewest outputs; the wider of two equals.
RBMX_INLINE std::int64_t panel_width(std::int64_t n_out) {
  const std::int64_t needed = (n_out + kLanes - 1) / kLanes;
  std::int64_t best = 2, best_cost = INT64_MAX;
  for (std::int64_t vectors = 2; vectors <= kMostVectors; vectors += 2) {
    // a narrow panel reads its lists more often: count that as a fixed part of one vector
    const std::int64_t cost = (needed + vectors - 1) / vectors * (vectors + 1);
    if (cost <= best_cost) {
      best_cost = cost;
      best = vectors;
    }
  }
  return best * kLanes;
}

// padded_in: n_in, or more where a mirror writes whole tiles
static inline Panels make_panels(Arena& arena, std::int64_t n_in, std::int64_t n_out,
                                 std::int64_t width, std::int64_t padded_in) {
  Panels p;
  p.n_in = n_in;
  p.n_out = n_out;
  p.padded_in = padded_in;
  p.width = width;
  p.n_panels = (n_out + width - 1) / width;
  const std::int64_t fitting = kPanelBytes / (4 * width) / 32 * 32;
  p.rows_per_block = fitting < 32 ? 32 : fitting;
  p.values = arena.take<float>(p.size());
  p.bias = arena.take<float>(p.padded_out());
  return p;
}

// weight (n_in, n_out): the transposed use of the same array
static inline void load_columns(const Panels& p, const float* weight, const Member& member) {
  columns_to_panels(p, weight, member,
                    [&](std::int64_t at, Floats lanes) { store(p.values + at, lanes + 0.0f); });
}

// Rows input .. input + kLanes of one panel of `from`, turned into columns of `to`, whose outputs
// are the inputs of `from`.
RBMX_INLINE void mirror(const Panels& from, std::int64_t panel, std::int64_t input,
                        const Panels& to) {
  const float* rows = from.panel(panel) + input * from.width;
  float* columns = to.panel(input / to.width) + panel * from.width * to.width + input % to.width;
  for (std::int64_t i = 0; i < from.width; i += kLanes)
    transpose_tile(rows + i, from.width, columns + i * to.width, to.width);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
