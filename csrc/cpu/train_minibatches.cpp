// For each minibatch of `order`: v0 = data rows; h ~ p(h | v0) or the persistent chains; k times v
// ~ p(v | h), h ~ p(h | v); then with D the difference of the phases (gradient.h) and n the rows it
// is a mean over
//   velocity = momentum * velocity + (rate / n * D - rate * decay * weight),   weight += velocity
// data: (rows, n_visible) bits   weight: (n_hidden, n_visible)   biases alike, without decay
#include "cpu/minibatch.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

// The master weights in float32, in the layout of the projection to the hidden units.
struct Master {
  float* weight;    // (panels, padded n_visible, width)
  float* velocity;  // null without momentum
};

// What one member saw of the weights it updated; a cache line each.
struct alignas(64) Watch {
  float largest;  // no |weight| is larger
  bool bad;       // some parameter is not a number or beyond kMaxParameter
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

// bits: those of |weight|, not-a-numbers among them
RBMX_INLINE void watch_largest(Watch& watch, Ints bits) {
  std::int32_t most = 0;
  for (int lane = 0; lane < kLanes; ++lane) most = bits[lane] > most ? bits[lane] : most;
  float size;
  std::memcpy(&size, &most, sizeof size);
  if (!(size <= kMaxParameter)) watch.bad = true;
  watch.largest = size > watch.largest ? size : watch.largest;
}

// parameter and velocity after one step; velocity null without momentum
RBMX_INLINE Floats step(Floats parameter, Floats change, float* velocity, float momentum) {
  if (velocity != nullptr) {
    change = load<Floats>(velocity) * momentum + change;
    store(velocity, change);
  }
  return parameter + change;
}
RBMX_INLINE float step(float parameter, float change, float* velocity, float momentum) {
  if (velocity != nullptr) {
    change = *velocity * momentum + change;
    *velocity = change;
  }
  return parameter + change;
}

// + 0: a negative zero becomes positive, so that an update of nothing changes no byte
void load_panels(const Projection& up, const float* from, float* to, const Member& member) {
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
void watch_loaded(const Training& t, const Member& member) {
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
void update_panel(const Training& t, std::int64_t panel, std::int64_t rows, std::int64_t n_chains,
                  const Rates& rates, const Member& member) {
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

void update_panels(const Training& t, std::int64_t rows, std::int64_t n_chains, const Rates& rates,
                   const Member& member) {
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

// Whether some sum over the panel's rows can leave 32 bits, by the exact sums of |weight|.
bool panel_fits_exactly(const Projection& p, std::int64_t panel) {
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
bool panel_fits(const Projection& p, std::int64_t panel, Ints& largest) {
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

// Whether sums of weights can leave 32 bits, asked only when the largest weight does not settle it.
// Each member looks at its own panels of both orientations, and learns how large the weights are
// now.
bool sums_fit(const Training& t, const Member& member) {
  bool fit = true;
  Ints largest{};
  for (const Projection* p : {&t.m.up, &t.m.down}) {
    const Range panels = member.split(p->n_panels);
    for (std::int64_t panel = panels.begin; panel < panels.end; ++panel)
      fit = panel_fits(*p, panel, largest) && fit;
  }
  float most = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    const float size = static_cast<float>(largest[lane]) / kWeightOne;
    most = size > most ? size : most;
  }
  t.watch[member.index].largest = most + 1 / kWeightOne;  // rounding to 2^-20 may have taken a half
  return fit;
}

// Called by all members after a barrier; the same answer for all.
bool diverged(const Training& t, const Member& member) {
  float largest = 0;
  bool bad = false;
  for (int i = 0; i < member.size; ++i) {
    bad |= t.watch[i].bad;
    largest = t.watch[i].largest > largest ? t.watch[i].largest : largest;
  }
  if (bad) return true;
  const std::int64_t most = t.m.up.n_in > t.m.up.n_out ? t.m.up.n_in : t.m.up.n_out;
  if (static_cast<double>(largest) * static_cast<double>(most) < static_cast<double>(kMaxParameter))
    return false;
  member.wait();  // every member has read the watches
  t.watch[member.index].bad = !sums_fit(t, member);
  member.wait();
  for (int i = 0; i < member.size; ++i) bad |= t.watch[i].bad;
  return bad;
}

}  // namespace

TrainingReport train_minibatches(Team& team, Parameters parameters, const Bits& data,
                                 const TrainingPlan& plan, TrainingState& state) {
  const std::int64_t n_visible = parameters.n_visible, n_hidden = parameters.n_hidden;
  const std::int64_t n_batches = (plan.n_rows + plan.batch_size - 1) / plan.batch_size;
  if (n_batches == 0) return {Outcome::done, 0};
  const bool persistent = state.chains.words != nullptr,
             with_velocity = state.velocity.weight != nullptr;
  const std::int64_t batch_rows = smaller(plan.batch_size, plan.n_rows);

  Arena arena;
  Training t;
  t.m = make_minibatch(arena, n_visible, n_hidden, batch_rows, persistent ? state.chains.rows : 0,
                       plan.gibbs_steps, team.size());
  const Projection& up = t.m.up;
  const Projection& down = t.m.down;
  const std::int64_t size = up.size();
  t.master = {arena.take<float>(size), with_velocity ? arena.take<float>(size) : nullptr};
  t.hidden_velocity = with_velocity ? arena.take<float>(up.padded_out()) : nullptr;
  t.visible_velocity = with_velocity ? arena.take<float>(down.padded_out()) : nullptr;
  t.scratch = arena.take<GradientScratch>(team.size());
  for (int i = 0; i < team.size(); ++i)
    t.scratch[i] = make_gradient_scratch(arena, n_visible, up.width, t.m.max_chunks);
  t.watch = arena.take<Watch>(team.size());
  t.stop = false;

  const MutableBits chain = persistent ? state.chains : t.m.hidden;
  std::int64_t batches_done = 0;
  Outcome outcome = Outcome::done;

  team.run([&](const Member& member) {
    fill_from_rows(up, parameters.weight, parameters.hidden_bias, member);
    fill_from_columns(down, parameters.weight, parameters.visible_bias, member);
    load_panels(up, parameters.weight, t.master.weight, member);
    watch_loaded(t, member);
    if (with_velocity) load_panels(up, state.velocity.weight, t.master.velocity, member);
    if (with_velocity && member.index == 0) {
      for (std::int64_t j = 0; j < n_hidden; ++j)
        t.hidden_velocity[j] = state.velocity.hidden_bias[j];
      for (std::int64_t i = 0; i < n_visible; ++i)
        t.visible_velocity[i] = state.velocity.visible_bias[i];
    }
    const auto rows_of_batch = [&](std::int64_t batch) {
      return smaller(plan.batch_size, plan.n_rows - batch * plan.batch_size);
    };
    gather(t.m, data, plan.order, rows_of_batch(0), member);
    member.wait();
    for (std::int64_t batch = 0; batch < n_batches; ++batch) {
      const std::int64_t rows = rows_of_batch(batch);
      const std::int64_t n_chains = persistent ? state.chains.rows : rows;
      if (member.index == 0) cut_batch(t.m.chunks, rows, n_chains);
      run_chain(t.m, rows, chain, n_chains, persistent, plan.gibbs_steps,
                {plan.key, 0, plan.first_step + static_cast<std::uint32_t>(batch)}, member);
      update_panels(t, rows, n_chains, rates_for(plan, t.m.chunks.divisor), member);
      if (batch + 1 < n_batches) {
        gather(t.m, data, plan.order + (batch + 1) * plan.batch_size, rows_of_batch(batch + 1),
               member);
      }
      if (member.index == 0) t.stop = !plan.monitor.keep_going(plan.monitor.context, batch + 1);
      member.wait();
      const bool lost = diverged(t, member);
      if (member.index == 0) {
        batches_done = batch + 1;
        outcome = lost ? Outcome::diverged : t.stop ? Outcome::interrupted : Outcome::done;
      }
      if (lost || t.stop) break;
    }
    member.wait();
    if (outcome == Outcome::diverged) return;  // the caller's parameters stay as they came
    panels_to_rows(up, t.master.weight, parameters.weight, member);
    if (with_velocity) panels_to_rows(up, t.master.velocity, state.velocity.weight, member);
    if (member.index != 0) return;
    for (std::int64_t j = 0; j < n_hidden; ++j) parameters.hidden_bias[j] = up.bias[j];
    for (std::int64_t i = 0; i < n_visible; ++i) parameters.visible_bias[i] = down.bias[i];
    if (!with_velocity) return;
    for (std::int64_t j = 0; j < n_hidden; ++j)
      state.velocity.hidden_bias[j] = t.hidden_velocity[j];
    for (std::int64_t i = 0; i < n_visible; ++i)
      state.velocity.visible_bias[i] = t.visible_velocity[i];
  });
  return {outcome, batches_done};
}

}  // namespace RBMX_ISA
}  // namespace rbmx
