// The up-down algorithm (Hinton, Osindero and Teh 2006, appendix B). For each minibatch of `order`:
//   wake    states go up from the data, each layer's drawn by the weights of its way up
//   dream   the top machine takes a step of contrastive divergence; what its chain ends at
//   sleep   goes down, each layer's states drawn by the weights of its way down
//   learn   each way by the delta rule (delta_rule.h) from the states that the other one drew:
//           down from wake states, up from sleep states
// A minibatch is read top to bottom in the loop at the end.
#include "cpu/delta_rule.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

namespace {

struct Stack {
  std::int64_t n_layers;
  DeltaLayer* up;
  DeltaLayer* down;
  MutableBits* wake;   // states of each level, from the data to the units below the top
  MutableBits* sleep;  // likewise
  Training top;
  std::int64_t n_labels;
};

std::int64_t units_at(const UpDownStack& given, std::int64_t level) {
  return level == 0 ? given.up[0].parameters.n_visible : given.up[level - 1].parameters.n_hidden;
}

Training make_top(Arena& arena, const Parameters& p, const TrainingState& state, std::int64_t rows,
                  std::int64_t gibbs_steps, int threads) {
  Training t = {};
  t.m = make_minibatch(arena, p, rows, state.chains.rows, gibbs_steps, threads);
  t.weight = arena.take<float>(t.m.up.size());
  t.moments = make_moments(arena, state, t.m.up, t.m.down);
  t.scratch = arena.take<GradientScratch>(threads);
  for (int i = 0; i < threads; ++i)
    t.scratch[i] = make_gradient_scratch(arena, p.n_visible, t.m.up.width, t.m.max_chunks);
  t.watch = arena.take<Watch>(threads);
  return t;
}

Stack make_stack(Arena& arena, const UpDownStack& given, const TrainingState& state,
                 std::int64_t rows, std::int64_t gibbs_steps, int threads) {
  Stack s = {};
  s.n_layers = given.n_layers;
  s.top = make_top(arena, given.top, state, rows, gibbs_steps, threads);
  s.n_labels = given.top.n_visible - units_at(given, s.n_layers);
  s.up = arena.take<DeltaLayer>(s.n_layers);
  s.down = arena.take<DeltaLayer>(s.n_layers);
  s.wake = arena.take<MutableBits>(s.n_layers + 1);
  s.sleep = arena.take<MutableBits>(s.n_layers + 1);
  const std::int64_t most = s.top.m.max_rows;
  for (std::int64_t level = 0; level <= s.n_layers; ++level) {
    const std::int64_t units = units_at(given, level);
    for (MutableBits* states : {&s.wake[level], &s.sleep[level]})
      *states = make_bits(arena, most, round_up(units, kQuadUnits), units);
  }
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    s.up[i] = make_delta_layer(arena, given.up[i], s.sleep[i], most, threads);
    s.down[i] = make_delta_layer(arena, given.down[i], s.wake[i + 1], most, threads);
  }
  return s;
}

void load(const Stack& s, const UpDownStack& given, const TrainingState& state,
          const Member& member) {
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    load(s.up[i], given.up[i], member);
    load(s.down[i], given.down[i], member);
  }
  const Parameters& p = given.top;
  fill_from_rows(s.top.m.up, p.weight, p.hidden_bias, member);
  fill_from_columns(s.top.m.down, p.weight, p.visible_bias, member);
  load_panels(s.top.m.up, p.weight, s.top.weight, member);
  watch_loaded(s.top, member);
  load_moments(s.top.m.up, state, s.top.moments, member);
}

void store(const Stack& s, const UpDownStack& given, const TrainingState& state,
           const Member& member) {
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    store(s.up[i], given.up[i], member);
    store(s.down[i], given.down[i], member);
  }
  const Parameters& p = given.top;
  panels_to_rows(s.top.m.up, s.top.weight, p.weight, member);
  store_moments(s.top.m.up, s.top.moments, state, member);
  if (member.index != 0) return;
  copy(s.top.m.up.bias, p.n_hidden, p.hidden_bias);
  copy(s.top.m.down.bias, p.n_visible, p.visible_bias);
}

// the first `units` bits of a row; those behind them in the last word become zero
void copy_units(const std::uint64_t* from, std::int64_t units, std::uint64_t* to) {
  const std::int64_t words = words_for(units);
  std::memcpy(to, from, static_cast<std::size_t>(words) * sizeof(std::uint64_t));
  to[words - 1] &= ~std::uint64_t{0} >> (64 * words - units);
}

// Rows of data become the lowest wake states and the labels of the top machine's data. A wait()
// must follow, none need come before the learning of these states is over.
void gather(const Stack& s, const Bits& data, const std::int64_t* order, std::int64_t rows,
            const Member& member) {
  const std::int64_t units = s.wake[0].units, above = s.wake[s.n_layers].units;
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    const std::uint64_t* from = data.words + order[row] * data.stride;
    std::uint64_t* seen = s.top.m.data.words + row * s.top.m.data.stride;
    copy_units(from, units, s.wake[0].words + row * s.wake[0].stride);
    for (std::int64_t label = 0; label < s.n_labels; ++label)
      set_bit(seen, above + label, get_bit(from, units + label));
  }
}

// Up from gathered data to listed data of the top machine. Ends with a barrier.
void wake(const Stack& s, std::int64_t rows, std::uint32_t step, const Member& member) {
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    list_shared(s.up[i].t.m.visible_lists, view(s.wake[i]), rows, false, member);
    member.wait();
    draw_outputs(s.up[i], rows, step, kHiddenStream, s.wake[i + 1], member);
    member.wait();
  }
  const MutableBits &seen = s.top.m.data, &states = s.wake[s.n_layers];
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    std::uint64_t* to = seen.words + row * seen.stride;
    const std::int64_t last = words_for(states.units) - 1;
    const std::uint64_t labels = to[last];
    copy_units(states.words + row * states.stride, states.units, to);
    if (states.units % 64 != 0) to[last] |= labels >> (states.units % 64) << (states.units % 64);
  }
  list_shared(s.top.m.visible_lists, view(seen), rows, false, member);
  member.wait();
}

// Down from the samples of the top machine. Ends with a barrier.
void sleep(const Stack& s, std::int64_t rows, std::uint32_t step, const Member& member) {
  const MutableBits &dreamt = s.top.m.samples, &states = s.sleep[s.n_layers];
  const Range range = member.split(rows);
  for (std::int64_t row = range.begin; row < range.end; ++row) {
    copy_units(dreamt.words + row * dreamt.stride, states.units,
               states.words + row * states.stride);
  }
  for (std::int64_t i = s.n_layers - 1; i >= 0; --i) {
    list_shared(s.down[i].t.m.visible_lists, view(s.sleep[i + 1]), rows, false, member);
    member.wait();
    draw_outputs(s.down[i], rows, step, kVisibleStream, s.sleep[i], member);
    member.wait();
  }
}

// Every way, and the top machine after run_chain. A wait() must follow.
void learn(const Stack& s, std::int64_t rows, std::int64_t n_chains, const Update& update,
           std::uint64_t updates, const Member& member) {
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    list_shared(s.up[i].t.m.visible_lists, view(s.sleep[i]), n_chains, false, member);
    list_shared(s.down[i].t.m.visible_lists, view(s.wake[i + 1]), rows, false, member);
  }
  member.wait();
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    compare(s.up[i], s.sleep[i + 1], n_chains, member);
    member.wait();
    compare(s.down[i], s.wake[i], rows, member);
    member.wait();
  }
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    learn(s.up[i], n_chains, update, updates, member);
    member.wait();
    learn(s.down[i], rows, update, updates, member);
    member.wait();
  }
  update_panels(s.top, rows, n_chains, rates_for(update, s.top.m.chunks.divisor, updates), member);
}

bool diverged(const Stack& s, const Member& member) {
  bool lost = diverged(s.top.m.up, s.top.m.down, s.top.watch, member);
  for (std::int64_t i = 0; i < s.n_layers; ++i) {
    for (const DeltaLayer* way : {&s.up[i], &s.down[i]})
      lost = diverged(way->t.m.up, way->t.watch, member) || lost;
  }
  return lost;
}

}  // namespace

TrainingReport train_up_down(Team& team, const UpDownStack& given, const Bits& data,
                             const TrainingPlan& plan, TrainingState& state) {
  const std::int64_t n_batches = (plan.n_rows + plan.batch_size - 1) / plan.batch_size;
  if (n_batches == 0) return {Outcome::done, 0};
  const bool persistent = state.chains.words != nullptr;

  Arena arena;
  Stack s = make_stack(arena, given, state, smaller(plan.batch_size, plan.n_rows), plan.gibbs_steps,
                       team.size());
  const MutableBits chain = persistent ? state.chains : s.top.m.hidden;
  std::int64_t batches_done = 0;
  Outcome outcome = Outcome::done;

  team.run([&](const Member& member) {
    load(s, given, state, member);
    const auto rows_of_batch = [&](std::int64_t batch) {
      return smaller(plan.batch_size, plan.n_rows - batch * plan.batch_size);
    };
    gather(s, data, plan.order, rows_of_batch(0), member);
    member.wait();
    for (std::int64_t batch = 0; batch < n_batches; ++batch) {
      const std::int64_t rows = rows_of_batch(batch);
      const std::int64_t n_chains = persistent ? state.chains.rows : rows;
      const std::uint32_t step = plan.first_step + static_cast<std::uint32_t>(batch);
      if (member.index == 0) {
        cut_batch(s.top.m.chunks, rows, n_chains);
        for (std::int64_t i = 0; i < s.n_layers; ++i) {
          cut_batch(s.up[i].t.m.chunks, n_chains, n_chains);
          cut_batch(s.down[i].t.m.chunks, rows, rows);
        }
      }
      wake(s, rows, step, member);
      run_chain(s.top.m, rows, chain, n_chains, persistent, plan.gibbs_steps, {plan.key, 0, step},
                member);
      sleep(s, n_chains, step, member);
      learn(s, rows, n_chains, plan.update, update_number(plan, batch), member);
      if (batch + 1 < n_batches) {
        gather(s, data, plan.order + (batch + 1) * plan.batch_size, rows_of_batch(batch + 1),
               member);
      }
      if (member.index == 0) s.top.stop = !plan.monitor.keep_going(plan.monitor.context, batch + 1);
      member.wait();
      const bool lost = diverged(s, member);
      if (member.index == 0) {
        batches_done = batch + 1;
        outcome = lost ? Outcome::diverged : s.top.stop ? Outcome::interrupted : Outcome::done;
      }
      if (lost || s.top.stop) break;
    }
    member.wait();
    if (outcome == Outcome::diverged) return;  // the caller's parameters stay as they came
    store(s, given, state, member);
  });
  return {outcome, batches_done};
}

}  // namespace RBMX_ISA
}  // namespace rbmx
