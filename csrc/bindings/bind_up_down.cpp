// Minibatches of the up-down algorithm in one call, with the GIL released.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arguments.h"
#include "bindings/session.h"
#include "bindings/training.h"
#include "bindings/units.h"
#include "ref/ref.h"

namespace rbmx {
namespace bindings {

namespace {

using Arrays = std::tuple<py::array, py::array, py::array>;
// parameters, velocity or None, and the key of a way's noise
using Way = std::tuple<Arrays, py::object, std::pair<std::uint32_t, std::uint32_t>>;

Parameters learning(const Arrays& arrays, const OwnedUnits& units) {
  const auto& [weight, visible_bias, hidden_bias] = arrays;
  Parameters p = parameters(weight, visible_bias, hidden_bias, "", true);
  p.units = model(weight, visible_bias, hidden_bias, units).units;
  return p;
}

std::vector<Directed> directed(const std::vector<Way>& ways, bool has_velocity) {
  std::vector<Directed> layers;
  for (const auto& [arrays, velocity, key] : ways) {
    const Parameters p = learning(arrays, {});
    layers.push_back({p, moment(velocity, "velocity", has_velocity, p), {key.first, key.second}});
  }
  return layers;
}

// up[i] from level i to i + 1, down[i] back, the top on the last level and perhaps labels
void require_fit(const std::vector<Directed>& up, const std::vector<Directed>& down,
                 const Parameters& top) {
  bool fits = !up.empty() && up.size() == down.size();
  for (std::size_t i = 0; fits && i < up.size(); ++i) {
    const Parameters &rising = up[i].parameters, &falling = down[i].parameters;
    fits = rising.n_visible == falling.n_hidden && rising.n_hidden == falling.n_visible &&
           (i == 0 || rising.n_visible == up[i - 1].parameters.n_hidden);
  }
  if (!fits || top.n_visible < up.back().parameters.n_hidden) {
    throw py::value_error(
        "up, down, top: expected layers on one another, each with a way up and a way down between "
        "the same units, got others");
  }
}

py::tuple train_up_down(const std::vector<Way>& up, const std::vector<Way>& down,
                        const Arrays& top_arrays, const py::array& data, const py::array& order,
                        const Settings& settings, const py::object& velocity,
                        const py::object& chains, const OwnedUnits& units,
                        const py::object& progress, bool reference) {
  const Update& rule = settings.update;
  if (rule.rule != Rule::momentum || rule.l1 != 0 || rule.offset_rate != 0)
    throw py::value_error("settings: expected momentum and weight decay alone");
  const bool has_velocity = rule.first != 0;
  const std::vector<Directed> rising = directed(up, has_velocity);
  const std::vector<Directed> falling = directed(down, has_velocity);
  const Parameters top = learning(top_arrays, units);
  require_fit(rising, falling, top);
  const Bits rows =
      bits(data, "data",
           rising.front().parameters.n_visible + top.n_visible - rising.back().parameters.n_hidden);
  Watcher watcher(progress);
  const TrainingPlan steps =
      plan(checked<std::int64_t>(order, "order", {-1}), rows.rows, settings, watcher);
  TrainingState state = {};
  state.velocity = moment(velocity, "velocity", has_velocity, top);
  if (!chains.is_none()) {
    state.chains = mutable_bits(chains.cast<py::array>(), "chains", top.n_hidden);
    if (state.chains.rows < 1 || state.chains.rows > kMaxBatch)
      throw py::value_error("chains: expected 1 to 65536 rows");
  }
  const UpDownStack stack = {rising.data(), falling.data(),
                             static_cast<std::int64_t>(rising.size()), top};
  TrainingReport report;
  {
    const py::gil_scoped_release release;
    Team threads = team(settings.batch_size * top.n_visible * top.n_hidden);
    report = reference ? ref::train_up_down(stack, rows, steps, state)
                       : kernels().train_up_down(threads, stack, rows, steps, state);
  }
  return result(report, watcher);
}

}  // namespace

void bind_up_down(py::module_& m) {
  m.def("train_up_down", &train_up_down, py::arg("up"), py::arg("down"), py::arg("top"),
        py::arg("data"), py::arg("order"), py::arg("settings"), py::kw_only(),
        py::arg("velocity") = py::none(), py::arg("chains") = py::none(),
        py::arg("units") = OwnedUnits(), py::arg("progress") = py::none(),
        py::arg("reference") = false);
}

}  // namespace bindings
}  // namespace rbmx
