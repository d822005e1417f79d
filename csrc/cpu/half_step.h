// One half of a Gibbs step for one panel and a block of rows:
//   x = bias + 2^-20 * sum over active inputs of weight,  mean = sigmoid(x),  sample = u < mean.
#pragma once

#include "cpu/activation.h"
#include "cpu/active_lists.h"

namespace rbmx {
namespace RBMX_ISA {

// total += or -= the rows of weights that the entries name
template <int V, bool kSubtract>
RBMX_INLINE void add_entries(const std::uint16_t* entry, const std::uint16_t* end, const char* rows,
                             Ints (&total)[V]) {
  for (; entry != end; ++entry) {
    const auto* weights = reinterpret_cast<const std::int32_t*>(rows + *entry);
    for (int i = 0; i < V; ++i) {
      const auto row = load<Ints>(weights + i * kLanes);
      total[i] = kSubtract ? total[i] - row : total[i] + row;
    }
  }
}

// sums[(row - first) * width + output] = integer sum over the row's active inputs; rows that are
// not fresh go on from what stands there
template <int V>
RBMX_INLINE void add_listed_rows(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                                 std::int64_t first, std::int64_t last, std::int32_t* sums) {
  constexpr std::int64_t width = V * kLanes;
  for (std::int64_t block = 0; block < p.n_blocks; ++block) {
    const char* rows =
        reinterpret_cast<const char*>(p.panel(panel) + block * p.rows_per_block * width);
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t list = block * lists.rows + row;
      const std::uint16_t* entry = lists.entries + list * lists.capacity;
      const ListLength length = lists.lengths[list];
      std::int32_t* out = sums + (row - first) * width;
      const bool from_zero = block == 0 && lists.fresh[row] != 0;
      if (length.total == 0 && !from_zero) continue;
      Ints total[V];
      for (int i = 0; i < V; ++i) total[i] = from_zero ? Ints{} : load<Ints>(out + i * kLanes);
      add_entries<V, false>(entry, entry + length.added, rows, total);
      add_entries<V, true>(entry + length.added, entry + length.total, rows, total);
      for (int i = 0; i < V; ++i) store(out + i * kLanes, total[i]);
    }
  }
}

template <int V>
static void add_listed(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                       std::int64_t first, std::int64_t last, std::int32_t* sums) {
  add_listed_rows<V>(p, panel, lists, first, last, sums);
}

static inline void add_listed_rows(const Projection& p, std::int64_t panel,
                                   const ActiveLists& lists, std::int64_t first, std::int64_t last,
                                   std::int32_t* sums) {
  switch (p.width / kLanes) {
    case 1:
      return add_listed<1>(p, panel, lists, first, last, sums);
    case 2:
      return add_listed<2>(p, panel, lists, first, last, sums);
    case 3:
      return add_listed<3>(p, panel, lists, first, last, sums);
    case 4:
      return add_listed<4>(p, panel, lists, first, last, sums);
    case 5:
      return add_listed<5>(p, panel, lists, first, last, sums);
    case 6:
      return add_listed<6>(p, panel, lists, first, last, sums);
    case 7:
      return add_listed<7>(p, panel, lists, first, last, sums);
    case 8:
      return add_listed<8>(p, panel, lists, first, last, sums);
    case 10:
      return add_listed<10>(p, panel, lists, first, last, sums);
    case 12:
      return add_listed<12>(p, panel, lists, first, last, sums);
    default:
      return add_listed<14>(p, panel, lists, first, last, sums);
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
