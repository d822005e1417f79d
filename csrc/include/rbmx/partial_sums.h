// Sums in binary64 whose order no instruction set decides: term i of a sum (factor of a product)
// goes to part i mod 8, in order; the eight parts are added as a tree.
#pragma once

namespace rbmx {

inline constexpr int kParts = 8;

__attribute__((always_inline)) inline double total_of(const double* parts) {
  return ((parts[0] + parts[4]) + (parts[2] + parts[6])) +
         ((parts[1] + parts[5]) + (parts[3] + parts[7]));
}

}  // namespace rbmx
