// Float weights as products read them: panels of `width` outputs, one after another; inside a
// panel, row i holds the weights from input i to the panel's outputs.
//   values[(panel * padded_in + input) * width + output % width]
#pragma once

#include "cpu/gemm_tile.h"
#include "cpu/listed_rows.h"
#include "cpu/transpose.h"
#include "parallel/team.h"

namespace rbmx {
namespace RBMX_ISA {

struct Panels {
  float* values;
  float* bias;  // padded to whole panels
  std::int64_t n_in;
  std::int64_t n_out;
  std::int64_t padded_in;
  std::int64_t width;
  std::int64_t n_panels;
  std::int64_t rows_per_block;  // rows of a panel that stay in L1

  RBMX_ALWAYS_INLINE float* panel(std::int64_t p) const { return values + p * padded_in * width; }
  RBMX_ALWAYS_INLINE std::int64_t padded_out() const { return n_panels * width; }
  RBMX_ALWAYS_INLINE std::int64_t size() const { return padded_in * padded_out(); }
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

// weight (n_out, n_in) -> panels; + 0: a negative zero becomes positive
static inline void load_rows(const Panels& p, const float* weight, float* to,
                             const Member& member) {
  const Range panels = member.split(p.n_panels);
  for (std::int64_t out = panels.begin * p.width; out < smaller(panels.end * p.width, p.n_out);
       out += kLanes) {
    const std::int64_t outs = smaller(kLanes, p.n_out - out);
    float* column = to + out / p.width * p.padded_in * p.width + out % p.width;
    for (std::int64_t in = 0; in < p.n_in; in += kLanes) {
      const std::int64_t ins = smaller(kLanes, p.n_in - in);
      const auto bytes = static_cast<std::size_t>(ins) * sizeof(float);
      float tile[kLanes * kLanes] = {}, turned[kLanes * kLanes];
      for (std::int64_t r = 0; r < outs; ++r)
        std::memcpy(tile + r * kLanes, weight + (out + r) * p.n_in + in, bytes);
      transpose_tile(tile, kLanes, turned, kLanes);
      for (std::int64_t c = 0; c < ins; ++c)
        store(column + (in + c) * p.width, load<Floats>(turned + c * kLanes) + 0.0f);
    }
  }
}

// panels -> weight (n_out, n_in)
static inline void store_rows(const Panels& p, const float* from, float* weight,
                              const Member& member) {
  const Range panels = member.split(p.n_panels);
  for (std::int64_t out = panels.begin * p.width; out < smaller(panels.end * p.width, p.n_out);
       out += kLanes) {
    const std::int64_t outs = smaller(kLanes, p.n_out - out);
    const float* column = from + out / p.width * p.padded_in * p.width + out % p.width;
    for (std::int64_t in = 0; in < p.n_in; in += kLanes) {
      const std::int64_t ins = smaller(kLanes, p.n_in - in);
      const auto bytes = static_cast<std::size_t>(ins) * sizeof(float);
      float turned[kLanes * kLanes];
      transpose_tile(column + in * p.width, p.width, turned, kLanes);
      for (std::int64_t r = 0; r < outs; ++r)
        std::memcpy(weight + (out + r) * p.n_in + in, turned + r * kLanes, bytes);
    }
  }
}

// weight (n_in, n_out): the transposed use of the same array
static inline void load_columns(const Panels& p, const float* weight, const Member& member) {
  const Range panels = member.split(p.n_panels);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const std::int64_t first = panel * p.width, last = smaller(first + p.width, p.n_out);
    for (std::int64_t in = 0; in < p.n_in; ++in) {
      float* row = p.panel(panel) + in * p.width;
      for (std::int64_t out = first; out < last; ++out)
        row[out - first] = weight[in * p.n_out + out] + 0.0f;
    }
  }
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
