// Which instruction set runs: the best that both the build and the processor have, or the one asked
// for.
#include <cstring>

#include "rbmx/kernels.h"

namespace rbmx {

namespace baseline {
extern const KernelTable table;
}
#if defined(RBMX_X86)
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
#endif

namespace {

#if defined(RBMX_X86)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}
#if defined(RBMX_EMULATE_AVX512)
bool has_avx512() { return has_avx2(); }
#else
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vnni");
}
#endif
#endif

struct Available {
  const KernelTable* tables[3];
  int count;
  Available() : tables{&baseline::table, nullptr, nullptr}, count(1) {
#if defined(RBMX_X86)
    __builtin_cpu_init();
    if (has_avx2()) tables[count++] = &avx2::table;
    if (has_avx512()) tables[count++] = &avx512::table;
#endif
  }
};

const Available& available() {
  static const Available found;
  return found;
}

}  // namespace

Dispatch available_kernels() { return {available().tables, available().count}; }

const KernelTable* kernels_named(const char* isa) {
  for (int i = 0; i < available().count; ++i) {
    if (std::strcmp(available().tables[i]->isa, isa) == 0) return available().tables[i];
  }
  return nullptr;
}

}  // namespace rbmx
