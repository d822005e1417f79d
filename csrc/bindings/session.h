// What the process has chosen: the instruction set and the number of threads.
#pragma once

#include "parallel/team.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace bindings {

const KernelTable& kernels();
int num_threads();
// A team for so much work (rows times weights between two barriers): one thread where it is too
// little to share, so that small machines do not wait at barriers.
Team team(std::int64_t work);

}  // namespace bindings
}  // namespace rbmx
