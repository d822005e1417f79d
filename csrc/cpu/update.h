// The update of all weights and biases by the gradient of one minibatch (gradient.h):
//   velocity = momentum * velocity + (rate / n * D - rate * decay * weight),   weight += velocity
// and, while they are warm, the weights rounded to 2^-20 in both orientations.
#pragma once

#include "cpu/divergence.h"
#include "cpu/minibatch.h"
#include "cpu/momentum.h"

namespace rbmx {
namespace RBMX_ISA {

// The master weights in float32, in the layout of the projection to the hidden units.
struct Master {
  float* weight;    // (panels, padded n_visible, width)
  float* velocity;  // null without momentum
};

struct Rates {
  float weight;   // learning rate / (n * 2^15)
  float visible;  // learning rate / n
  float momentum;
  float decay;  // learning rate * weight decay
};

RBMX_INLINE Rates rates_for(const TrainingPlan& plan, std::int64_t divisor) {
  const double per_row = plan.learning_rate / static_cast<double>(divisor);
  return {static_cast<float>(per_row / static_cast<double>(kMeanOne)), static_cast<float>(per_row),
          static_cast<float>(plan.momentum),
          static_cast<float>(plan.learning_rate * plan.weight_decay)};
}

// + 0: a negative zero becomes positive, so that an update of nothing changes no byte
static inline void load_panels(const Projection& up, const float* from, float* to,
                               const Member& member) {
  rows_to_panels(up, from, member,
                 [&](std::int64_t at, Floats lanes) { store(to + at, lanes + 0.0f); });
}

struct Training {
  Minibatch m;
  Master master;
  float* hidden_velocity;  // padded to whole panels; null without momentum
  float* visible_velocity;
  GradientScratch* scratch;  // per member
  Watch* watch;              // per member
  bool stop;
};

// The weights a call begins with, each member those that it loaded.
static inline void watch_loaded(const Training& t, const Member& member) {
  const std::int64_t panel_size = t.m.up.padded_in * t.m.up.width;
  const Range panels = member.split(t.m.up.n_panels);
  Ints largest{};
  for (std::int64_t at = panels.begin * panel_size; at < panels.end * panel_size; at += kLanes)
    largest = larger(largest, load<Ints>(t.master.weight + at) & 0x7FFFFFFF);
  watch_largest(t.watch[member.index], largest);
}

// kLanes updated rows of a panel go to the transposed projection while they are warm.
template <int V>
RBMX_INLINE void mirror(const Projection& up, const Projection& down, std::int64_t panel,
                        std::int64_t unit0) {
  constexpr std::int64_t width = V * kLanes;
  const std::int32_t* rows = up.panel(panel) + unit0 * width;
  std::int32_t* column = down.panel(unit0 / down.width) + unit0 % down.width;
  for (int i = 0; i < V; ++i)
    transpose_tile(rows + i * kLanes, width, column + (panel * width + i * kLanes) * down.width,
                   down.width);
}

// Sums, updates and mirrors one panel of hidden units.
template <int V>
static void update_panel(const Training& t, std::int64_t panel, std::int64_t rows,
                         std::int64_t n_chains, const Rates& rates, const Member& member) {
  constexpr std::int64_t width = V * kLanes;
  const Projection& up = t.m.up;
  const std::int16_t* positive = t.m.positive_means + panel * t.m.max_rows * width;
  const std::int16_t* negative = t.m.negative_means + panel * t.m.max_rows * width;
  float* weight = t.master.weight + panel * up.padded_in * width;
  float* velocity =
      t.master.velocity == nullptr ? nullptr : t.master.velocity + panel * up.padded_in * width;
  std::int32_t* quantised = up.panel(panel);
  Ints largest{};  // bits of the largest |weight|: as integers they are in the order of the floats
  // nothing changes where no row had the unit on
  const bool skip_idle = velocity == nullptr && rates.decay == 0;

  sum_panel<V>(
      t.m.unit_lists, t.m.chunks, positive, negative, up.padded_in, t.scratch[member.index],
      skip_idle,
      [&](std::int64_t unit, const Ints(&plus)[V], const Ints(&minus)[V]) {
        for (int i = 0; i < V; ++i) {
          const std::int64_t at = unit * width + i * kLanes;
          const Floats w = load<Floats>(weight + at);
          const Floats change =
              difference(t.m.chunks, plus[i], minus[i]) * rates.weight - w * rates.decay;
          const Floats next =
              step(w, change, velocity == nullptr ? nullptr : velocity + at, rates.momentum);
          store(weight + at, next);
          store(quantised + at, round_to_ints(next * kWeightOne));
          largest = larger(largest, (Ints)next & 0x7FFFFFFF);
        }
      },
      [&](std::int64_t unit) { mirror<V>(up, t.m.down, panel, unit); });

  Watch& watch = t.watch[member.index];
  watch_largest(watch, largest);

  Ints plus[V], minus[V];
  sum_means<V>(positive, rows, plus);
  sum_means<V>(negative, n_chains, minus);
  for (int i = 0; i < V; ++i) {
    const std::int64_t at = panel * width + i * kLanes;
    const Floats change = difference(t.m.chunks, plus[i], minus[i]) * rates.weight;
    const Floats next =
        step(load<Floats>(up.bias + at), change,
             t.hidden_velocity == nullptr ? nullptr : t.hidden_velocity + at, rates.momentum);
    store(up.bias + at, next);
    for (int lane = 0; lane < kLanes && at + lane < up.n_out; ++lane) {
      if (!(__builtin_fabsf(next[lane]) <= kMaxParameter)) watch.bad = true;
    }
  }
}

static inline void update_panels(const Training& t, std::int64_t rows, std::int64_t n_chains,
                                 const Rates& rates, const Member& member) {
  member.share(t.m.up.n_panels, [&](std::int64_t panel) {
    switch (t.m.up.width / kLanes) {
      case 2:
        update_panel<2>(t, panel, rows, n_chains, rates, member);
        break;
      case 4:
        update_panel<4>(t, panel, rows, n_chains, rates, member);
        break;
      default:
        update_panel<8>(t, panel, rows, n_chains, rates, member);
        break;
    }
  });
  const Range units = member.split(t.m.up.n_in);
  for (std::int64_t unit = units.begin; unit < units.end; ++unit) {
    const float change = static_cast<float>(t.m.unit_lists.difference[unit]) * rates.visible;
    float& bias = t.m.down.bias[unit];
    bias = step(bias, change, t.visible_velocity == nullptr ? nullptr : t.visible_velocity + unit,
                rates.momentum);
    if (!(__builtin_fabsf(bias) <= kMaxParameter)) t.watch[member.index].bad = true;
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
