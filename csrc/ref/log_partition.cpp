// log sum_s exp(s.bias + sum_i softplus(x_i)), state by state in the cut of rbmx/enumeration.h:
// softplus(x + d) = softplus(x) + log(q + p exp(d)) with x of the high and d of the low units
#include <algorithm>
#include <vector>

#include "rbmx/enumeration.h"
#include "rbmx/math64.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

namespace {

// start + the weights to unit i of the units first + u, u the ones of state
double input(const Enumeration& e, double start, std::int64_t state, std::int64_t first,
             std::int64_t i) {
  for (std::int64_t u = 0; state >> u != 0; ++u) {
    if ((state >> u & 1) != 0) start += static_cast<double>(e.weight[(first + u) * e.others + i]);
  }
  return start;
}

double bias_of(const Enumeration& e, std::int64_t state, std::int64_t first) {
  double sum = 0;
  for (std::int64_t u = 0; state >> u != 0; ++u) {
    if ((state >> u & 1) != 0) sum += static_cast<double>(e.bias[first + u]);
  }
  return sum;
}

double term(const Enumeration& e, const EnumerationCut& cut, std::int64_t high, std::int64_t low) {
  double softplus[kParts] = {}, logs[kParts] = {}, product[kParts];
  std::fill_n(product, kParts, 1.0);
  for (std::int64_t i = 0; i < e.others; ++i) {
    const std::int64_t part = i % kParts;
    const double x = input(e, static_cast<double>(e.other_bias[i]), high, cut.low, i);
    softplus[part] += softplus64(x);
    product[part] *= sigmoid64(x) * exp64(input(e, 0, low, 0, i)) + sigmoid64(-x);
    if (i / kParts % cut.fold == cut.fold - 1 || i + kParts >= e.others) {
      logs[part] += log64(product[part]);
      product[part] = 1;
    }
  }
  return ((total_of(softplus) + bias_of(e, high, cut.low)) + bias_of(e, low, 0)) + total_of(logs);
}

}  // namespace

double log_partition(const Enumeration& e) {
  const EnumerationCut cut = cut_enumeration(e);
  std::vector<double> largest, sums;
  for (std::int64_t first = 0; first < cut.high_states; first += kHighStates) {
    std::vector<double> terms;
    for (std::int64_t high = first; high < std::min(first + kHighStates, cut.high_states); ++high) {
      for (std::int64_t low = 0; low < cut.low_states; ++low)
        terms.push_back(term(e, cut, high, low));
    }
    largest.push_back(*std::max_element(terms.begin(), terms.end()));
    double parts[kParts] = {};
    for (std::size_t i = 0; i < terms.size(); ++i)
      parts[i % kParts] += exp64(terms[i] - largest.back());
    sums.push_back(total_of(parts));
  }
  const double top = *std::max_element(largest.begin(), largest.end());
  double sum = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) sum += sums[i] * exp64(largest[i] - top);
  return top + log64(sum);
}

}  // namespace ref
}  // namespace rbmx
