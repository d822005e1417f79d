// What the units of a model are, as Python says it: _core.Units.
#pragma once

#include <string>
#include <vector>

#include "bindings/arguments.h"

namespace rbmx {
namespace bindings {

inline bool is_binary(const Units& units) {
  return units.visible == Unit::bernoulli && units.hidden == Unit::bernoulli;
}

class OwnedUnits {
 public:
  OwnedUnits() = default;
  // groups: int32 (n, 2), first unit and size of each group of softmax units
  OwnedUnits(const std::string& visible, const std::string& hidden, const py::array& groups)
      : visible_(unit_named(visible)), hidden_(unit_named(hidden)) {
    const auto pairs = checked<std::int32_t>(groups, "groups", {-1, 2});
    std::int64_t free = 0;
    for (py::ssize_t g = 0; g < pairs.shape(0); ++g) {
      const Group group = {pairs.at(g, 0), pairs.at(g, 1)};
      if (group.first < free || group.size < 2) {
        throw py::value_error(
            "groups: expected groups of 2 units or more that are in order and apart, "
            "got " +
            std::to_string(group.size) + " units from " + std::to_string(group.first) + " on");
      }
      free = std::int64_t{group.first} + group.size;
      groups_.push_back(group);
    }
  }

  // for a model of that many visible units; lives as long as this object
  Units of(std::int64_t n_visible) const {
    if (!groups_.empty() && groups_.back().first + std::int64_t{groups_.back().size} > n_visible) {
      throw py::value_error("groups: expected groups within " + std::to_string(n_visible) +
                            " visible units");
    }
    return {visible_, hidden_, {groups_.data(), static_cast<std::int64_t>(groups_.size())}};
  }

 private:
  static Unit unit_named(const std::string& name) {
    if (name == "bernoulli") return Unit::bernoulli;
    if (name == "gaussian") return Unit::gaussian;
    if (name == "relu") return Unit::relu;
    throw py::value_error("units: expected bernoulli, gaussian or relu, got '" + name + "'");
  }

  Unit visible_ = Unit::bernoulli;
  Unit hidden_ = Unit::bernoulli;
  std::vector<Group> groups_;
};

// for kernels over bits
inline Model model(const py::array& weight, const py::array& visible_bias,
                   const py::array& hidden_bias, const OwnedUnits& units) {
  Model m = model(weight, visible_bias, hidden_bias);
  m.units = units.of(m.n_visible);
  if (!is_binary(m.units)) throw py::value_error("units: expected bernoulli on both sides of bits");
  return m;
}

// for kernels over real values: only sums of bits are limited
inline Parameters real_parameters(const py::array& weight, const py::array& visible_bias,
                                  const py::array& hidden_bias, const OwnedUnits& units,
                                  bool writable) {
  Parameters p = parameters(weight, visible_bias, hidden_bias, "", writable);
  p.units = units.of(p.n_visible);
  if (is_binary(p.units)) model(weight, visible_bias, hidden_bias);
  return p;
}

}  // namespace bindings
}  // namespace rbmx
