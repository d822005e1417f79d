// Minibatches of the up-down algorithm in one call, with the GIL released.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arguments.h"
#include "bindings/before.h"
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

Parameters learning(const Arrays& arrays, const OwnedUnits& units, const std::string& prefix) {
  const auto& [weight, visible_bias, hidden_bias] = arrays;
  Parameters p = parameters(weight, visible_bias, hidden_bias, prefix.c_str(), true);
  p.units = units.of(p.n_visible);
  if (!is_binary(p.units)) throw py::value_error("units: expected bernoulli on both sides of bits");
  require_usable(p, prefix);
  return p;
}

std::string name_of(const char* ways, std::size_t i) {
  return std::string(ways) + "[" + std::to_string(i) + "] ";
}

std::vector<Directed> directed(const std::vector<Way>& ways, const char* name, bool has_velocity) {
  std::vector<Directed> layers;
  for (const auto& [arrays, velocity, key] : ways) {
    const std::string prefix = name_of(name, layers.size());
    const Parameters p = learning(arrays, {}, prefix);
    layers.push_back(
        {p, moment(velocity, prefix + "velocity", has_velocity, p), {key.first, key.second}});
  }
  return layers;
}

// up[i] from level i to i + 1, down[i] back, the top on the last level and perhaps labels
void require_fit(const std::vector<Directed>& up, const std::vector<Directed>& down,
                 const Parameters& top) {
  if (up.empty() || up.size() != down.size()) {
    throw py::value_error(
        "up, down: expected a way up and a way down for each of 1 layer or more, "
        "got " +
        std::to_string(up.size()) + " and " + std::to_string(down.size()));
  }
  const auto require = [](std::int64_t found, std::int64_t expected, const std::string& name) {
    if (found == expected) return;
    throw py::value_error(name + ": expected " + std::to_string(expected) +
                          " units, those of its neighbour, got " + std::to_string(found));
  };
  for (std::size_t i = 0; i < up.size(); ++i) {
    const Parameters &rising = up[i].parameters, &falling = down[i].parameters;
    if (i > 0)
      require(rising.n_visible, up[i - 1].parameters.n_hidden, name_of("up", i) + "inputs");
    require(falling.n_visible, rising.n_hidden, name_of("down", i) + "inputs");
    require(falling.n_hidden, rising.n_visible, name_of("down", i) + "outputs");
  }
  const std::int64_t below = up.back().parameters.n_hidden;
  if (top.n_visible < below) {
    throw py::value_error("top: expected " + std::to_string(below) +
                          " visible units or more, those of the layer below, got " +
                          std::to_string(top.n_visible));
  }
}

std::int64_t weights(const Parameters& p) { return p.n_visible * p.n_hidden; }

py::tuple train_up_down(const std::vector<Way>& up, const std::vector<Way>& down,
                        const Arrays& top_arrays, const py::array& data, const py::array& order,
                        const Settings& settings, const py::object& velocity,
                        const py::object& chains, const OwnedUnits& units,
                        const py::object& progress, bool reference) {
  const Update& rule = settings.update;
  if (rule.rule != Rule::momentum || rule.l1 != 0 || rule.offset_rate != 0)
    throw py::value_error("settings: expected momentum and weight decay alone");
  const bool has_velocity = rule.first != 0;
  const std::vector<Directed> rising = directed(up, "up", has_velocity);
  const std::vector<Directed> falling = directed(down, "down", has_velocity);
  const Parameters top = learning(top_arrays, units, "top ");
  require_fit(rising, falling, top);
  const std::int64_t n_labels = top.n_visible - rising.back().parameters.n_hidden;
  const Bits rows = bits(data, "data", rising.front().parameters.n_visible + n_labels);
  Watcher watcher(progress);
  const TrainingPlan steps =
      plan(checked<std::int64_t>(order, "order", {-1}), rows.rows, settings, watcher);
  TrainingState state = {};
  state.velocity = moment(velocity, "top velocity", has_velocity, top);
  if (!chains.is_none()) state.chains = bit_chains(chains.cast<py::array>(), top.n_hidden);

  Spans spans;
  spans.add("data", rows.words,
            static_cast<std::size_t>(rows.rows * rows.stride) * sizeof(std::uint64_t));
  spans.add("top ", top);
  spans.add("top velocity ", state.velocity);
  spans.add("chains", state.chains);
  std::vector<Parameters> changing = {top, state.velocity};
  std::int64_t work = weights(top);
  for (std::size_t i = 0; i < rising.size(); ++i) {
    for (const auto& [name, way] : {std::make_pair("up", &rising[i]), {"down", &falling[i]}}) {
      spans.add(name_of(name, i), way->parameters);
      spans.add(name_of(name, i) + "velocity ", way->velocity);
      changing.insert(changing.end(), {way->parameters, way->velocity});
      work += weights(way->parameters);
    }
  }
  spans.refuse_overlap();
  const UpDownStack stack = {rising.data(), falling.data(),
                             static_cast<std::int64_t>(rising.size()), top};
  Before before(changing);
  TrainingReport report;
  {
    const py::gil_scoped_release release;
    Team threads = team(settings.batch_size * work);
    report = before.run([&] {
      return reference ? ref::train_up_down(stack, rows, steps, state)
                       : kernels().train_up_down(threads, stack, rows, steps, state);
    });
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
