// While it lives, this thread rounds to nearest and keeps subnormal numbers (MXCSR); then the
// caller's setting is back. A host program that flushes subnormals or changes rounding cannot
// change our bytes.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace rbmx {

class DefaultFloatingPoint {
 public:
#if defined(__x86_64__)
  DefaultFloatingPoint() : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
  ~DefaultFloatingPoint() { _mm_setcsr(saved_); }
#else
  DefaultFloatingPoint() {}
  ~DefaultFloatingPoint() {}
#endif
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;
  DefaultFloatingPoint& operator=(const DefaultFloatingPoint&) = delete;

#if defined(__x86_64__)
 private:
  unsigned saved_;
#endif
};

}  // namespace rbmx
