// Partition functions and pseudo-likelihoods; the long ones look at signals and report progress.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "bindings/arguments.h"
#include "bindings/session.h"
#include "bindings/units.h"
#include "bindings/watcher.h"
#include "ref/ref.h"

namespace rbmx {
namespace bindings {

namespace {

// what stopped a call is raised where it came from
[[noreturn]] void raise(const Watcher& watcher) {
  const py::object exception = watcher.exception();
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

py::array anneal(const py::array& weight, const py::array& visible_bias,
                 const py::array& hidden_bias, const py::array& base_bias, const py::array& betas,
                 const py::array& visible, std::pair<std::uint32_t, std::uint32_t> key,
                 std::int64_t first_row, std::uint32_t step, const OwnedUnits& units,
                 const py::object& progress, bool reference) {
  const Model m = model(weight, visible_bias, hidden_bias, units);
  const auto base = checked<float>(base_bias, "base_bias", {m.n_visible});
  const auto inverse = checked<double>(betas, "betas", {-1});
  for (py::ssize_t k = 0; k < inverse.size(); ++k) {
    if (!(inverse.data()[k] >= 0 && inverse.data()[k] <= 1))
      throw py::value_error("betas: expected numbers from 0 to 1, got " +
                            std::to_string(inverse.data()[k]));
  }
  const AnnealingPath path = {base.data(), inverse.data(), inverse.size()};
  const MutableBits v = mutable_bits(visible, "visible", m.n_visible);
  const Place at = place(key, first_row, step);
  Array<double> out(v.rows);
  double* log_weights = out.mutable_data();
  std::fill_n(log_weights, v.rows, 0.0);
  Watcher watcher(progress);
  bool finished = true;
  {
    const py::gil_scoped_release release;
    const std::int64_t steps = std::min<std::int64_t>(path.n_betas, 1024);  // enough to share
    Team threads = team(v.rows * m.n_visible * m.n_hidden * steps);
    if (reference) {
      ref::anneal(m, path, v, at, log_weights);
    } else {
      finished = kernels().anneal(threads, m, path, v, at, watcher.monitor(), log_weights);
    }
  }
  if (!finished) raise(watcher);
  return out;
}

py::array pseudo_log_likelihood(const py::array& weight, const py::array& visible_bias,
                                const py::array& hidden_bias, const py::array& visible,
                                bool reference) {
  const Model m = model(weight, visible_bias, hidden_bias);
  for (std::int64_t i = 0; i < m.n_hidden * m.n_visible; ++i) {
    if (std::fabs(static_cast<double>(m.weight[i])) > kProductRange)
      throw py::value_error("weight: expected magnitudes up to 600, got " +
                            std::to_string(m.weight[i]));
  }
  const Bits v = bits(visible, "visible", m.n_visible);
  Array<double> out(v.rows);
  double* values = out.mutable_data();
  {
    const py::gil_scoped_release release;
    Team threads = team(v.rows * m.n_visible * m.n_hidden);
    reference ? ref::pseudo_log_likelihood(m, v, values)
              : kernels().pseudo_log_likelihood(threads, m, v, values);
  }
  return out;
}

double log_partition(const py::array& weight, const py::array& bias, const py::array& other_bias,
                     const py::object& progress, bool reference) {
  // the units that are enumerated stand where a model has its hidden units
  const Model m = model(weight, other_bias, bias);
  if (m.n_hidden > kMaxEnumerated)
    throw py::value_error("weight: expected at most " + std::to_string(kMaxEnumerated) +
                          " units to enumerate, got " + std::to_string(m.n_hidden));
  const Enumeration e = {m.weight, m.hidden_bias, m.visible_bias, m.n_hidden, m.n_visible};
  Watcher watcher(progress);
  double log_z = 0;
  {
    const py::gil_scoped_release release;
    Team threads = team((std::int64_t{1} << std::min<std::int64_t>(e.n, 20)) * e.others);
    log_z =
        reference ? ref::log_partition(e) : kernels().log_partition(threads, e, watcher.monitor());
  }
  if (std::isnan(log_z) && !watcher.exception().is_none()) raise(watcher);
  return log_z;
}

}  // namespace

void bind_likelihood(py::module_& m) {
  m.def("anneal", &anneal, py::arg("weight"), py::arg("visible_bias"), py::arg("hidden_bias"),
        py::arg("base_bias"), py::arg("betas"), py::arg("visible"), py::kw_only(), py::arg("key"),
        py::arg("first_row") = 0, py::arg("step") = 0, py::arg("units") = OwnedUnits(),
        py::arg("progress") = py::none(), py::arg("reference") = false);
  m.def("pseudo_log_likelihood", &pseudo_log_likelihood, py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("visible"), py::kw_only(), py::arg("reference") = false);
  m.def("log_partition", &log_partition, py::arg("weight"), py::arg("bias"), py::arg("other_bias"),
        py::kw_only(), py::arg("progress") = py::none(), py::arg("reference") = false);
}

}  // namespace bindings
}  // namespace rbmx
