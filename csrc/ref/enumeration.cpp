// How many low units and factors in a row keep the products of rbmx/enumeration.h in range.
#include "rbmx/enumeration.h"

#include <algorithm>
#include <cmath>

namespace rbmx {

namespace {

// the largest sum of |weight| of the first `low` units over the units of the other side
double largest_sum(const Enumeration& e, std::int64_t low) {
  double largest = 0;
  for (std::int64_t i = 0; i < e.others; ++i) {
    double sum = 0;
    for (std::int64_t j = 0; j < low; ++j)
      sum += std::fabs(static_cast<double>(e.weight[j * e.others + i]));
    largest = std::max(largest, sum);
  }
  return largest;
}

}  // namespace

EnumerationCut cut_enumeration(const Enumeration& e) {
  EnumerationCut cut = {};
  cut.low = std::min(e.n, kLowUnits);
  while (cut.low > 0 && largest_sum(e, cut.low) > kProductRange) --cut.low;
  // at least 1: a factor q + p exp(d) may also be a little above 1 by rounding
  cut.fold = static_cast<std::int64_t>(kProductRange / std::max(largest_sum(e, cut.low), 1.0));
  cut.low_states = std::int64_t{1} << cut.low;
  cut.high_states = std::int64_t{1} << (e.n - cut.low);
  cut.n_chunks = (cut.high_states + kHighStates - 1) / kHighStates;
  return cut;
}

}  // namespace rbmx
