// How weights lie for the kernels, and how they come there from a caller's (n_hidden, n_visible)
// array and go back: panels of `width` outputs, one after another; inside a panel, row i holds the
// weights from input i to the panel's outputs.
//   values[(panel * padded_in + input) * width + output % width]
#pragma once

#include "cpu/transpose.h"
#include "parallel/team.h"
#include "rbmx/bits.h"

namespace rbmx {
namespace RBMX_ISA {

struct PanelShape {
  std::int64_t n_in;
  std::int64_t n_out;
  std::int64_t padded_in;
  std::int64_t width;
  std::int64_t n_panels;

  RBMX_ALWAYS_INLINE std::int64_t padded_out() const { return n_panels * width; }
  RBMX_ALWAYS_INLINE std::int64_t size() const { return padded_in * padded_out(); }
  RBMX_ALWAYS_INLINE std::int64_t panel_at(std::int64_t panel) const {
    return panel * padded_in * width;
  }
};

static inline void copy(const float* from, std::int64_t n, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
}

// put(at, lanes): kLanes outputs of one input of weight (n_out, n_in), for place `at` of one panel;
// zeros past n_out.
template <class Put>
RBMX_INLINE void rows_to_panel(const PanelShape& s, const float* weight, std::int64_t panel,
                               Put&& put) {
  const std::int64_t first = panel * s.width, last = smaller(first + s.width, s.n_out);
  for (std::int64_t out = first; out < last; out += kLanes) {
    const std::int64_t outs = smaller(kLanes, s.n_out - out);
    for (std::int64_t in = 0; in < s.n_in; in += kLanes) {
      const std::int64_t ins = smaller(kLanes, s.n_in - in);
      float tile[kLanes * kLanes] = {}, turned[kLanes * kLanes];
      for (std::int64_t r = 0; r < outs; ++r) {
        std::memcpy(tile + r * kLanes, weight + (out + r) * s.n_in + in,
                    static_cast<std::size_t>(ins) * sizeof(float));
      }
      transpose_tile(tile, kLanes, turned, kLanes);
      for (std::int64_t c = 0; c < ins; ++c)
        put((in + c) * s.width + out - first, load<Floats>(turned + c * kLanes));
    }
  }
}

// The same for all panels, each member its own.
template <class Put>
RBMX_INLINE void rows_to_panels(const PanelShape& s, const float* weight, const Member& member,
                                Put&& put) {
  const Range panels = member.split(s.n_panels);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    rows_to_panel(s, weight, panel,
                  [&](std::int64_t at, Floats lanes) { put(s.panel_at(panel) + at, lanes); });
  }
}

// The same for weight (n_in, n_out), the transposed use of the same array.
template <class Put>
RBMX_INLINE void columns_to_panels(const PanelShape& s, const float* weight, const Member& member,
                                   Put&& put) {
  const Range panels = member.split(s.n_panels);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const std::int64_t first = panel * s.width, last = smaller(first + s.width, s.n_out);
    for (std::int64_t in = 0; in < s.n_in; ++in) {
      for (std::int64_t out = first; out < last; out += kLanes) {
        Floats lanes{};
        std::memcpy(&lanes, weight + in * s.n_out + out,
                    static_cast<std::size_t>(smaller(kLanes, last - out)) * sizeof(float));
        put(s.panel_at(panel) + in * s.width + (out - first), lanes);
      }
    }
  }
}

// weight (n_out, n_in) -> panels of floats; + 0: a negative zero becomes positive, so that an
// update of nothing changes no byte
static inline void load_panels(const PanelShape& s, const float* weight, float* to,
                               const Member& member) {
  rows_to_panels(s, weight, member,
                 [&](std::int64_t at, Floats lanes) { store(to + at, lanes + 0.0f); });
}

// One panel, with room for a multiple of kLanes inputs -> its rows of weight (n_out, n_in)
static inline void panel_to_rows(const PanelShape& s, const float* from, std::int64_t panel,
                                 float* weight) {
  const std::int64_t first = panel * s.width, last = smaller(first + s.width, s.n_out);
  for (std::int64_t out = first; out < last; out += kLanes) {
    const std::int64_t outs = smaller(kLanes, s.n_out - out);
    const float* column = from + out - first;
    for (std::int64_t in = 0; in < s.n_in; in += kLanes) {
      float turned[kLanes * kLanes];
      transpose_tile(column + in * s.width, s.width, turned, kLanes);
      for (std::int64_t r = 0; r < outs; ++r) {
        std::memcpy(weight + (out + r) * s.n_in + in, turned + r * kLanes,
                    static_cast<std::size_t>(smaller(kLanes, s.n_in - in)) * sizeof(float));
      }
    }
  }
}

// from, in panels whose padded_in is a multiple of kLanes -> weight (n_out, n_in)
static inline void panels_to_rows(const PanelShape& s, const float* from, float* weight,
                                  const Member& member) {
  const Range panels = member.split(s.n_panels);
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel)
    panel_to_rows(s, from + s.panel_at(panel), panel, weight);
}

}  // namespace RBMX_ISA
}  // namespace rbmx
