// The table of this instruction set's kernels.
#include "cpu/table.h"

#define RBMX_TEXT_OF(x) #x
#define RBMX_TEXT(x) RBMX_TEXT_OF(x)

namespace rbmx {
namespace RBMX_ISA {

extern const KernelTable table;
const KernelTable table = {
    RBMX_TEXT(RBMX_ISA),
    mean,
    mean_dense,
    sample,
    gibbs,
    free_energy,
    cd_statistics,
    anneal,
    pseudo_log_likelihood,
    log_partition,
    train_minibatches,
    train_online,
    train_up_down,
    train_dense,
    gemm,
    csv_integers,
};

}  // namespace RBMX_ISA
}  // namespace rbmx
