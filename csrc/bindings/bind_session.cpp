// Instruction set, threads and facts of the build.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include "bindings/session.h"
#include "rbmx/blas.h"

namespace py = pybind11;

namespace rbmx {
namespace bindings {

namespace {

std::atomic<const KernelTable*> chosen{nullptr};
std::atomic<int> threads{0};

std::vector<std::string> instruction_sets() {
  const Dispatch all = available_kernels();
  std::vector<std::string> names;
  for (int i = 0; i < all.count; ++i) names.emplace_back(all.tables[i]->isa);
  return names;
}

void set_isa(const std::string& name) {
  const KernelTable* table = kernels_named(name.c_str());
  if (table == nullptr) {
    std::string have;
    for (const std::string& isa : instruction_sets()) have += (have.empty() ? "" : ", ") + isa;
    throw py::value_error("RBMX_ISA: expected one of " + have + " on this machine, got '" + name +
                          "'");
  }
  chosen = table;
}

void set_num_threads(int n) {
  if (n < 1 || n > 1024)
    throw py::value_error("n: expected 1 to 1024 threads, got " + std::to_string(n));
  threads = n;
}

py::dict build_info() {
  py::dict info;
  info["version"] = RBMX_VERSION;
  info["compiler"] = __VERSION__;
  info["instruction_sets"] = instruction_sets();
  info["instruction_set"] = kernels().isa;
  info["threads"] = num_threads();
  info["blas"] = std::string(scipy_openblas_get_config());
  return info;
}

}  // namespace

int num_threads() { return threads == 0 ? default_threads() : threads.load(); }

const KernelTable& kernels() {
  const KernelTable* table = chosen;
  if (table == nullptr) {
    const char* wanted = std::getenv("RBMX_ISA");
    const Dispatch all = available_kernels();
    if (wanted != nullptr && *wanted != '\0') {
      set_isa(wanted);
    } else {
      chosen = all.tables[all.count - 1];
    }
    table = chosen;
  }
  return *table;
}

Team team(std::int64_t work) {
  constexpr std::int64_t kEnoughForAThread = 1 << 16;
  const std::int64_t worth = work / kEnoughForAThread;
  const int most = num_threads();
  return Team(worth < most ? static_cast<int>(worth) : most);
}

void bind_session(py::module_& m) {
  m.def("set_isa", &set_isa, py::arg("name"));
  m.def("set_num_threads", &set_num_threads, py::arg("n"));
  m.def("get_num_threads", &num_threads);
  m.def("build_info", &build_info);
}

}  // namespace bindings
}  // namespace rbmx
