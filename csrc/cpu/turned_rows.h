// A caller's array (n_out, n_in) as panels (panels.h) in its own memory, for the time of a call: so
// many rows as a panel has outputs take as much memory as the panel without padded inputs. Outputs
// that fill no panel stand in memory of the call.
#pragma once

#include "cpu/panels.h"
#include "rbmx/arena.h"

namespace rbmx {
namespace RBMX_ISA {

struct TurnedRows {
  float* rows;  // the caller's, null where there is none
  float* rest;  // the last panel where it is not whole
  std::int64_t n_whole;
  std::int64_t whole;  // floats of a panel

  // (n_in, width)
  RBMX_ALWAYS_INLINE float* panel(std::int64_t p) const {
    return rows == nullptr ? nullptr : p < n_whole ? rows + p * whole : rest;
  }
};

static inline TurnedRows make_turned(Arena& arena, const PanelShape& s, float* rows) {
  const std::int64_t n_whole = s.n_out / s.width;
  const bool has_rest = rows != nullptr && n_whole < s.n_panels;
  return {rows, arena.take<float>(has_rest ? s.padded_in * s.width : 0), n_whole, s.n_in * s.width};
}

// work(p, turned): for each of the member's panels, with the place where it is turned; scratch has
// room for all panels.
template <class Work>
RBMX_INLINE void each_turned(const TurnedRows& t, const PanelShape& s, float* scratch,
                             const Member& member, Work&& work) {
  if (t.rows == nullptr) return;
  const Range panels = member.split(s.n_panels);
  for (std::int64_t p = panels.begin; p < panels.end; ++p)
    work(p, p < t.n_whole ? scratch + s.panel_at(p) : t.rest);
}

// Before any other use of the panels. + 0: a negative zero becomes positive, so that an update of
// nothing changes no byte.
static inline void turn(const TurnedRows& t, const PanelShape& s, float* scratch,
                        const Member& member) {
  each_turned(t, s, scratch, member, [&](std::int64_t p, float* turned) {
    rows_to_panel(s, t.rows, p,
                  [&](std::int64_t at, Floats lanes) { store(turned + at, lanes + 0.0f); });
    if (turned != t.panel(p)) copy(turned, t.whole, t.panel(p));
  });
}

// After the last one.
static inline void turn_back(const TurnedRows& t, const PanelShape& s, float* scratch,
                             const Member& member) {
  each_turned(t, s, scratch, member, [&](std::int64_t p, float* turned) {
    if (turned != t.panel(p)) copy(t.panel(p), t.whole, turned);
    panel_to_rows(s, turned, p, t.rows);
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
