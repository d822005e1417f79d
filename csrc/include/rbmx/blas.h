// The one BLAS function that rbmx calls, from the scipy-openblas32 wheel (its symbols are
// prefixed).
#pragma once

#include <cstdint>

extern "C" {
void scipy_cblas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                       const float* a, int lda, const float* b, int ldb, float beta, float* c,
                       int ldc);
void scipy_openblas_set_num_threads(int n);
int scipy_openblas_get_num_threads(void);
char* scipy_openblas_get_config(void);
}

namespace rbmx {
inline constexpr int kRowMajor = 101;
inline constexpr int kNoTrans = 111;
inline constexpr int kTrans = 112;
}  // namespace rbmx
