// log sum_s exp(s.bias + sum_i softplus(x_i)), x_i = other_bias_i + sum_j s_j weight_ji, over the
// 2^n states s; float64 throughout
// weight: (n, others)   bias: (n,)   other_bias: (others,)
#include "cpu/eight.h"
#include "cpu/table.h"
#include "rbmx/arena.h"
#include "rbmx/enumeration.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

inline constexpr int kAtOnce = 4;  // low states that share the loads of p and q

// What a member works in; `vectors` Eights for each row of others.
struct Workplace {
  Eight* x;
  Eight* p;
  Eight* q;
  double* terms;  // (kHighStates * low_states,) log of each state's term of Z
};

// x += the weights of the units first_unit + u, u the ones of state, in order
void add_units(const Enumeration& e, std::uint64_t state, std::int64_t first_unit, Eight* x) {
  auto* values = reinterpret_cast<double*>(x);
  for (; state != 0; state &= state - 1) {
    const float* weight = e.weight + (first_unit + __builtin_ctzll(state)) * e.others;
    for (std::int64_t i = 0; i < e.others; ++i) values[i] += static_cast<double>(weight[i]);
  }
}

double bias_of(const Enumeration& e, std::uint64_t state, std::int64_t first_unit) {
  double sum = 0;
  for (; state != 0; state &= state - 1)
    sum += static_cast<double>(e.bias[first_unit + __builtin_ctzll(state)]);
  return sum;
}

// p, q and the sum of softplus(x) for a state of the high units; the padding keeps p = 0, q = 1
double split(const Workplace& w, std::int64_t vectors, std::int64_t others) {
  Eight sum{};
  for (std::int64_t k = 0; k < vectors; ++k) {
    Eight terms = softplus64(w.x[k]);
    w.p[k] = sigmoid64(w.x[k]);
    w.q[k] = sigmoid64(-w.x[k]);
    for (std::int64_t i = others - 8 * k; i < kParts; ++i) {
      if (i < 0) continue;
      terms[i] = 0;
      w.p[k][i] = 0;
      w.q[k][i] = 1;
    }
    sum += terms;
  }
  return total_of(sum);
}

// terms[s] += log prod_i (q_i + p_i e_si) for N low states from s on
template <int N>
void add_products(const Workplace& w, const Eight* e, std::int64_t vectors, std::int64_t fold,
                  double* terms) {
  Eight sum[N] = {};
  for (std::int64_t begin = 0; begin < vectors; begin += fold) {
    const std::int64_t end = smaller(begin + fold, vectors);
    Eight product[N];
    for (int s = 0; s < N; ++s) product[s] = Eight{} + 1.0;
    for (std::int64_t k = begin; k < end; ++k) {
      const Eight p = w.p[k], q = w.q[k];
      for (int s = 0; s < N; ++s) product[s] *= p * e[s * vectors + k] + q;
    }
    for (int s = 0; s < N; ++s) sum[s] += log64(product[s]);
  }
  for (int s = 0; s < N; ++s) terms[s] += total_of(sum[s]);
}

// log sum exp of n terms as (largest, sum of exp(term - largest))
struct LogSum {
  double largest;
  double sum;
};

LogSum log_sum(const double* terms, std::int64_t n) {
  double largest = terms[0];
  for (std::int64_t i = 1; i < n; ++i) largest = terms[i] > largest ? terms[i] : largest;
  Eight sum{};
  std::int64_t i = 0;
  for (; i + kParts <= n; i += kParts) sum += exp64(load<Eight>(terms + i) - largest);
  double parts[kParts];
  store(parts, sum);
  for (; i < n; ++i) parts[i % kParts] += exp64(terms[i] - largest);
  return {largest, rbmx::total_of(parts)};
}

// the log of the sum of the chunks' sums
double merge(const LogSum* chunks, std::int64_t n) {
  double largest = chunks[0].largest, sum = 0;
  for (std::int64_t i = 1; i < n; ++i)
    largest = chunks[i].largest > largest ? chunks[i].largest : largest;
  for (std::int64_t i = 0; i < n; ++i) sum += chunks[i].sum * exp64(chunks[i].largest - largest);
  return largest + log64(sum);
}

}  // namespace

double log_partition(Team& team, const Enumeration& e, const Monitor& monitor) {
  Arena arena;
  const EnumerationCut cut = cut_enumeration(e);
  const std::int64_t vectors = (e.others + kParts - 1) / kParts;
  auto* powers = arena.take<Eight>(cut.low_states * vectors);  // exp(sum of low units' weights)
  auto* low_bias = arena.take<double>(cut.low_states);
  auto* places = arena.take<Workplace>(team.size());
  for (int i = 0; i < team.size(); ++i) {
    places[i] = {arena.take<Eight>(vectors), arena.take<Eight>(vectors), arena.take<Eight>(vectors),
                 arena.take<double>(kHighStates * cut.low_states)};
  }
  auto* chunks = arena.take<LogSum>(cut.n_chunks);
  std::int64_t done = 0;
  bool stopped = false;
  double log_z = 0;
  team.run([&](const Member& member) {
    const Range low = member.split(cut.low_states);
    for (std::int64_t s = low.begin; s < low.end; ++s) {
      add_units(e, static_cast<std::uint64_t>(s), 0, powers + s * vectors);
      for (std::int64_t k = 0; k < vectors; ++k)
        powers[s * vectors + k] = exp64(powers[s * vectors + k]);
      low_bias[s] = bias_of(e, static_cast<std::uint64_t>(s), 0);
    }
    member.wait();
    const Workplace& w = places[member.index];
    member.share(cut.n_chunks, [&](std::int64_t chunk) {
      if (__atomic_load_n(&stopped, __ATOMIC_RELAXED)) return;
      const std::int64_t first = chunk * kHighStates;
      const std::int64_t count = smaller(kHighStates, cut.high_states - first);
      for (std::int64_t high = 0; high < count; ++high) {
        const auto state = static_cast<std::uint64_t>(first + high);
        for (std::int64_t i = 0; i < e.others; ++i)
          reinterpret_cast<double*>(w.x)[i] = static_cast<double>(e.other_bias[i]);
        add_units(e, state, cut.low, w.x);
        const double start = split(w, vectors, e.others) + bias_of(e, state, cut.low);
        double* terms = w.terms + high * cut.low_states;
        std::int64_t s = 0;
        for (; s < cut.low_states; ++s) terms[s] = start + low_bias[s];
        for (s = 0; s + kAtOnce <= cut.low_states; s += kAtOnce)
          add_products<kAtOnce>(w, powers + s * vectors, vectors, cut.fold, terms + s);
        for (; s < cut.low_states; ++s)
          add_products<1>(w, powers + s * vectors, vectors, cut.fold, terms + s);
      }
      chunks[chunk] = log_sum(w.terms, count * cut.low_states);
      const std::int64_t states =
          __atomic_add_fetch(&done, count * cut.low_states, __ATOMIC_RELAXED);
      if (member.index == 0 && !monitor.keep_going(monitor.context, states))
        __atomic_store_n(&stopped, true, __ATOMIC_RELAXED);
    });
    member.wait();
    if (member.index == 0 && !stopped) log_z = merge(chunks, cut.n_chunks);
  });
  return stopped ? __builtin_nan("") : log_z;
}

}  // namespace RBMX_ISA
}  // namespace rbmx
