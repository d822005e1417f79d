// One step of gradient descent with momentum:
//   velocity = momentum * velocity + change,   parameter += velocity
#pragma once

#include "cpu/simd.h"

namespace rbmx {
namespace RBMX_ISA {

// parameter and velocity after one step; velocity null without momentum
RBMX_INLINE Floats step(Floats parameter, Floats change, float* velocity, float momentum) {
  if (velocity != nullptr) {
    change = load<Floats>(velocity) * momentum + change;
    store(velocity, change);
  }
  return parameter + change;
}
RBMX_INLINE float step(float parameter, float change, float* velocity, float momentum) {
  if (velocity != nullptr) {
    change = *velocity * momentum + change;
    *velocity = change;
  }
  return parameter + change;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
