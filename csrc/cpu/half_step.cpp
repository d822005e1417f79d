// sums_r = sum over the active inputs' weights, exact integers, block by block, so that what is
// added stays in the first-level cache while the rows pass by: the weights that the lists name or,
// where half of the inputs are active, tables of the sums of four inputs each
#include "cpu/half_step.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

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

// all = the sum over all inputs, where one of the rows begins there
template <int V>
RBMX_INLINE void sum_all(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                         std::int64_t first, std::int64_t last, Ints (&all)[V]) {
  bool wanted = false;
  for (std::int64_t row = first; row < last; ++row) wanted |= lists.start[row] == Start::all;
  for (int i = 0; i < V; ++i) all[i] = Ints{};
  for (std::int64_t in = 0; wanted && in < p.n_in; ++in) {
    for (int i = 0; i < V; ++i) all[i] += load<Ints>(p.panel(panel) + (in * V + i) * kLanes);
  }
}

template <int V>
void add_listed(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                std::int64_t first, std::int64_t last, std::int32_t* sums) {
  constexpr std::int64_t width = V * kLanes;
  Ints all[V];
  sum_all<V>(p, panel, lists, first, last, all);
  for (std::int64_t block = 0; block < p.n_blocks; ++block) {
    const char* rows =
        reinterpret_cast<const char*>(p.panel(panel) + block * p.rows_per_block * width);
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t list = block * lists.rows + row;
      const std::uint16_t* entry = lists.entries + list * lists.capacity;
      const ListLength length = lists.lengths[list];
      std::int32_t* out = sums + (row - first) * width;
      const Start start = block == 0 ? lists.start[row] : Start::before;
      if (length.total == 0 && start == Start::before) continue;
      Ints total[V];
      for (int i = 0; i < V; ++i) {
        total[i] = start == Start::before ? load<Ints>(out + i * kLanes)
                   : start == Start::zero ? Ints{}
                                          : all[i];
      }
      add_entries<V, false>(entry, entry + length.added, rows, total);
      add_entries<V, true>(entry + length.added, entry + length.total, rows, total);
      for (int i = 0; i < V; ++i) store(out + i * kLanes, total[i]);
    }
  }
}

// Four inputs have sixteen sums; a row of bits looks up one for each four inputs ("four Russians").
inline constexpr std::int64_t kGroup = 4;
inline constexpr std::int64_t kGroupSums = 16;

// table (16, width): the sums of each subset of four rows of weights
template <int V>
RBMX_INLINE void fill_group(const std::int32_t* weights, std::int32_t* table) {
  constexpr std::int64_t width = V * kLanes;
  for (int i = 0; i < V; ++i) {
    Ints sum[kGroupSums];
    sum[0] = Ints{};
    for (int unit = 0; unit < kGroup; ++unit) {
      const auto row = load<Ints>(weights + unit * width + i * kLanes);
      for (int subset = 0; subset < 1 << unit; ++subset)
        sum[(1 << unit) + subset] = sum[subset] + row;
    }
    for (int subset = 0; subset < kGroupSums; ++subset)
      store(table + subset * width + i * kLanes, sum[subset]);
  }
}

template <int V>
void add_groups(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                std::int64_t first, std::int64_t last, std::int32_t* sums) {
  constexpr std::int64_t width = V * kLanes;
  constexpr std::int64_t per_block = kBlockBytes / (4 * kGroupSums * width);
  static_assert(per_block > 0, "a group's sums fit a block");
  alignas(64) std::int32_t table[per_block * kGroupSums * width];
  const std::int64_t n_groups = (p.n_in + kGroup - 1) / kGroup;
  for (std::int64_t begin = 0; begin < n_groups; begin += per_block) {
    const std::int64_t end = smaller(begin + per_block, n_groups);
    for (std::int64_t group = begin; group < end; ++group) {
      fill_group<V>(p.panel(panel) + group * kGroup * width,
                    table + (group - begin) * kGroupSums * width);
    }
    for (std::int64_t row = first; row < last; ++row) {
      const std::uint64_t* bits = lists.listed + row * lists.words;
      std::int32_t* out = sums + (row - first) * width;
      Ints total[V];
      for (int i = 0; i < V; ++i) total[i] = begin == 0 ? Ints{} : load<Ints>(out + i * kLanes);
      for (std::int64_t group = begin; group < end; ++group) {
        const auto subset =
            static_cast<std::int64_t>(bits[group / 16] >> (group % 16 * kGroup) & 15u);
        const std::int32_t* sum = table + ((group - begin) * kGroupSums + subset) * width;
        for (int i = 0; i < V; ++i) total[i] += load<Ints>(sum + i * kLanes);
      }
      for (int i = 0; i < V; ++i) store(out + i * kLanes, total[i]);
    }
  }
}

// Entries a row, as a share of the inputs, above which tables are faster than lists; the second
// part is the making of the tables (docs/decisions.md).
#if defined(__AVX512F__)
inline constexpr double kGroupShare = 0.24, kGroupMaking = 12;
#else
inline constexpr double kGroupShare = 0.315, kGroupMaking = 10;
#endif

bool many_entries(const ActiveLists& lists, std::int64_t first, std::int64_t last) {
  std::int64_t entries = 0;
  for (std::int64_t row = first; row < last; ++row) entries += lists.counts[row];
  const auto rows = static_cast<double>(last - first), inputs = static_cast<double>(lists.n_in);
  return static_cast<double>(entries) > inputs * (kGroupShare * rows + kGroupMaking);
}

template <int V>
void add_active(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                std::int64_t first, std::int64_t last, std::int32_t* sums) {
  if (many_entries(lists, first, last)) {
    add_groups<V>(p, panel, lists, first, last, sums);
  } else {
    add_listed<V>(p, panel, lists, first, last, sums);
  }
}

}  // namespace

void add_active_rows(const Projection& p, std::int64_t panel, const ActiveLists& lists,
                     std::int64_t first, std::int64_t last, std::int32_t* sums) {
  switch (p.width / kLanes) {
    case 1:
      return add_active<1>(p, panel, lists, first, last, sums);
    case 2:
      return add_active<2>(p, panel, lists, first, last, sums);
    case 3:
      return add_active<3>(p, panel, lists, first, last, sums);
    case 4:
      return add_active<4>(p, panel, lists, first, last, sums);
    case 5:
      return add_active<5>(p, panel, lists, first, last, sums);
    case 6:
      return add_active<6>(p, panel, lists, first, last, sums);
    case 7:
      return add_active<7>(p, panel, lists, first, last, sums);
    case 8:
      return add_active<8>(p, panel, lists, first, last, sums);
    case 10:
      return add_active<10>(p, panel, lists, first, last, sums);
    case 12:
      return add_active<12>(p, panel, lists, first, last, sums);
    default:
      return add_active<14>(p, panel, lists, first, last, sums);
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
