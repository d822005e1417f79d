// Which rows of a projection's block to add to the sums of each row of bits, and which to subtract:
// byte offsets from the start of the block.
//   entries[(block * rows + row) * capacity + n]: added for n < added, subtracted for n < total
// A row of sums begins at zero and takes the ones of its bits, or at the sum over all inputs and
// drops the zeros, or goes on from the sums of the bits listed before and takes those that changed:
// whichever is fewest. Sums are exact integers: the same bytes either way.
#pragma once

#include "cpu/projection.h"

namespace rbmx {
namespace RBMX_ISA {

enum class Start : std::uint8_t { zero, all, before };

struct ListLength {
  std::uint16_t added;
  std::uint16_t total;
};

struct ActiveLists {
  std::uint16_t* entries;
  ListLength* lengths;    // (blocks, rows)
  Start* start;           // (rows,) where the sums begin
  std::int32_t* counts;   // (rows,) entries of all blocks
  std::uint64_t* listed;  // (rows, words) the bits of the last listing
  std::int64_t rows;
  std::int64_t words;
  std::int64_t rows_per_block;
  std::int64_t n_blocks;
  std::int64_t n_in;
  std::int64_t capacity;
  std::uint16_t pitch;  // bytes from one row of the block to the next
};

static inline ActiveLists make_lists(Arena& arena, const Projection& p, std::int64_t rows) {
  ActiveLists lists;
  lists.rows = rows;
  lists.words = words_for(p.n_in);
  lists.rows_per_block = p.rows_per_block;
  lists.n_blocks = p.n_blocks;
  lists.n_in = p.n_in;
  lists.capacity = p.rows_per_block + kListSlack;
  lists.pitch = static_cast<std::uint16_t>(p.width * 4);
  lists.entries = arena.take<std::uint16_t>(lists.n_blocks * rows * lists.capacity);
  lists.lengths = arena.take<ListLength>(lists.n_blocks * rows);
  lists.start = arena.take<Start>(rows);
  lists.counts = arena.take<std::int32_t>(rows);
  lists.listed = arena.take<std::uint64_t>(rows * lists.words);
  return lists;
}

// The ones of units first .. last - 1 of a row, whose 64 bits from unit 64 w on are word(w), as
// entries of their block at out; returns how many.
template <class Word>
RBMX_INLINE int list_block(const ActiveLists& lists, std::int64_t first, std::int64_t last,
                           Word&& word, std::uint16_t* out) {
  int n = 0;
  for (std::int64_t unit = first; unit < last; unit += 32) {
    n += list_ones(static_cast<std::uint32_t>(word(unit >> 6) >> (unit & 63)),
                   static_cast<std::uint16_t>((unit - first) * lists.pitch), lists.pitch, out + n);
  }
  return n;
}

// bits: one row of n_in bits. continuing: the row's sums stand for the bits listed before.
RBMX_INLINE void list_row(const ActiveLists& lists, std::int64_t row, const std::uint64_t* bits,
                          bool continuing) {
  std::uint64_t* const listed = lists.listed + row * lists.words;
  std::int64_t changed = 0, ones = 0;
  for (std::int64_t w = 0; w < lists.words; ++w) {
    changed += __builtin_popcountll(bits[w] ^ listed[w]);
    ones += __builtin_popcountll(bits[w]);
  }
  const std::int64_t zeros = lists.n_in - ones;
  const Start start = continuing && changed < smaller(ones, zeros) ? Start::before
                      : ones <= zeros                              ? Start::zero
                                                                   : Start::all;
  lists.start[row] = start;
  lists.counts[row] = static_cast<std::int32_t>(start == Start::zero  ? ones
                                                : start == Start::all ? zeros
                                                                      : changed);
  const std::uint64_t last_word = ~std::uint64_t{0} >> (64 * lists.words - lists.n_in);
  const auto came = [&](std::int64_t w) { return bits[w] & ~listed[w]; };
  const auto went = [&](std::int64_t w) { return listed[w] & ~bits[w]; };
  const auto zero = [&](std::int64_t w) {
    return ~bits[w] & (w + 1 == lists.words ? last_word : ~std::uint64_t{0});
  };
  for (std::int64_t block = 0; block < lists.n_blocks; ++block) {
    const std::int64_t first = block * lists.rows_per_block;
    const std::int64_t last = smaller(first + lists.rows_per_block, lists.n_in);
    const std::int64_t list = block * lists.rows + row;
    std::uint16_t* const out = lists.entries + list * lists.capacity;
    int added = 0, taken = 0;
    switch (start) {
      case Start::zero:
        added = list_block(lists, first, last, [&](std::int64_t w) { return bits[w]; }, out);
        break;
      case Start::all:
        taken = list_block(lists, first, last, zero, out);
        break;
      case Start::before:
        added = list_block(lists, first, last, came, out);
        taken = list_block(lists, first, last, went, out + added);
        break;
    }
    lists.lengths[list] = {static_cast<std::uint16_t>(added),
                           static_cast<std::uint16_t>(added + taken)};
  }
  std::memcpy(listed, bits, static_cast<std::size_t>(lists.words) * sizeof(std::uint64_t));
}

}  // namespace RBMX_ISA
}  // namespace rbmx
