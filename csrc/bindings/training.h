// What the calls that train have in common: settings, the plan of a run, moments, and what they
// return.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <tuple>
#include <utility>

#include "bindings/arguments.h"
#include "bindings/watcher.h"

namespace rbmx {
namespace bindings {

struct Settings {
  std::int64_t batch_size;
  std::int64_t gibbs_steps;
  Update update;
  std::pair<std::uint32_t, std::uint32_t> key;
  std::uint32_t first_step;
};

inline Rule rule_named(const std::string& name) {
  const std::pair<const char*, Rule> rules[] = {{"momentum", Rule::momentum},
                                                {"nesterov", Rule::nesterov},
                                                {"rmsprop", Rule::rmsprop},
                                                {"adam", Rule::adam}};
  for (const auto& [known, rule] : rules) {
    if (name == known) return rule;
  }
  throw py::value_error("rule: expected momentum, nesterov, rmsprop or adam, got '" + name + "'");
}

inline TrainingPlan plan(const Array<std::int64_t>& order, std::int64_t rows,
                         const Settings& settings, Watcher& watcher) {
  for (py::ssize_t i = 0; i < order.size(); ++i) {
    if (order.data()[i] < 0 || order.data()[i] >= rows) {
      throw py::value_error("order: expected rows 0 to " + std::to_string(rows - 1) + ", got " +
                            std::to_string(order.data()[i]));
    }
  }
  if (settings.batch_size < 1 || settings.batch_size > kMaxBatch) {
    throw py::value_error("batch_size: expected 1 to 65536, got " +
                          std::to_string(settings.batch_size));
  }
  if (settings.gibbs_steps < 1 || settings.gibbs_steps > (std::int64_t{1} << 29)) {
    throw py::value_error("k: expected 1 or more Gibbs steps, got " +
                          std::to_string(settings.gibbs_steps));
  }
  return {order.data(),         order.size(),     settings.batch_size,
          settings.gibbs_steps, settings.update,  {settings.key.first, settings.key.second},
          settings.first_step,  watcher.monitor()};
}

inline Parameters moment(const py::object& given, const char* name, bool wanted, const Model& m) {
  if (given.is_none() != !wanted) {
    throw py::value_error(std::string(name) + (wanted ? ": this rule keeps one, got None"
                                                      : ": this rule keeps none, got arrays"));
  }
  if (given.is_none()) return {};
  const auto arrays = given.cast<std::tuple<py::array, py::array, py::array>>();
  const Parameters p = parameters(std::get<0>(arrays), std::get<1>(arrays), std::get<2>(arrays),
                                  (std::string(name) + " ").c_str(), true);
  if (p.n_visible != m.n_visible || p.n_hidden != m.n_hidden)
    throw py::value_error(std::string(name) + ": expected the shapes of the parameters");
  return p;
}

inline py::tuple result(const TrainingReport& report, const Watcher& watcher) {
  const char* const names[] = {"done", "diverged", "interrupted"};
  return py::make_tuple(names[static_cast<int>(report.outcome)], report.batches,
                        watcher.exception());
}

}  // namespace bindings
}  // namespace rbmx
