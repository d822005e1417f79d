// The weights as the half-steps read them: from n_in binary units to n_out sums, rounded to 2^-20.
//
// Panels of `width` outputs stand one after another; inside a panel, row i holds the weights from
// input i to the panel's outputs. A block of rows_per_block rows fits the first-level cache:
//   values[(panel * padded_in + input) * width + output % width]
#pragma once

#include "cpu/simd.h"
#include "parallel/team.h"
#include "rbmx/arena.h"
#include "rbmx/bits.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

struct Projection {
  std::int32_t* values;
  float* bias;  // n_panels * width; kNeverActive beyond n_out
  std::int64_t n_in;
  std::int64_t n_out;
  std::int64_t padded_in;
  std::int64_t width;
  std::int64_t n_panels;
  std::int64_t rows_per_block;
  std::int64_t n_blocks;

  RBMX_ALWAYS_INLINE std::int32_t* panel(std::int64_t p) const {
    return values + p * padded_in * width;
  }
  RBMX_ALWAYS_INLINE std::int64_t padded_out() const { return n_panels * width; }
};

inline constexpr float kNeverActive = -1e30f;     // bias of a padded unit: its mean is 0
inline constexpr std::int64_t kHiddenPanel = 64;  // widest panel of hidden units
#if defined(__AVX512F__)
inline constexpr int kMaxVectors = 8;
inline constexpr std::int64_t kBlockBytes = 32 * 1024;
#else
inline constexpr int kMaxVectors = 14;
inline constexpr std::int64_t kBlockBytes = 28 * 1024;
#endif

// Widths that the half-step is compiled for, in vectors of kLanes.
RBMX_INLINE bool has_width(int vectors) {
  return vectors <= kMaxVectors &&
         (vectors <= 8 || vectors == 10 || vectors == 12 || vectors == 14);
}

// The width in vectors that wastes the fewest padded outputs; the wider of two equals.
RBMX_INLINE int panel_vectors(std::int64_t n_out) {
  const std::int64_t needed = (n_out + kLanes - 1) / kLanes;
  int best = 1;
  std::int64_t best_cost = INT64_MAX;
  for (int vectors = 1; vectors <= kMaxVectors; ++vectors) {
    if (!has_width(vectors)) continue;
    // a narrow panel decodes its lists more often: count that as a fixed part of one vector
    const std::int64_t cost = (needed + vectors - 1) / vectors * (vectors + 1);
    if (cost <= best_cost) {
      best_cost = cost;
      best = vectors;
    }
  }
  return best;
}

// Gradients want a power of two vectors of hidden units, two or more, at most kHiddenPanel units.
RBMX_INLINE int hidden_vectors(std::int64_t n_hidden) {
  int vectors = 2;
  while (vectors * kLanes < n_hidden && vectors * kLanes < kHiddenPanel) vectors *= 2;
  return vectors;
}

static inline Projection make_projection(Arena& arena, std::int64_t n_in, std::int64_t n_out,
                                         int vectors, std::int64_t padded_in) {
  Projection p;
  p.n_in = n_in;
  p.n_out = n_out;
  p.padded_in = round_up(padded_in, kLanes);
  p.width = vectors * kLanes;
  p.n_panels = (n_out + p.width - 1) / p.width;
  const std::int64_t fitting = kBlockBytes / (4 * p.width) / 32 * 32;
  p.rows_per_block = fitting < 32 ? 32 : fitting > 256 ? 256 : fitting;
  p.n_blocks = (n_in + p.rows_per_block - 1) / p.rows_per_block;
  p.values = arena.take<std::int32_t>(p.n_panels * p.padded_in * p.width);
  p.bias = arena.take<float>(p.padded_out());
  for (std::int64_t out = n_out; out < p.padded_out(); ++out) p.bias[out] = kNeverActive;
  return p;
}

// visit(from, to) for every weight of the member's panels: `from` its place in an (n_out, n_in)
// array, `to` its place in the panels. Tiles of 16 inputs keep both sides in the first-level cache.
template <class Visit>
RBMX_INLINE void for_each_weight(const Projection& p, const Member& member, Visit&& visit) {
  constexpr std::int64_t kTile = 16;
  const Range panels = member.split(p.n_panels);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const std::int64_t first = panel * p.width, last = smaller(first + p.width, p.n_out);
    for (std::int64_t tile = 0; tile < p.n_in; tile += kTile) {
      const std::int64_t end = smaller(tile + kTile, p.n_in);
      for (std::int64_t out = first; out < last; ++out) {
        for (std::int64_t in = tile; in < end; ++in) {
          visit(out * p.n_in + in, (panel * p.padded_in + in) * p.width + (out - first));
        }
      }
    }
  }
}

// weight (n_out, n_in): the output of a row stands beside the outputs of its panel
static inline void fill_from_rows(const Projection& p, const float* weight, const float* bias,
                                  const Member& member) {
  for_each_weight(p, member, [&](std::int64_t from, std::int64_t to) {
    p.values[to] = static_cast<std::int32_t>(__builtin_rintf(weight[from] * kWeightOne));
  });
  const Range panels = member.split(p.n_panels);
  const std::int64_t last = smaller(panels.end * p.width, p.n_out);
  for (std::int64_t out = panels.begin * p.width; out < last; ++out) p.bias[out] = bias[out];
}

// weight (n_in, n_out): the transposed use of the same array
static inline void fill_from_columns(const Projection& p, const float* weight, const float* bias,
                                     const Member& member) {
  const Range panels = member.split(p.n_panels);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const std::int64_t first = panel * p.width, last = smaller(first + p.width, p.n_out);
    for (std::int64_t in = 0; in < p.n_in; ++in) {
      std::int32_t* row = p.panel(panel) + in * p.width;
      for (std::int64_t out = first; out < last; ++out) {
        row[out - first] =
            static_cast<std::int32_t>(__builtin_rintf(weight[in * p.n_out + out] * kWeightOne));
      }
    }
    for (std::int64_t out = first; out < last; ++out) p.bias[out] = bias[out];
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
