// What the process has chosen: the instruction set and the number of threads.
#pragma once

#include "parallel/team.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace bindings {

const KernelTable& kernels();
Team team();

}  // namespace bindings
}  // namespace rbmx
