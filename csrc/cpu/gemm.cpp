// c (m, n) = a (m, k) b (k, n), canonical order (gemm.h); rows of c are split over the team
#include "cpu/gemm.h"

#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

void gemm(Team& team, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
          std::int64_t a_row, std::int64_t a_col, const float* b, std::int64_t b_row,
          std::int64_t b_col, float* c) {
  constexpr std::int64_t kRows = 240;  // rows of c packed at a time
  Arena arena;
  auto* scratch = arena.take<GemmScratch>(team.size());
  for (int i = 0; i < team.size(); ++i) scratch[i] = make_gemm_scratch(arena, kRows);
  team.run([&](const Member& member) {
    const Range rows = member.split(m);
    for (std::int64_t first = rows.begin; first < rows.end; first += kRows) {
      gemm_slice(smaller(kRows, rows.end - first), n, k, {a + first * a_row, a_row, a_col},
                 {b, b_row, b_col}, c + first * n, n, scratch[member.index]);
    }
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
