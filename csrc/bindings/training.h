// What the calls that train have in common: settings, the plan of a run, moments, and what they
// return.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

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

inline Parameters moment(const py::object& given, const std::string& name, bool wanted,
                         const Model& m) {
  if (given.is_none() != !wanted) {
    throw py::value_error(
        name + (wanted ? ": this rule keeps one, got None" : ": this rule keeps none, got arrays"));
  }
  if (given.is_none()) return {};
  const auto arrays = given.cast<std::tuple<py::array, py::array, py::array>>();
  const Parameters p = parameters(std::get<0>(arrays), std::get<1>(arrays), std::get<2>(arrays),
                                  (name + " ").c_str(), true);
  if (p.n_visible != m.n_visible || p.n_hidden != m.n_hidden)
    throw py::value_error(name + ": expected the shapes of the parameters");
  return p;
}

inline void require_chains(std::int64_t n) {
  if (n < 1 || n > kMaxBatch)
    throw py::value_error("chains: expected 1 to 65536 rows, got " + std::to_string(n));
}

// Persistent chains of Bernoulli units.
inline MutableBits bit_chains(const py::array& states, std::int64_t n_hidden) {
  const MutableBits chains = mutable_bits(states, "chains", n_hidden);
  require_chains(chains.rows);
  return chains;
}

// Memory that a call reads and writes, by the names of its arguments.
class Spans {
 public:
  void add(const std::string& name, const void* begin, std::size_t bytes) {
    if (begin != nullptr) spans_.push_back({name, static_cast<const char*>(begin), bytes});
  }
  void add(const std::string& name, const float* values, std::int64_t n) {
    add(name, static_cast<const void*>(values), static_cast<std::size_t>(n) * sizeof(float));
  }
  void add(const std::string& name, const MutableBits& bits) {
    add(name, static_cast<const void*>(bits.words),
        static_cast<std::size_t>(bits.rows * bits.stride) * sizeof(std::uint64_t));
  }
  void add(const std::string& prefix, const Parameters& p) {
    add(prefix + "weight", p.weight, p.n_hidden * p.n_visible);
    add(prefix + "visible_bias", p.visible_bias, p.n_visible);
    add(prefix + "hidden_bias", p.hidden_bias, p.n_hidden);
  }
  void refuse_overlap() const {
    for (std::size_t i = 0; i < spans_.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const Span &a = spans_[i], &b = spans_[j];
        if (a.begin < b.begin + b.bytes && b.begin < a.begin + a.bytes)
          throw py::value_error(a.name + ": expected memory of its own, it overlaps " + b.name);
      }
    }
  }

 private:
  struct Span {
    std::string name;
    const char* begin;
    std::size_t bytes;
  };
  std::vector<Span> spans_;
};

inline py::tuple result(const TrainingReport& report, const Watcher& watcher) {
  const char* const names[] = {"done", "diverged", "interrupted"};
  return py::make_tuple(names[static_cast<int>(report.outcome)], report.batches,
                        watcher.exception());
}

}  // namespace bindings
}  // namespace rbmx
