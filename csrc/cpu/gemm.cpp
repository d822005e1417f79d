// c (m, n) = a (m, k) b (k, n), canonical order (gemm.h); c is cut into a rectangle for each member
#include "cpu/gemm.h"

#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

// How many parts the rows are cut into, for the least packing: every member packs its own operands.
int row_parts(std::int64_t m, std::int64_t n, int members) {
  int best = 1;
  for (int rows = 2; rows <= members; ++rows) {
    if (members % rows != 0) continue;
    const auto packed = [&](int r) { return m / r + n / (members / r); };
    if (packed(rows) < packed(best)) best = rows;
  }
  return best;
}

// part `index` of `parts` of 0 .. n, in whole tiles
Range tiles_of(std::int64_t n, std::int64_t tile, int index, int parts) {
  const std::int64_t tiles = (n + tile - 1) / tile;
  return {smaller(n, tiles * index / parts * tile), smaller(n, tiles * (index + 1) / parts * tile)};
}

}  // namespace

void gemm(Team& team, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
          std::int64_t a_row, std::int64_t a_col, const float* b, std::int64_t b_row,
          std::int64_t b_col, float* c) {
  const Strided left = {a, a_row, a_col}, right = {b, b_row, b_col};
  Arena arena;
  auto* scratch = arena.take<GemmScratch>(team.size());
  for (int i = 0; i < team.size(); ++i) scratch[i] = make_gemm_scratch(arena);
  team.run([&](const Member& member) {
    const int in_rows = row_parts(m, n, member.size), in_columns = member.size / in_rows;
    const Range rows = tiles_of(m, kTileRows, member.index / in_columns, in_rows);
    const Range columns = tiles_of(n, kTileColumns, member.index % in_columns, in_columns);
    gemm_slice(rows.end - rows.begin, columns.end - columns.begin, k, left.at(rows.begin, 0),
               right.at(0, columns.begin), c + rows.begin * n + columns.begin, n,
               scratch[member.index]);
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
