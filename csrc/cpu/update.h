// The update of all weights and biases by the gradient of one minibatch (gradient.h, centering.h),
// by the rule of step_rule.h; and, while they are warm, the weights rounded to 2^-20 in both
// orientations.
#pragma once

#include "cpu/centering.h"
#include "cpu/divergence.h"
#include "cpu/moments.h"

namespace rbmx {
namespace RBMX_ISA {

struct Rates {
  float weight;   // change_rate / (n * 2^15)
  float visible;  // change_rate / n
  float decay;    // change_rate * weight decay
  StepRule rule;
};

// updates: how many there are with this one, in the life of the model
RBMX_INLINE Rates rates_for(const Update& update, std::int64_t divisor, std::uint64_t updates) {
  const double rate = change_rate(update), per_row = rate / static_cast<double>(divisor);
  return {static_cast<float>(per_row / static_cast<double>(kMeanOne)), static_cast<float>(per_row),
          static_cast<float>(rate * update.weight_decay), step_rule(update, updates)};
}

struct Training {
  Minibatch m;
  TurnedRows weight;  // the caller's, in the panels of the way up
  ParameterMoments moments;
  Centring centring;
  GradientScratch* scratch;  // per member
  Watch* watch;              // per member
};

// What each member has for itself.
static inline void make_scratch(Arena& arena, Training& t, int threads) {
  t.scratch = arena.take<GradientScratch>(threads);
  for (int i = 0; i < threads; ++i)
    t.scratch[i] = make_gradient_scratch(arena, t.m.up.n_in, t.m.up.width, t.m.max_chunks);
  t.watch = arena.take<Watch>(threads);
}

// rows: of the largest batch
static inline Training make_training(Arena& arena, const Parameters& p, const TrainingState& state,
                                     std::int64_t rows, std::int64_t gibbs_steps,
                                     double offset_rate, int threads) {
  Training t;
  t.m = make_minibatch(arena, p, rows, state.chains.rows, gibbs_steps, threads);
  t.weight = make_turned(arena, t.m.up, p.weight);
  t.moments = make_moments(arena, state, t.m.up, t.m.down);
  t.centring = make_centring(arena, t.m, state, offset_rate);
  make_scratch(arena, t, threads);
  return t;
}

// Memory of the rounded weights while they hold none.
RBMX_INLINE float* scratch_of(const Projection& up) { return reinterpret_cast<float*>(up.values); }

// The caller's weights and moments become panels, from which `up` is filled; nothing else may read
// the caller's arrays from here on. The watches begin with what each member loaded.
static inline void turn_weights(const Training& t, const TrainingState& state,
                                const Member& member) {
  const Projection& up = t.m.up;
  load_moments(up, state, t.moments, scratch_of(up), member);
  turn(t.weight, up, scratch_of(up), member);
  const Range panels = member.split(up.n_panels);
  Ints largest{};
  for (std::int64_t panel = panels.begin; panel < panels.end; ++panel) {
    const float* weight = t.weight.panel(panel);
    for (std::int64_t at = 0; at < up.n_in * up.width; at += kLanes) {
      const Floats lanes = load<Floats>(weight + at);
      store(up.panel(panel) + at, round_to_ints(lanes * kWeightOne));
      largest = larger(largest, (Ints)lanes & 0x7FFFFFFF);
    }
  }
  watch_largest(t.watch[member.index], largest);
}

static inline void turn_weights_back(const Training& t, const TrainingState& state,
                                     const Member& member) {
  turn_back(t.weight, t.m.up, scratch_of(t.m.up), member);
  store_moments(t.m.up, t.moments, state, scratch_of(t.m.up), member);
}

static inline void load(const Training& t, const Parameters& from, const TrainingState& state,
                        const Member& member) {
  fill_from_columns(t.m.down, from.weight, from.visible_bias, member);
  fill_bias(t.m.up, from.hidden_bias, member);
  member.wait();
  turn_weights(t, state, member);
}

static inline void store(const Training& t, const Parameters& to, const TrainingState& state,
                         const Member& member) {
  turn_weights_back(t, state, member);
  if (member.index != 0) return;
  copy(t.m.up.bias, to.n_hidden, to.hidden_bias);
  copy(t.m.down.bias, to.n_visible, to.visible_bias);
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

// The biases of one panel of hidden units, from Dh (width) in units of 2^-15.
template <int V>
RBMX_INLINE void update_hidden_biases(const Training& t, std::int64_t panel,
                                      const Floats (&difference)[V], const Rates& rates,
                                      Watch& watch) {
  const Projection& up = t.m.up;
  for (int i = 0; i < V; ++i) {
    const std::int64_t at = panel * V * kLanes + i * kLanes;
    const Floats next = step(rates.rule, load<Floats>(up.bias + at), difference[i] * rates.weight,
                             t.moments.hidden.at(at));
    store(up.bias + at, next);
    for (int lane = 0; lane < kLanes && at + lane < up.n_out; ++lane) {
      if (!(__builtin_fabsf(next[lane]) <= kMaxParameter)) watch.bad = true;
    }
  }
}

// Dh of one panel becomes the centred one.
template <int V>
static void centre_hidden(const Training& t, std::int64_t panel, std::int64_t rows,
                          std::int64_t n_chains, const CentringTotals& totals,
                          Floats (&difference)[V]) {
  constexpr std::int64_t width = V * kLanes;
  const PackedOrder order = packed_order();
  const std::int16_t* positive = t.m.positive_means + panel * t.m.max_rows * width;
  const std::int16_t* negative = t.m.negative_means + panel * t.m.max_rows * width;
  for (int i = 0; i < V; i += 2) {
    std::int64_t plus[2 * kLanes] = {}, minus[2 * kLanes] = {};
    add_weighed_rows(positive + i * kLanes, width, rows, t.centring.positive.visible, plus);
    add_weighed_rows(negative + i * kLanes, width, n_chains, t.centring.negative.visible, minus);
    for (int k = 0; k < 2 * kLanes; ++k) {
      const int unit = order.unit[k];
      Floats& lanes = difference[i + unit / kLanes];
      lanes[unit % kLanes] = static_cast<float>(centred_hidden(
          static_cast<double>(lanes[unit % kLanes]),
          phase_difference(t.m.chunks, plus[k], minus[k]),
          static_cast<double>(t.centring.hidden[panel * width + i * kLanes + k]), totals));
    }
  }
}

// Sums and updates one panel of hidden units, and mirrors it where there is a way down.
template <int V>
static void update_panel(const Training& t, std::int64_t panel, std::int64_t rows,
                         std::int64_t n_chains, const Rates& rates, const CentringTotals& totals,
                         const Member& member) {
  constexpr std::int64_t width = V * kLanes;
  const Projection& up = t.m.up;
  const std::int16_t* positive = t.m.positive_means + panel * t.m.max_rows * width;
  const std::int16_t* negative = t.m.negative_means + panel * t.m.max_rows * width;
  float* weight = t.weight.panel(panel);
  const Moments moments = t.moments.weight.panel(panel);
  std::int32_t* quantised = up.panel(panel);
  const bool centred = t.centring.visible_offset != nullptr;
  const float* lambda = centred ? t.centring.hidden_units + panel * width : nullptr;
  Ints largest{};  // bits of the largest |weight|: as integers they are in the order of the floats
  // nothing changes where no row had the unit on
  const bool skip_idle = rests(rates.rule, moments.velocity) && rates.decay == 0;

  Ints plus[V], minus[V];
  sum_means<V>(positive, rows, plus);
  sum_means<V>(negative, n_chains, minus);
  Floats hidden[V];
  for (int i = 0; i < V; ++i) hidden[i] = difference(t.m.chunks, plus[i], minus[i]);

  sum_panel<V>(
      t.m.unit_lists, t.m.chunks, positive, negative, up.n_in, t.scratch[member.index], skip_idle,
      [&](std::int64_t unit, const Ints(&from_data)[V], const Ints(&from_samples)[V]) {
        float mu = 0, visible = 0;
        if (centred) {
          mu = static_cast<float>(t.centring.visible[unit]) * (1.0f / kMeanOne);
          visible = static_cast<float>(t.m.unit_lists.difference[unit]);
        }
        for (int i = 0; i < V; ++i) {
          const std::int64_t at = unit * width + i * kLanes;
          const Floats w = load<Floats>(weight + at);
          Floats d = difference(t.m.chunks, from_data[i], from_samples[i]);
          if (centred) d = (d - hidden[i] * mu) - load<Floats>(lambda + i * kLanes) * visible;
          const Floats change = d * rates.weight - w * rates.decay;
          const Floats next = shrunk(rates.rule, step(rates.rule, w, change, moments.at(at)));
          store(weight + at, next);
          store(quantised + at, round_to_ints(next * kWeightOne));
          largest = larger(largest, (Ints)next & 0x7FFFFFFF);
        }
      },
      [&](std::int64_t unit) {
        if (t.m.down.values != nullptr) mirror<V>(up, t.m.down, panel, unit);
      });

  Watch& watch = t.watch[member.index];
  watch_largest(watch, largest);
  if (centred) centre_hidden<V>(t, panel, rows, n_chains, totals, hidden);
  update_hidden_biases<V>(t, panel, hidden, rates, watch);
}

// The biases of the visible units of one word of bits.
static inline void update_visible_biases(const Training& t, std::int64_t word, std::int64_t rows,
                                         std::int64_t n_chains, const Rates& rates,
                                         const CentringTotals& totals, Watch& watch) {
  const bool centred = t.centring.visible_offset != nullptr;
  std::int64_t plus[64] = {}, minus[64] = {};
  if (centred) {
    add_listed_rows(t.m.data, word, rows, t.centring.positive.hidden, plus);
    add_listed_rows(t.m.samples, word, n_chains, t.centring.negative.hidden, minus);
  }
  const std::int64_t first = word * 64, live = smaller(64, t.m.up.n_in - first);
  for (std::int64_t u = 0; u < live; ++u) {
    const std::int64_t unit = first + u;
    const std::int64_t difference = t.m.unit_lists.difference[unit];
    const float d =
        centred
            ? static_cast<float>(centred_visible(
                  static_cast<double>(difference), phase_difference(t.m.chunks, plus[u], minus[u]),
                  static_cast<double>(t.centring.visible[unit]), totals))
            : static_cast<float>(difference);
    float& bias = t.m.down.bias[unit];
    bias = step(rates.rule, bias, d * rates.visible, t.moments.visible.at(unit));
    if (!(__builtin_fabsf(bias) <= kMaxParameter)) watch.bad = true;
  }
}

// Weights and hidden biases, panel by panel.
static inline void update_hidden_panels(const Training& t, std::int64_t rows, std::int64_t n_chains,
                                        const Rates& rates, const CentringTotals& totals,
                                        const Member& member) {
  member.share(t.m.up.n_panels, [&](std::int64_t panel) {
    switch (t.m.up.width / kLanes) {
      case 2:
        update_panel<2>(t, panel, rows, n_chains, rates, totals, member);
        break;
      case 4:
        update_panel<4>(t, panel, rows, n_chains, rates, totals, member);
        break;
      default:
        update_panel<8>(t, panel, rows, n_chains, rates, totals, member);
        break;
    }
  });
}

// After run_chain. Nothing reads the data of the minibatch afterwards; a wait() must follow.
static inline void update_panels(const Training& t, std::int64_t rows, std::int64_t n_chains,
                                 const Rates& rates, const Member& member) {
  CentringTotals totals = {};
  if (t.centring.visible_offset != nullptr) {
    slide_offsets(t.m, t.centring, rows, member);
    member.wait();
    weigh_rows(t.m, t.centring, rows, n_chains, member);
    member.wait();
    totals = centring_totals(t.m, t.centring, rows, n_chains);
  }
  update_hidden_panels(t, rows, n_chains, rates, totals, member);
  const Range words = member.split(words_for(t.m.up.n_in));
  for (std::int64_t word = words.begin; word < words.end; ++word)
    update_visible_biases(t, word, rows, n_chains, rates, totals, t.watch[member.index]);
  if (t.centring.visible_offset != nullptr) member.wait();  // the rows of data have been read
}

}  // namespace RBMX_ISA
}  // namespace rbmx
