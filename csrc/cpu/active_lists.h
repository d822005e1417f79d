// Which rows of a projection's block to add for each row of bits: the ones of that part of the row,
// as byte offsets from the start of the block.
//   entries[(block * rows + row) * capacity + n], n < lengths[block * rows + row]
#pragma once

#include "cpu/projection.h"

namespace rbmx {
namespace RBMX_ISA {

struct ActiveLists {
  std::uint16_t* entries;
  std::uint16_t* lengths;
  std::int64_t rows;
  std::int64_t rows_per_block;
  std::int64_t n_blocks;
  std::int64_t n_in;
  std::int64_t capacity;
  std::uint16_t pitch;  // bytes from one row of the block to the next
};

static inline ActiveLists make_lists(Arena& arena, const Projection& p, std::int64_t rows) {
  ActiveLists lists;
  lists.rows = rows;
  lists.rows_per_block = p.rows_per_block;
  lists.n_blocks = p.n_blocks;
  lists.n_in = p.n_in;
  lists.capacity = p.rows_per_block + kListSlack;
  lists.pitch = static_cast<std::uint16_t>(p.width * 4);
  lists.entries = arena.take<std::uint16_t>(lists.n_blocks * rows * lists.capacity);
  lists.lengths = arena.take<std::uint16_t>(lists.n_blocks * rows);
  return lists;
}

// bits: one row of n_in bits
RBMX_INLINE void list_row(const ActiveLists& lists, std::int64_t row, const std::uint64_t* bits) {
  for (std::int64_t block = 0; block < lists.n_blocks; ++block) {
    const std::int64_t first = block * lists.rows_per_block;
    const std::int64_t last = smaller(first + lists.rows_per_block, lists.n_in);
    std::uint16_t* out = lists.entries + (block * lists.rows + row) * lists.capacity;
    int n = 0;
    for (std::int64_t unit = first; unit < last; unit += 32) {
      const auto word = static_cast<std::uint32_t>(bits[unit >> 6] >> (unit & 63));
      n += list_ones(word, static_cast<std::uint16_t>((unit - first) * lists.pitch), lists.pitch,
                     out + n);
    }
    lists.lengths[block * lists.rows + row] = static_cast<std::uint16_t>(n);
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
