// A tiny model that stays in the first-level cache while rows pass one by one: weights in both
// orientations, as floats (updated) and in units of 2^-20 (summed), states as one mask per unit.
#pragma once

#include "cpu/simd.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

// A bias that keeps a unit off that is there only to fill a vector.
inline constexpr float kOff = -65536.0f;

// From one side (inputs) to the other (outputs, in lanes): I and O vectors of units.
template <int I, int O>
struct OnlineProjection {
  float weight[I * kLanes][O * kLanes];
  std::int32_t quantised[I * kLanes][O * kLanes];
  float bias[O * kLanes];
  std::int64_t n_in;
  std::int64_t n_out;
};

// weight(in, out) of the user's array; + 0: a negative zero becomes positive
template <int I, int O>
RBMX_INLINE void fill(OnlineProjection<I, O>& p, const float* weight, std::int64_t in_pitch,
                      std::int64_t out_pitch, const float* bias) {
  for (std::int64_t in = 0; in < p.n_in; ++in) {
    for (std::int64_t out = 0; out < p.n_out; ++out)
      p.weight[in][out] = weight[in * in_pitch + out * out_pitch] + 0.0f;
    for (int i = 0; i < O; ++i)
      store(&p.quantised[in][i * kLanes],
            round_to_ints(load<Floats>(&p.weight[in][i * kLanes]) * kWeightOne));
  }
  for (int out = 0; out < O * kLanes; ++out) p.bias[out] = out < p.n_out ? bias[out] + 0.0f : kOff;
}

// All ones for a unit that is on; in memory, so that a unit's word can be read into all lanes.
template <int N>
struct Mask {
  alignas(64) std::int32_t on[N * kLanes];

  RBMX_ALWAYS_INLINE Ints lanes(int i) const { return load<Ints>(on + i * kLanes); }
};
template <int N>
RBMX_INLINE Mask<N> mask_of(std::uint32_t bits) {
  Mask<N> mask;
  for (int i = 0; i < N; ++i) {
    const Words place = lane_numbers() + static_cast<std::uint32_t>(i * kLanes);
    store(mask.on + i * kLanes, (Ints)(((Words{} + bits) & ((Words{} + 1u) << place)) != 0u));
  }
  return mask;
}
template <int N>
RBMX_INLINE std::uint32_t bits_of(const Mask<N>& mask) {
  std::uint32_t bits = 0;
  for (int i = 0; i < N; ++i) bits |= sign_mask(mask.lanes(i)) << (i * kLanes);
  return bits;
}

// bias + 2^-20 * sum over the inputs that are on of their quantised weights
template <int I, int O>
RBMX_INLINE void pre_activations(const OnlineProjection<I, O>& p, const Mask<I>& inputs,
                                 Floats (&x)[O]) {
  Ints even[O] = {}, odd[O] = {};
  for (std::int64_t in = 0; in < p.n_in; in += 2) {  // padded inputs are off
    for (int i = 0; i < O; ++i) {
      even[i] += load<Ints>(&p.quantised[in][i * kLanes]) & inputs.on[in];
      odd[i] += load<Ints>(&p.quantised[in + 1][i * kLanes]) & inputs.on[in + 1];
    }
  }
  for (int i = 0; i < O; ++i)
    x[i] = load<Floats>(&p.bias[i * kLanes]) + to_floats(even[i] + odd[i]) * (1.0f / kWeightOne);
}

// means in units of 2^-15
template <int N>
RBMX_INLINE void mean_counts(const Floats (&x)[N], Ints (&counts)[N]) {
  for (int i = 0; i < N; ++i) {
    const Ints count =
        (Ints)(sigmoid(x[i]) * kMeanOne + kRoundToInt) - (Ints)(Floats{} + kRoundToInt);
    counts[i] = count < kMeanMax ? count : Ints{} + kMeanMax;
  }
}

// The four changes a weight of hidden unit j can see, by (on in the data) + 2 (on in the sample).
template <int H>
struct Changes {
  float of[4][H * kLanes];
};
template <int H>
RBMX_INLINE void fill(Changes<H>& changes, const Ints (&positive)[H], const Ints (&negative)[H],
                      float rate) {
  for (int i = 0; i < H; ++i) {
    store(&changes.of[0][i * kLanes], to_floats(Ints{}) * rate);
    store(&changes.of[1][i * kLanes], to_floats(positive[i]) * rate);
    store(&changes.of[2][i * kLanes], to_floats(-negative[i]) * rate);
    store(&changes.of[3][i * kLanes], to_floats(positive[i] - negative[i]) * rate);
  }
}

RBMX_INLINE void add_to(float* weight, std::int32_t* quantised, Floats change) {
  const Floats next = load<Floats>(weight) + change;
  store(weight, next);
  store(quantised, round_to_ints(next * kWeightOne));
}

template <int V, int H>
RBMX_INLINE void update(OnlineProjection<V, H>& up, OnlineProjection<H, V>& down,
                        const Changes<H>& changes, const Mask<V>& data, const Mask<V>& sample,
                        float visible_rate) {
  const std::uint32_t in_data = bits_of(data), in_sample = bits_of(sample);
  for (std::int64_t i = 0; i < up.n_in; ++i) {
    const float* change = changes.of[(in_data >> i & 1) + 2 * (in_sample >> i & 1)];
    for (int lane = 0; lane < H * kLanes; lane += kLanes)
      add_to(&up.weight[i][lane], &up.quantised[i][lane], load<Floats>(change + lane));
  }
  for (std::int64_t j = 0; j < down.n_in; ++j) {
    const Floats none = Floats{} + changes.of[0][j], positive = Floats{} + changes.of[1][j],
                 negative = Floats{} + changes.of[2][j], both = Floats{} + changes.of[3][j];
    for (int i = 0; i < V; ++i) {
      const Floats change =
          data.lanes(i) ? (sample.lanes(i) ? both : positive) : (sample.lanes(i) ? negative : none);
      add_to(&down.weight[j][i * kLanes], &down.quantised[j][i * kLanes], change);
    }
  }
  for (int lane = 0; lane < H * kLanes; lane += kLanes)
    store(&up.bias[lane], load<Floats>(&up.bias[lane]) + load<Floats>(&changes.of[3][lane]));
  for (int i = 0; i < V; ++i) {
    const Floats difference = to_floats(sample.lanes(i) - data.lanes(i));  // masks are -1
    store(&down.bias[i * kLanes], load<Floats>(&down.bias[i * kLanes]) + difference * visible_rate);
  }
}

// How many updates the parameters surely stay usable for (docs/determinism.md, Range); 0: they are
// not now. An update changes none by more than the rate, twice that with rounding.
template <int I, int O>
RBMX_INLINE std::int64_t safe_updates(const OnlineProjection<I, O>& p, float rate) {
  const std::int64_t most = p.n_in > p.n_out ? p.n_in : p.n_out;
  float largest_weight = 0, largest_bias = 0;
  std::int64_t columns[O * kLanes] = {};
  std::int64_t largest_sum = 0;
  bool bad = false;
  for (std::int64_t in = 0; in < p.n_in; ++in) {
    std::int64_t row = 0;
    for (std::int64_t out = 0; out < p.n_out; ++out) {
      const float size = __builtin_fabsf(p.weight[in][out]);
      bad |= !(size <= kMaxParameter);
      largest_weight = size > largest_weight ? size : largest_weight;
      const std::int64_t q = p.quantised[in][out];
      row += q < 0 ? -q : q;
      columns[out] += q < 0 ? -q : q;
    }
    largest_sum = row > largest_sum ? row : largest_sum;
  }
  for (std::int64_t out = 0; out < p.n_out; ++out) {
    const float size = __builtin_fabsf(p.bias[out]);
    bad |= !(size <= kMaxParameter);
    largest_bias = size > largest_bias ? size : largest_bias;
    largest_sum = columns[out] > largest_sum ? columns[out] : largest_sum;
  }
  if (bad || largest_sum > INT32_MAX) return 0;
  const float weight_room = kMaxParameter / static_cast<float>(most) - largest_weight;
  const float bias_room = kMaxParameter - largest_bias;
  const float room = weight_room < bias_room ? weight_room : bias_room;
  const float updates = room / (2.01f * __builtin_fabsf(rate));
  if (!(updates >= 1.0f)) return 1;
  constexpr std::int64_t kMany = 1 << 16;
  return updates < static_cast<float>(kMany) ? static_cast<std::int64_t>(updates) : kMany;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
