// Whether updated parameters are still usable: each within kMaxParameter, and no sum of rounded
// weights beyond 32 bits (docs/determinism.md). A bound kept over the call settles nearly every
// minibatch; the sums are looked at only where it does not.
#pragma once

#include <initializer_list>

#include "cpu/projection.h"

namespace rbmx {
namespace RBMX_ISA {

// What one member saw of the weights it updated; a cache line each.
struct alignas(64) Watch {
  float largest;  // no |weight| is larger
  bool bad;       // some parameter is not a number or beyond kMaxParameter
};

// bits: those of |weight|, not-a-numbers among them
RBMX_INLINE void watch_largest(Watch& watch, Ints bits) {
  std::int32_t most = 0;
  for (int lane = 0; lane < kLanes; ++lane) most = bits[lane] > most ? bits[lane] : most;
  float size;
  std::memcpy(&size, &most, sizeof size);
  if (!(size <= kMaxParameter)) watch.bad = true;
  watch.largest = size > watch.largest ? size : watch.largest;
}

// Whether some sum over the panel's rows can leave 32 bits, by the exact sums of |weight|.
static inline bool panel_fits_exactly(const Projection& p, std::int64_t panel) {
  for (std::int64_t out = 0; out < p.width; ++out) {
    std::int64_t sum = 0;
    for (std::int64_t in = 0; in < p.n_in; ++in) {
      const std::int64_t q = p.panel(panel)[in * p.width + out];
      sum += q < 0 ? -q : q;
    }
    if (sum > INT32_MAX) return false;
  }
  return true;
}

// The same; sums in float32, whose relative error is below n_in * 2^-23, settle it nearly always.
static inline bool panel_fits(const Projection& p, std::int64_t panel, Ints& largest) {
  const int vectors = static_cast<int>(p.width / kLanes);
  Floats total[kMaxVectors] = {};
  for (std::int64_t in = 0; in < p.n_in; ++in) {
    for (int i = 0; i < vectors; ++i) {
      const auto q = load<Ints>(p.panel(panel) + in * p.width + i * kLanes);
      const Ints size = q < 0 ? -q : q;
      largest = larger(largest, size);
      total[i] += to_floats(size);
    }
  }
  const float limit = 2147483648.0f / (1 + static_cast<float>(p.n_in) * 0x1p-23f);
  Ints over{};
  for (int i = 0; i < vectors; ++i) over |= total[i] >= limit;
  return sign_mask(over) == 0 || panel_fits_exactly(p, panel);
}

// Whether no sum into an output of these projections, of the same weights, can leave 32 bits; asked
// only when the largest weight does not settle it. Each member looks at its own panels, and learns
// how large the weights are now.
static inline bool outputs_fit(std::initializer_list<const Projection*> projections, Watch* watches,
                               const Member& member) {
  bool fit = true;
  Ints largest{};
  for (const Projection* p : projections) {
    const Range panels = member.split(p->n_panels);
    for (std::int64_t panel = panels.begin; panel < panels.end; ++panel)
      fit = panel_fits(*p, panel, largest) && fit;
  }
  float most = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    const float size = static_cast<float>(largest[lane]) / kWeightOne;
    most = size > most ? size : most;
  }
  watches[member.index].largest = most + 1 / kWeightOne;  // rounding to 2^-20 may have taken a half
  return fit;
}

// Whether no sum over the outputs of an input can; each member looks at its own inputs.
static inline bool inputs_fit(const Projection& p, const Member& member) {
  bool fit = true;
  const Range inputs = member.split(p.n_in);
  for (std::int64_t in = inputs.begin; in < inputs.end; ++in) {
    std::int64_t sum = 0;
    for (std::int64_t panel = 0; panel < p.n_panels; ++panel) {
      for (std::int64_t out = 0; out < p.width; ++out) {
        const std::int64_t q = p.panel(panel)[in * p.width + out];
        sum += q < 0 ? -q : q;
      }
    }
    fit = fit && sum <= INT32_MAX;
  }
  return fit;
}

// Whether a member saw a bad parameter, or not every member finds that its sums fit; fits() is
// asked only where the largest weight does not settle it.
template <class Fits>
RBMX_INLINE bool diverged(const PanelShape& shape, Watch* watches, const Member& member,
                          Fits&& fits) {
  float largest = 0;
  bool bad = false;
  for (int i = 0; i < member.size; ++i) {
    bad |= watches[i].bad;
    largest = watches[i].largest > largest ? watches[i].largest : largest;
  }
  if (bad) return true;
  const std::int64_t most = shape.n_in > shape.n_out ? shape.n_in : shape.n_out;
  if (static_cast<double>(largest) * static_cast<double>(most) < static_cast<double>(kMaxParameter))
    return false;
  member.wait();  // every member has read the watches
  watches[member.index].bad = !fits();
  member.wait();
  for (int i = 0; i < member.size; ++i) bad |= watches[i].bad;
  return bad;
}

// Called by all members after a barrier; the same answer for all.
static inline bool diverged(const Projection& up, const Projection& down, Watch* watches,
                            const Member& member) {
  return diverged(up, watches, member, [&] { return outputs_fit({&up, &down}, watches, member); });
}

// Likewise, of a projection that has no counterpart.
static inline bool diverged(const Projection& p, Watch* watches, const Member& member) {
  return diverged(p, watches, member, [&] {
    const bool fit = outputs_fit({&p}, watches, member);
    return inputs_fit(p, member) && fit;
  });
}

}  // namespace RBMX_ISA
}  // namespace rbmx
