// Half-steps as products of real numbers: a left factor, dense or listed, times a panel of weights.
#pragma once

#include "cpu/real_units.h"
#include "cpu/row_block.h"
#include "cpu/weight_panels.h"
#include "rbmx/blas.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

// Rows of the left factor: dense, or as lists of their non-zeros.
struct Factor {
  Strided dense;
  ListedRows listed;  // its index null: dense
};

// out (rows, width) = a (rows, n_in) panel (n_in, width) in canonical order
static inline void multiply_tiles(const Strided& a, std::int64_t rows, const float* panel,
                                  std::int64_t n_in, std::int64_t width, float* out) {
  constexpr std::int64_t kBlock = 256;  // inputs; a block of a panel streams from L2
  for (std::int64_t p = 0; p < n_in; p += kBlock) {
    const std::int64_t depth = smaller(kBlock, n_in - p);
    for (std::int64_t i = 0; i < rows; i += kTileRows) {
      for (std::int64_t j = 0; j < width; j += kTileColumns) {
        multiply_rows(smaller(kTileRows, rows - i), a.at(i, p), panel + p * width + j, width, depth,
                      p != 0, out + i * width + j, width);
      }
    }
  }
}

// out (last - first, width) = rows first .. last of `left` times panel (n_in, width)
static inline void multiply(Product product, const Factor& left, std::int64_t first,
                            std::int64_t last, const float* panel, std::int64_t n_in,
                            std::int64_t width, float* out) {
  const Strided a = left.dense.at(first, 0);
  if (left.listed.index != nullptr) {
    multiply_listed(left.listed, first, last, n_in, panel, width, out);
  } else if (product == Product::canonical) {
    multiply_tiles(a, last - first, panel, n_in, width, out);
  } else {
    const bool turned = a.column != 1;
    scipy_cblas_sgemm(kRowMajor, turned ? kTrans : kNoTrans, kNoTrans,
                      static_cast<int>(last - first), static_cast<int>(width),
                      static_cast<int>(n_in), 1.0f, a.values,
                      static_cast<int>(turned ? a.column : a.row), panel, static_cast<int>(width),
                      0.0f, out, static_cast<int>(width));
  }
}

// While it lives BLAS uses the calling thread only; then the caller's setting is back.
class SerialBlas {
 public:
  RBMX_ALWAYS_INLINE SerialBlas() : threads_(scipy_openblas_get_num_threads()) {
    scipy_openblas_set_num_threads(1);
  }
  RBMX_ALWAYS_INLINE ~SerialBlas() { scipy_openblas_set_num_threads(threads_); }
  SerialBlas(const SerialBlas&) = delete;
  SerialBlas& operator=(const SerialBlas&) = delete;

 private:
  int threads_;
};

// Where means and samples of a panel go, rows counted from 0; null pointers: not wanted.
struct Activations {
  float* means;  // of the panel's first unit
  std::int64_t pitch;
  Samples samples;
};

// the first `live` lanes
RBMX_INLINE void store_live(float* to, Floats lanes, std::int64_t live) {
  if (live == kLanes) {
    store(to, lanes);
  } else {
    std::memcpy(to, &lanes, static_cast<std::size_t>(live) * sizeof(float));
  }
}

// inputs (rows, pitch) of grouped units = pre + bias, for the units of a panel from unit0 on
static inline void keep_inputs(const GroupSpan& span, const float* pre, std::int64_t width,
                               const float* bias, std::int64_t unit0, std::int64_t first,
                               std::int64_t last, float* inputs) {
  const std::int64_t begin = unit0 > span.begin ? unit0 : span.begin;
  const std::int64_t end = smaller(unit0 + width, span.end);
  for (std::int64_t row = first; row < last; ++row, pre += width) {
    for (std::int64_t unit = begin; unit < end; unit += kLanes) {
      store(inputs + row * span.pitch() + unit - span.begin,
            load<Floats>(pre + unit - unit0) + load<Floats>(bias + unit - unit0));
    }
  }
}

// pre (last - first, width) of the units of a panel from unit0 on -> sigmoid(pre + bias), and
// samples
static inline void activate_bits(const float* pre, std::int64_t width, const float* bias,
                                 std::int64_t unit0, std::int64_t n_units, std::int64_t first,
                                 std::int64_t last, const Place& place, std::uint32_t stream,
                                 const Activations& out) {
  const bool sampling = out.samples.bits.words != nullptr;
  for (std::int64_t row = first; row < last;) {
    const std::int64_t at = place.first_row + row;
    const int in_group = static_cast<int>(at & (kRowsPerCall - 1));
    const std::int64_t group_end = smaller(last, row + kRowsPerCall - in_group);
    const auto group = static_cast<std::uint32_t>(at / kRowsPerCall);
    for (std::int64_t i = 0; i < width && unit0 + i < n_units; i += kLanes) {
      const auto unit = static_cast<std::uint32_t>(unit0 + i);
      const std::int64_t live = smaller(kLanes, n_units - unit0 - i);
      Words call[4], tie_call[4];
      bool tied_before = false;
      if (sampling) philox_lanes(unit, group, place.step, stream, place.key, call);
      Floats shift{};
      std::memcpy(&shift, bias + i, static_cast<std::size_t>(live) * sizeof(float));
      for (std::int64_t r = row; r < group_end; ++r) {
        const Floats mean = sigmoid(load<Floats>(pre + (r - first) * width + i) + shift);
        if (out.means != nullptr) store_live(out.means + r * out.pitch + i, mean, live);
        if (!sampling) continue;
        const int turn = static_cast<int>(r - row) + in_group;
        const Floats scaled = mean * 65536.0f;
        const Ints threshold = truncate(scaled), draw = draw16(call, turn);
        std::uint32_t ones = sign_mask(draw < threshold);
        const std::uint32_t ties = sign_mask(draw == threshold);
        if (__builtin_expect(ties != 0, 0)) {
          if (!tied_before)
            philox_lanes(unit, group, place.step, stream | kTieBit, place.key, tie_call);
          tied_before = true;
          const Floats fraction = (scaled - to_floats(threshold)) * 65536.0f;
          ones |= ties & sign_mask(to_floats(draw16(tie_call, turn)) < fraction);
        }
        ones &= (1u << live) - 1u;
        std::memcpy(reinterpret_cast<char*>(out.samples.bits.words + r * out.samples.bits.stride) +
                        unit / 8,
                    &ones, kLanes / 8);
      }
    }
    row = group_end;
  }
}

// The same for units of real_units.h.
template <class Units>
static inline void activate_reals(const float* pre, std::int64_t width, const float* bias,
                                  std::int64_t unit0, std::int64_t n_units, std::int64_t first,
                                  std::int64_t last, const Place& place, std::uint32_t stream,
                                  const Activations& out) {
  constexpr int n = Units::kNumbers;
  const bool sampling = out.samples.values != nullptr;
  for (std::int64_t row = first; row < last;) {
    const std::int64_t at = place.first_row + row;
    const int in_group = static_cast<int>(at & (kRowsPerCall - 1));
    const std::int64_t group_end = smaller(last, row + kRowsPerCall - in_group);
    const auto group = static_cast<std::uint32_t>(at / kRowsPerCall);
    for (std::int64_t i = 0; i < width && unit0 + i < n_units; i += kLanes) {
      const auto unit = static_cast<std::uint32_t>(unit0 + i);
      const std::int64_t live = smaller(kLanes, n_units - unit0 - i);
      Words high_call[n][4], low_call[n][4];
      for (int k = 0; k < n && sampling; ++k) {
        const std::uint32_t own = k == 0 ? stream : stream | kAngleBit;
        philox_lanes(unit, group, place.step, own, place.key, high_call[k]);
        philox_lanes(unit, group, place.step, own | kTieBit, place.key, low_call[k]);
      }
      const Floats shift = load<Floats>(bias + i);
      for (std::int64_t r = row; r < group_end; ++r) {
        const Floats x = load<Floats>(pre + (r - first) * width + i) + shift;
        if (out.means != nullptr) store_live(out.means + r * out.pitch + i, Units::mean(x), live);
        if (!sampling) continue;
        const int turn = static_cast<int>(r - row) + in_group;
        Floats high[n], low[n];
        for (int k = 0; k < n; ++k) {
          high[k] = to_floats(draw16(high_call[k], turn));
          low[k] = to_floats(draw16(low_call[k], turn));
        }
        store_live(out.samples.values + r * out.samples.pitch + unit0 + i,
                   Units::sample(x, high, low), live);
      }
    }
    row = group_end;
  }
}

static inline void activate_panel(Unit unit, const float* pre, std::int64_t width,
                                  const float* bias, std::int64_t unit0, std::int64_t n_units,
                                  std::int64_t first, std::int64_t last, const Place& place,
                                  std::uint32_t stream, const Activations& out) {
  const auto activate = unit == Unit::bernoulli  ? activate_bits
                        : unit == Unit::gaussian ? activate_reals<GaussianUnits>
                                                 : activate_reals<RectifiedUnits>;
  activate(pre, width, bias, unit0, n_units, first, last, place, stream, out);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
