// Centred gradients (Melchior, Fischer and Wiskott 2016, "How to center deep Boltzmann machines"):
// with offsets mu and lambda, sliding means of the units over the data, and D the gradient of
// gradient.h,
//   centred D_ji = D_ji - mu_i Dh_j - lambda_j Dv_i
//   centred Dv_i = Dv_i - sum_j lambda_j centred D_ji,  Dh_j = Dh_j - sum_i mu_i centred D_ji
// where Dv, Dh are the differences of the marginals. The two sums over weights are taken row by
// row instead, from t = sum_i v_i mu_i and s = sum_j p_j lambda_j of each row: exact integers, the
// offsets in units of 2^-15.
#pragma once

#include "cpu/minibatch.h"

namespace rbmx {
namespace RBMX_ISA {

// t and s of each row of one phase, in units of 2^-15 and 2^-30
struct RowWeights {
  std::int64_t* visible;
  std::int64_t* hidden;
};

// Sums over the units of one phase's difference, in units of 2^-30.
struct CentringTotals {
  double visible;          // sum_i mu_i Dv_i, in units of 2^-15
  double hidden;           // sum_j lambda_j Dh_j
  double visible_squared;  // sum_i mu_i^2
  double hidden_squared;   // sum_j lambda_j^2
};

struct Centring {
  float* visible_offset;  // mu, null for plain gradients; the caller's
  float* hidden_offset;   // lambda
  std::int16_t* visible;  // mu in units of 2^-15, zero beyond n_visible
  std::int16_t* hidden;   // lambda, in the packed order of the means, zero beyond n_hidden
  float* hidden_units;    // lambda in units of 2^-15, in the order of the units
  RowWeights positive;
  RowWeights negative;
  float rate;
};

static inline Centring make_centring(Arena& arena, const Minibatch& m, const TrainingState& state,
                                     double rate) {
  Centring c = {};
  c.visible_offset = state.visible_offset;
  c.hidden_offset = state.hidden_offset;
  if (c.visible_offset == nullptr) return c;
  c.visible = arena.take<std::int16_t>(m.unit_lists.units);
  c.hidden = arena.take<std::int16_t>(m.up.padded_out());
  c.hidden_units = arena.take<float>(m.up.padded_out());
  for (RowWeights* phase : {&c.positive, &c.negative}) {
    *phase = {arena.take<std::int64_t>(m.max_rows), arena.take<std::int64_t>(m.max_rows)};
  }
  c.rate = static_cast<float>(rate);
  return c;
}

// Where pack() puts the units of a pair of vectors.
struct PackedOrder {
  std::int16_t unit[2 * kLanes];
};
RBMX_INLINE PackedOrder packed_order() {
  const Ints lanes = (Ints)lane_numbers();
  PackedOrder order;
  store(order.unit, pack(lanes, lanes + kLanes));
  return order;
}

// offset after one minibatch of which `mean` is the unit's mean, and in units of 2^-15
RBMX_INLINE std::int16_t slide(float& offset, float mean, float rate) {
  offset = offset + (mean - offset) * rate;
  const auto rounded = static_cast<std::int32_t>(__builtin_rintf(offset * kMeanOne));
  return static_cast<std::int16_t>(rounded < kMeanMax ? rounded : kMeanMax);
}

// The offsets follow the means of the positive phase. A unit with an offset is not idle: its
// gradient changes with the hidden units. A wait() must come before and after.
static inline void slide_offsets(const Minibatch& m, const Centring& c, std::int64_t rows,
                                 const Member& member) {
  const Range words = member.split(words_for(m.up.n_in));
  const auto n = static_cast<float>(rows);
  for (std::int64_t word = words.begin; word < words.end; ++word) {
    std::int32_t ones[64] = {};
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::uint64_t bits = m.data.words[row * m.data.stride + word]; bits != 0;
           bits &= bits - 1)
        ++ones[__builtin_ctzll(bits)];
    }
    const std::int64_t first = word * 64, live = smaller(64, m.up.n_in - first);
    for (std::int64_t u = 0; u < live; ++u) {
      const std::int64_t i = first + u;
      c.visible[i] = slide(c.visible_offset[i], static_cast<float>(ones[u]) / n, c.rate);
      if (c.visible[i] != 0) m.unit_lists.idle[i] = 0;
    }
  }
  const PackedOrder order = packed_order();
  const Range pairs = member.split(m.up.padded_out() / (2 * kLanes));
  for (std::int64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const std::int64_t first = pair * 2 * kLanes, panel = first / m.up.width;
    const std::int16_t* means =
        m.positive_means + panel * m.max_rows * m.up.width + first % m.up.width;
    std::int32_t sums[2 * kLanes] = {};
    for (std::int64_t row = 0; row < rows; ++row) {
      for (int k = 0; k < 2 * kLanes; ++k) sums[k] += means[row * m.up.width + k];
    }
    for (int k = 0; k < 2 * kLanes; ++k) {
      const std::int64_t j = first + order.unit[k];
      if (j >= m.up.n_out) continue;
      const double mean = static_cast<double>(sums[k]) /
                          (static_cast<double>(rows) * static_cast<double>(kMeanOne));
      c.hidden[first + k] = slide(c.hidden_offset[j], static_cast<float>(mean), c.rate);
      c.hidden_units[j] = static_cast<float>(c.hidden[first + k]);
    }
  }
}

static inline void weigh_phase(const Minibatch& m, const Centring& c, const MutableBits& visible,
                               const std::int16_t* means, std::int64_t rows, const RowWeights& out,
                               const Member& member) {
  const Range range = member.split(rows);
  const std::int64_t words = words_for(m.up.n_in);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    std::int64_t t = 0, s = 0;
    for (std::int64_t word = 0; word < words; ++word) {
      for (std::uint64_t bits = visible.words[row * visible.stride + word]; bits != 0;
           bits &= bits - 1)
        t += c.visible[word * 64 + __builtin_ctzll(bits)];
    }
    for (std::int64_t panel = 0; panel < m.up.n_panels; ++panel) {
      const std::int16_t* p = means + (panel * m.max_rows + row) * m.up.width;
      const std::int16_t* lambda = c.hidden + panel * m.up.width;
      for (std::int64_t k = 0; k < m.up.width; ++k)
        s += static_cast<std::int32_t>(p[k]) * static_cast<std::int32_t>(lambda[k]);
    }
    out.visible[row] = t;
    out.hidden[row] = s;
  }
}

// t and s of all rows, by offsets that all members see. A wait() must come before and after.
static inline void weigh_rows(const Minibatch& m, const Centring& c, std::int64_t rows,
                              std::int64_t n_chains, const Member& member) {
  weigh_phase(m, c, m.data, m.positive_means, rows, c.positive, member);
  weigh_phase(m, c, m.samples, m.negative_means, n_chains, c.negative, member);
}

// positive_scale * positive - negative_scale * negative, as gradient.h scales the phases
RBMX_INLINE double phase_difference(const Chunks& chunks, std::int64_t positive,
                                    std::int64_t negative) {
  return static_cast<double>(positive) * static_cast<double>(chunks.positive_scale) -
         static_cast<double>(negative) * static_cast<double>(chunks.negative_scale);
}

RBMX_INLINE std::int64_t sum(const std::int64_t* values, std::int64_t n) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += values[i];
  return total;
}

RBMX_INLINE std::int64_t sum_of_squares(const std::int16_t* values, std::int64_t n) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < n; ++i)
    total += static_cast<std::int32_t>(values[i]) * static_cast<std::int32_t>(values[i]);
  return total;
}

static inline CentringTotals centring_totals(const Minibatch& m, const Centring& c,
                                             std::int64_t rows, std::int64_t n_chains) {
  return {
      phase_difference(m.chunks, sum(c.positive.visible, rows), sum(c.negative.visible, n_chains)),
      phase_difference(m.chunks, sum(c.positive.hidden, rows), sum(c.negative.hidden, n_chains)),
      static_cast<double>(sum_of_squares(c.visible, m.unit_lists.units)),
      static_cast<double>(sum_of_squares(c.hidden, m.up.padded_out()))};
}

inline constexpr double kOffsetOne = static_cast<double>(kMeanOne);

// centred Dv_i; listed: sum over rows with v_i = 1 of s, the phases' difference
RBMX_INLINE double centred_visible(double difference, double listed, double mu,
                                   const CentringTotals& totals) {
  return difference * (1 + totals.hidden_squared / (kOffsetOne * kOffsetOne)) -
         (listed - mu * totals.hidden / kOffsetOne) / (kOffsetOne * kOffsetOne);
}
// centred Dh_j in units of 2^-15; weighed: sum over rows of p_j t, the phases' difference
RBMX_INLINE double centred_hidden(double difference, double weighed, double lambda,
                                  const CentringTotals& totals) {
  return difference * (1 + totals.visible_squared / (kOffsetOne * kOffsetOne)) -
         (weighed - lambda * totals.visible) / kOffsetOne;
}

// out (64): sums over the rows of one phase whose bit u of `word` is on of s
RBMX_INLINE void add_listed_rows(const MutableBits& visible, std::int64_t word, std::int64_t rows,
                                 const std::int64_t* s, std::int64_t (&out)[64]) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::uint64_t bits = visible.words[row * visible.stride + word]; bits != 0;
         bits &= bits - 1)
      out[__builtin_ctzll(bits)] += s[row];
  }
}

// out (2 kLanes), in the packed order: sums over rows of p_j t; means points at the first row's
RBMX_INLINE void add_weighed_rows(const std::int16_t* means, std::int64_t width, std::int64_t rows,
                                  const std::int64_t* t, std::int64_t (&out)[2 * kLanes]) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (int k = 0; k < 2 * kLanes; ++k) out[k] += means[row * width + k] * t[row];
  }
}

}  // namespace RBMX_ISA
}  // namespace rbmx
