// One half of a Gibbs step for one panel and a block of rows:
//   x = bias + 2^-20 * sum over active inputs of weight,  mean = sigmoid(x),  sample = u < mean.
#pragma once

#include "cpu/activation.h"
#include "cpu/active_lists.h"

namespace rbmx {
namespace RBMX_ISA {

// sums[(row - first) * width + output] = integer sum over the row's active inputs, for one panel
// and rows first .. last - 1; rows that are not fresh go on from what stands there.
void add_active_rows(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                     std::int64_t first, std::int64_t last, std::int32_t* sums);

}  // namespace RBMX_ISA
}  // namespace rbmx
