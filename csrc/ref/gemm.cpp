// c (m, n) = a (m, k) b (k, n), one chain of fused multiply-adds over k for each output
#include <cmath>

#include "ref/ref.h"

namespace rbmx {
namespace ref {

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t a_row,
          std::int64_t a_col, const float* b, std::int64_t b_row, std::int64_t b_col, float* c) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      float sum = 0.0f;
      for (std::int64_t p = 0; p < k; ++p)
        sum = std::fma(a[i * a_row + p * a_col], b[p * b_row + j * b_col], sum);
      c[i * n + j] = sum;
    }
  }
}

}  // namespace ref
}  // namespace rbmx
