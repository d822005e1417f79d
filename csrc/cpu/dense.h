// Half-steps as dense products, for real-valued units and as a cross-check of the sums over bits.
#pragma once

#include "cpu/gemm.h"
#include "cpu/row_block.h"
#include "rbmx/blas.h"

namespace rbmx {
namespace RBMX_ISA {

// How BLAS is told of a strided matrix: its rows lie one after another, or its columns do.
struct Operand {
  int transposed;
  int pitch;
};
RBMX_INLINE Operand operand(const Strided& s, std::int64_t rows, std::int64_t columns) {
  // a matrix of one row or column may have 1 for both strides: the pitch must still span it
  if (s.column == 1 && s.row >= columns) return {kNoTrans, static_cast<int>(s.row)};
  return {kTrans, static_cast<int>(s.column > rows ? s.column : rows)};
}

// Each member multiplies its own rows of the output with one thread, so BLAS never starts a pool of
// its own.
struct Multiplier {
  Product product;
  GemmScratch scratch;

  RBMX_ALWAYS_INLINE void operator()(std::int64_t m, std::int64_t n, std::int64_t k,
                                     const Strided& a, const Strided& b, float* c) const {
    if (m == 0) return;
    if (product == Product::canonical) {
      gemm_slice(m, n, k, a, b, c, n, scratch);
      return;
    }
    const Operand left = operand(a, m, k), right = operand(b, k, n);
    scipy_cblas_sgemm(kRowMajor, left.transposed, right.transposed, static_cast<int>(m),
                      static_cast<int>(n), static_cast<int>(k), 1.0f, a.values, left.pitch,
                      b.values, right.pitch, 0.0f, c, static_cast<int>(n));
  }
};

RBMX_INLINE Multiplier* make_multipliers(Arena& arena, Product product, int threads) {
  auto* multipliers = arena.take<Multiplier>(threads);
  for (int i = 0; i < threads; ++i) {
    multipliers[i].product = product;
    if (product == Product::canonical) multipliers[i].scratch = make_gemm_scratch(arena);
  }
  return multipliers;
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

// pre (rows, units) in place -> sigmoid(pre + bias); with samples (0 or 1, same shape) where not
// null
static inline void activate_rows(float* pre, const float* bias, std::int64_t first,
                                 std::int64_t last, std::int64_t units, const Place& place,
                                 std::uint32_t stream, float* samples) {
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t at = place.first_row + row;
    const auto group = static_cast<std::uint32_t>(at / kRowsPerCall);
    const int turn = static_cast<int>(at & (kRowsPerCall - 1));
    for (std::int64_t unit = 0; unit < units; unit += kLanes) {
      const auto bytes = static_cast<std::size_t>(smaller(kLanes, units - unit)) * sizeof(float);
      Floats x{}, b{};
      std::memcpy(&x, pre + row * units + unit, bytes);
      std::memcpy(&b, bias + unit, bytes);
      const Floats mean = sigmoid(x + b);
      std::memcpy(pre + row * units + unit, &mean, bytes);
      if (samples == nullptr) continue;
      Words call[4], tie_call[4];
      philox_lanes(static_cast<std::uint32_t>(unit), group, place.step, stream, place.key, call);
      const Floats scaled = mean * 65536.0f;
      const Ints threshold = truncate(scaled), draw = draw16(call, turn);
      Ints ones = draw < threshold;
      const Ints ties = draw == threshold;
      if (__builtin_expect(sign_mask(ties) != 0, 0)) {
        philox_lanes(static_cast<std::uint32_t>(unit), group, place.step, stream | kTieBit,
                     place.key, tie_call);
        ones |=
            ties & (to_floats(draw16(tie_call, turn)) < (scaled - to_floats(threshold)) * 65536.0f);
      }
      const Floats sample = to_floats(-ones);
      std::memcpy(samples + row * units + unit, &sample, bytes);
    }
  }
}

RBMX_INLINE Range rows_of(const Member& member, std::int64_t rows) {
  const Range groups = member.split((rows + kRowsPerCall - 1) / kRowsPerCall);
  return {smaller(rows, groups.begin * kRowsPerCall), smaller(rows, groups.end * kRowsPerCall)};
}

}  // namespace RBMX_ISA
}  // namespace rbmx
