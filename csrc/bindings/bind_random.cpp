// Philox itself (for known answers) and seeded orders.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>

#include "order/permutation.h"

namespace py = pybind11;

namespace rbmx {
namespace bindings {

namespace {

std::array<std::uint32_t, 4> philox_call(const std::array<std::uint32_t, 4>& counter,
                                         std::pair<std::uint32_t, std::uint32_t> key) {
  return philox({counter[0], counter[1], counter[2], counter[3]}, {key.first, key.second});
}

py::array seeded_permutation(std::int64_t n, std::pair<std::uint32_t, std::uint32_t> key) {
  if (n < 0) throw py::value_error("n: expected 0 or more, got " + std::to_string(n));
  py::array_t<std::int64_t> out(n);
  std::int64_t* order = out.mutable_data();
  const py::gil_scoped_release release;
  permutation(n, {key.first, key.second}, order);
  return out;
}

}  // namespace

void bind_random(py::module_& m) {
  m.def("philox", &philox_call, py::arg("counter"), py::arg("key"));
  m.def("permutation", &seeded_permutation, py::arg("n"), py::kw_only(), py::arg("key"));
}

}  // namespace bindings
}  // namespace rbmx
