// Thousands of minibatches in one call, with the GIL released; signals and progress every tenth of
// a second.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
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

// Means of units between 0 and 1.
float* offset(const py::array& given, const char* name, std::int64_t units) {
  auto values = checked<float>(given, name, {units});
  if (!values.writeable()) throw py::value_error(std::string(name) + ": expected a writable array");
  for (std::int64_t i = 0; i < units; ++i) {
    if (!(values.data()[i] >= 0 && values.data()[i] <= 1)) {
      throw py::value_error(std::string(name) + ": expected means in [0, 1], got " +
                            std::to_string(values.data()[i]));
    }
  }
  return values.mutable_data();
}

TrainingState state(const Update& update, const py::object& velocity, const py::object& squares,
                    const py::object& offsets, const py::object& chains, const Model& m) {
  const bool adaptive = update.rule == Rule::adam || update.rule == Rule::rmsprop;
  TrainingState s = {};
  s.velocity =
      moment(velocity, "velocity",
             update.rule == Rule::adam || (update.rule != Rule::rmsprop && update.first != 0), m);
  s.squares = moment(squares, "squares", adaptive, m);
  if (!offsets.is_none()) {
    const auto arrays = offsets.cast<std::tuple<py::array, py::array>>();
    s.visible_offset = offset(std::get<0>(arrays), "visible offset", m.n_visible);
    s.hidden_offset = offset(std::get<1>(arrays), "hidden offset", m.n_hidden);
  }
  if (!chains.is_none()) {
    const auto states = chains.cast<py::array>();
    if (m.units.hidden == Unit::bernoulli) {
      s.chains = bit_chains(states, m.n_hidden);
    } else {
      auto values = checked<float>(states, "chains", {-1, m.n_hidden});
      if (!values.writeable()) throw py::value_error("chains: expected a writable array");
      s.real_chains = values.mutable_data();
      s.n_real_chains = values.shape(0);
    }
    require_chains(states.shape(0));
  }
  return s;
}

// Written arrays must be apart from one another and from the data.
void refuse_overlap(const Parameters& p, const TrainingState& s, const void* data,
                    std::size_t data_bytes) {
  Spans spans;
  spans.add("data", data, data_bytes);
  spans.add("", p);
  spans.add("velocity ", s.velocity);
  spans.add("squares ", s.squares);
  spans.add("visible offset", s.visible_offset, p.n_visible);
  spans.add("hidden offset", s.hidden_offset, p.n_hidden);
  spans.add("chains", s.chains);
  spans.add("chains", s.real_chains, s.n_real_chains * p.n_hidden);
  spans.refuse_overlap();
}

py::tuple train_minibatches(const py::array& weight, const py::array& visible_bias,
                            const py::array& hidden_bias, const py::array& data,
                            const py::array& order, const Settings& settings,
                            const py::object& velocity, const py::object& squares,
                            const py::object& offsets, const py::object& chains,
                            const OwnedUnits& units, const py::object& progress, bool reference) {
  Parameters p = parameters(weight, visible_bias, hidden_bias, "", true);
  p.units = model(weight, visible_bias, hidden_bias, units).units;
  const Bits rows = bits(data, "data", p.n_visible);
  Watcher watcher(progress);
  const TrainingPlan steps =
      plan(checked<std::int64_t>(order, "order", {-1}), rows.rows, settings, watcher);
  TrainingState s = state(settings.update, velocity, squares, offsets, chains, p);
  const std::int64_t widest = std::max(p.n_visible, p.n_hidden);
  const std::int64_t most = std::max(settings.batch_size, s.chains.rows);
  if (s.visible_offset != nullptr && widest * most > kMostCentred) {
    throw py::value_error(
        "batch_size, chains: centred gradients take up to 2^32 units in all rows of a batch");
  }
  refuse_overlap(p, s, rows.words,
                 static_cast<std::size_t>(rows.rows * rows.stride) * sizeof(std::uint64_t));
  Before before({p, s.velocity, s.squares});
  TrainingReport report;
  {
    const py::gil_scoped_release release;
    Team threads = team(settings.batch_size * p.n_visible * p.n_hidden);
    const auto train =
        is_online(p, steps, s) ? kernels().train_online : kernels().train_minibatches;
    report = before.run([&] {
      return reference ? ref::train_minibatches(p, rows, steps, s)
                       : train(threads, p, rows, steps, s);
    });
  }
  return result(report, watcher);
}

py::tuple train_dense(const py::array& weight, const py::array& visible_bias,
                      const py::array& hidden_bias, const py::array& data, const py::array& order,
                      const Settings& settings, const py::object& velocity,
                      const py::object& squares, const py::object& chains, const OwnedUnits& units,
                      const py::object& progress, bool canonical, bool reference) {
  const Parameters p = real_parameters(weight, visible_bias, hidden_bias, units, true);
  const auto values = checked<float>(data, "data", {-1, p.n_visible});
  Watcher watcher(progress);
  const TrainingPlan steps =
      plan(checked<std::int64_t>(order, "order", {-1}), values.shape(0), settings, watcher);
  TrainingState s = state(settings.update, velocity, squares, py::none(), chains, p);
  refuse_overlap(p, s, values.data(), static_cast<std::size_t>(values.size()) * sizeof(float));
  const Reals rows = {values.data(), values.shape(0), p.n_visible};
  Before before({p, s.velocity, s.squares});
  TrainingReport report;
  {
    const py::gil_scoped_release release;
    Team threads = team(settings.batch_size * p.n_visible * p.n_hidden);
    report = before.run([&] {
      return reference ? ref::train_dense(p, rows, steps, s)
                       : kernels().train_dense(threads, p, rows, steps, s,
                                               canonical ? Product::canonical : Product::blas);
    });
  }
  return result(report, watcher);
}

}  // namespace

void bind_train(py::module_& m) {
  py::class_<Settings>(m, "Settings")
      .def(py::init([](std::int64_t batch_size, std::int64_t gibbs_steps, const std::string& rule,
                       double learning_rate, double first, double second, double epsilon,
                       double weight_decay, double l1, double offset_rate,
                       std::pair<std::uint32_t, std::uint32_t> key, std::uint32_t first_step) {
             return Settings{batch_size,
                             gibbs_steps,
                             {rule_named(rule), learning_rate, first, second, epsilon, weight_decay,
                              l1, offset_rate},
                             key,
                             first_step};
           }),
           py::kw_only(), py::arg("batch_size"), py::arg("gibbs_steps"), py::arg("rule"),
           py::arg("learning_rate"), py::arg("first"), py::arg("second"), py::arg("epsilon"),
           py::arg("weight_decay"), py::arg("l1"), py::arg("offset_rate"), py::arg("key"),
           py::arg("first_step"));
  m.def("train_minibatches", &train_minibatches, py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("data"), py::arg("order"), py::arg("settings"),
        py::kw_only(), py::arg("velocity") = py::none(), py::arg("squares") = py::none(),
        py::arg("offsets") = py::none(), py::arg("chains") = py::none(),
        py::arg("units") = OwnedUnits(), py::arg("progress") = py::none(),
        py::arg("reference") = false);
  m.def("train_dense", &train_dense, py::arg("weight"), py::arg("visible_bias"),
        py::arg("hidden_bias"), py::arg("data"), py::arg("order"), py::arg("settings"),
        py::kw_only(), py::arg("velocity") = py::none(), py::arg("squares") = py::none(),
        py::arg("chains") = py::none(), py::arg("units") = OwnedUnits(),
        py::arg("progress") = py::none(), py::arg("canonical") = false,
        py::arg("reference") = false);
}

}  // namespace bindings
}  // namespace rbmx
