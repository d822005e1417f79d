// Eight doubles: the parts of a sum (rbmx/partial_sums.h), one vector on any instruction set.
#pragma once

#include "cpu/simd.h"
#include "rbmx/math64.h"
#include "rbmx/partial_sums.h"

namespace rbmx {
namespace RBMX_ISA {

typedef double Eight __attribute__((vector_size(8 * kParts)));
typedef std::uint64_t EightBits __attribute__((vector_size(8 * kParts)));
typedef float EightFloats __attribute__((vector_size(4 * kParts)));

RBMX_INLINE double total_of(Eight parts) {
  alignas(64) double values[kParts];
  store(values, parts);
  return rbmx::total_of(values);
}

// lanes 8 i to 8 i + 7
RBMX_INLINE Eight eight_of(Floats lanes, std::int64_t i) {
  EightFloats some;
  std::memcpy(&some,
              reinterpret_cast<const char*>(&lanes) + sizeof some * static_cast<std::size_t>(i),
              sizeof some);
  return __builtin_convertvector(some, Eight);
}

RBMX_INLINE void put_eight(Floats& lanes, std::int64_t i, Eight values) {
  const EightFloats some = __builtin_convertvector(values, EightFloats);
  std::memcpy(reinterpret_cast<char*>(&lanes) + sizeof some * static_cast<std::size_t>(i), &some,
              sizeof some);
}

}  // namespace RBMX_ISA

RBMX_ALWAYS_INLINE RBMX_ISA::Eight root64(RBMX_ISA::Eight x) {
  for (int i = 0; i < kParts; ++i) x[i] = root64(x[i]);
  return x;
}

template <>
struct Pattern<RBMX_ISA::Eight> {
  using Bits = RBMX_ISA::EightBits;
  static RBMX_ALWAYS_INLINE Bits of(RBMX_ISA::Eight x) { return (Bits)x; }
  static RBMX_ALWAYS_INLINE RBMX_ISA::Eight value(Bits bits) { return (RBMX_ISA::Eight)bits; }
};

}  // namespace rbmx
