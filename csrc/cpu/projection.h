// The weights as the half-steps over bits read them: panels (panels.h) of weights rounded to 2^-20.
// A block of rows_per_block rows of a panel fits the first-level cache.
#pragma once

#include "cpu/categorical.h"
#include "cpu/panels.h"
#include "rbmx/arena.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

struct Projection : PanelShape {
  std::int32_t* values;
  float* bias;  // padded to whole panels; kNeverActive beyond n_out
  float scale;  // of the sums: 2^-20, times the inverse temperature where there is one (anneal.cpp)
  std::int64_t rows_per_block;
  std::int64_t n_blocks;
  GroupSpan grouped = {};  // outputs that are drawn by groups

  RBMX_ALWAYS_INLINE std::int32_t* panel(std::int64_t p) const { return values + panel_at(p); }
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

// Gradients want a power of two vectors of hidden units, two or more, at most kHiddenPanel units:
// the width that costs least, where half the width costs a twentieth more for each unit.
RBMX_INLINE int hidden_vectors(std::int64_t n_hidden) {
  int best = 2;
  double best_cost = 1e30, narrow = 1.05;
  for (int vectors = static_cast<int>(kHiddenPanel / kLanes); vectors >= 2; vectors /= 2) {
    const double cost = static_cast<double>(round_up(n_hidden, vectors * kLanes)) * narrow;
    if (cost < best_cost) {
      best_cost = cost;
      best = vectors;
    }
    narrow *= 1.05;
  }
  return best;
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
  p.values = arena.take<std::int32_t>(p.size());
  p.bias = arena.take<float>(p.padded_out());
  for (std::int64_t out = n_out; out < p.padded_out(); ++out) p.bias[out] = kNeverActive;
  p.scale = 1.0f / kWeightOne;
  return p;
}

static inline void fill_bias(const Projection& p, const float* bias, const Member& member) {
  const Range panels = member.split(p.n_panels);
  const std::int64_t last = smaller(panels.end * p.width, p.n_out);
  for (std::int64_t out = panels.begin * p.width; out < last; ++out) p.bias[out] = bias[out];
}

// weight (n_out, n_in): the output of a row stands beside the outputs of its panel
static inline void fill_from_rows(const Projection& p, const float* weight, const float* bias,
                                  const Member& member) {
  rows_to_panels(p, weight, member, [&](std::int64_t at, Floats lanes) {
    store(p.values + at, round_to_ints(lanes * kWeightOne));
  });
  fill_bias(p, bias, member);
}

// weight (n_in, n_out): the transposed use of the same array
static inline void fill_from_columns(const Projection& p, const float* weight, const float* bias,
                                     const Member& member) {
  columns_to_panels(p, weight, member, [&](std::int64_t at, Floats lanes) {
    store(p.values + at, round_to_ints(lanes * kWeightOne));
  });
  fill_bias(p, bias, member);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
