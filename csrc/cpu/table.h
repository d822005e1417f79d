// The kernels of one instruction set, each in the file of its name.
#pragma once

#include "parallel/team.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

void mean(Team&, const Model&, Side, const Bits& given, float* out);
void mean_dense(Team&, const Model&, Side, const Reals& given, const Place&, Product, float* means,
                const Samples&);
void sample(Team&, const Model&, Side, const Bits& given, const Place&, MutableBits out);
void gibbs(Team&, const Model&, MutableBits visible, std::int64_t steps, const Place&);
void free_energy(Team&, const Model&, const Bits& visible, double* out);
void cd_statistics(Team&, const Model&, const Bits& visible, std::int64_t gibbs_steps, const Place&,
                   Statistics sums);
bool anneal(Team&, const Model&, const AnnealingPath&, MutableBits visible, const Place&,
            const Monitor&, double* log_weights);
void pseudo_log_likelihood(Team&, const Model&, const Bits& visible, double* out);
double log_partition(Team&, const Enumeration&, const Monitor&);
TrainingReport train_minibatches(Team&, Parameters, const Bits& data, const TrainingPlan&,
                                 TrainingState&);
TrainingReport train_online(Team&, Parameters, const Bits& data, const TrainingPlan&,
                            TrainingState&);
TrainingReport train_up_down(Team&, const UpDownStack&, const Bits& data, const TrainingPlan&,
                             TrainingState&);
TrainingReport train_dense(Team&, Parameters, const Reals& data, const TrainingPlan&,
                           TrainingState&, Product);
void gemm(Team&, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t a_row,
          std::int64_t a_col, const float* b, std::int64_t b_row, std::int64_t b_col, float* c);
LinesRead csv_integers(const CsvLines&, const CsvRows&);

}  // namespace RBMX_ISA
}  // namespace rbmx
