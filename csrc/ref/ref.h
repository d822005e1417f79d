// The specification in C++: the obvious loop for each kernel of rbmx/kernels.h, one thread, never
// sped up. cpu/ must give the same bytes (tests/kernels).
#pragma once

#include "rbmx/kernels.h"

namespace rbmx {
namespace ref {

void mean(const Model&, Side, const Bits& given, float* out);
void mean_dense(const Model&, Side, const Reals& given, const Place&, float* means, const Samples&);
void sample(const Model&, Side, const Bits& given, const Place&, MutableBits out);
void gibbs(const Model&, MutableBits visible, std::int64_t steps, const Place&);
void free_energy(const Model&, const Bits& visible, double* out);
void cd_statistics(const Model&, const Bits& visible, std::int64_t gibbs_steps, const Place&,
                   Statistics sums);
void anneal(const Model&, const AnnealingPath&, MutableBits visible, const Place&,
            double* log_weights);
void pseudo_log_likelihood(const Model&, const Bits& visible, double* out);
double log_partition(const Enumeration&);
TrainingReport train_minibatches(Parameters, const Bits& data, const TrainingPlan&, TrainingState&);
TrainingReport train_up_down(const UpDownStack&, const Bits& data, const TrainingPlan&,
                             TrainingState&);
TrainingReport train_dense(Parameters, const Reals& data, const TrainingPlan&, TrainingState&);
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t a_row,
          std::int64_t a_col, const float* b, std::int64_t b_row, std::int64_t b_col, float* c);

}  // namespace ref
}  // namespace rbmx
