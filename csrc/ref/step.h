// One step of an optimiser (rbmx/kernels.h, Rule) for all of an array of parameters.
#pragma once

#include <cmath>
#include <vector>

#include "rbmx/kernels.h"
#include "rbmx/math.h"

namespace rbmx {
namespace ref {

struct Rates {
  float change;  // of D
  float decay;
  float shrinkage;
};

inline void update(float* parameter, float* velocity, float* squares, const std::vector<float>& d,
                   const Update& rule, std::uint64_t updates, const Rates& rates) {
  const auto first = static_cast<float>(rule.first), second = static_cast<float>(rule.second);
  const auto first_rest = static_cast<float>(1 - rule.first);
  const auto second_rest = static_cast<float>(1 - rule.second);
  const bool adam = rule.rule == Rule::adam;
  const auto scale =
      static_cast<float>(rule.learning_rate / (adam ? 1 - power(rule.first, updates) : 1.0));
  const auto root_scale =
      static_cast<float>(adam ? 1 / std::sqrt(1 - power(rule.second, updates)) : 1.0);
  for (std::size_t i = 0; i < d.size(); ++i) {
    const float w = parameter[i] + 0.0f;  // a negative zero becomes positive
    float change = d[i] * rates.change - w * rates.decay;
    if (squares != nullptr) {
      squares[i] = squares[i] * second + (change * change) * second_rest;
      if (adam) velocity[i] = change = velocity[i] * first + change * first_rest;
      change = (change * scale) /
               (std::sqrt(squares[i]) * root_scale + static_cast<float>(rule.epsilon));
    } else if (velocity != nullptr) {
      velocity[i] = velocity[i] * first + change;
      change = rule.rule == Rule::nesterov ? velocity[i] * first + change : velocity[i];
    }
    parameter[i] = w + change;
    if (rates.shrinkage > 0) {
      const float size = std::fabs(parameter[i]) - rates.shrinkage;
      parameter[i] = size > 0 ? std::copysign(size, parameter[i]) : 0.0f;
    }
  }
}

}  // namespace ref
}  // namespace rbmx
