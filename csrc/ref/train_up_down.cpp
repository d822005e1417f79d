// For each minibatch: wake states go up, the top machine's chain runs from them or from where it
// was, sleep states go down, and every layer takes a step of the optimiser.
#include <numeric>

#include "rbmx/math.h"
#include "rbmx/usable.h"
#include "ref/chain.h"
#include "ref/ref.h"
#include "ref/step.h"
#include "ref/sums.h"

namespace rbmx {
namespace ref {

namespace {

using Row = std::vector<std::uint64_t>;

// n units of a row, from `first` on
Row units_of_row(const std::uint64_t* bits, std::int64_t first, std::int64_t n) {
  Row row(static_cast<std::size_t>(words_for(n)));
  for (std::int64_t i = 0; i < n; ++i) set_bit(row.data(), i, get_bit(bits, first + i));
  return row;
}

Row drawn(const Directed& way, const Row& inputs, std::uint32_t step, std::int64_t row,
          std::uint32_t stream) {
  Row out(static_cast<std::size_t>(words_for(way.parameters.n_hidden)));
  sample_row(way.parameters, Side::hidden, inputs.data(), {way.key, 0, step}, row, stream,
             out.data(), nullptr);
  return out;
}

// The slope of log p(outputs | inputs) for one row; an output that is on counts kMeanMax.
void add_delta(const Directed& way, const Row& inputs, const Row& outputs, Sums& sums) {
  const Model model = way.parameters;
  std::vector<std::int64_t> counts(sums.hidden.size());
  sample_row(model, Side::hidden, inputs.data(), {}, 0, 0, nullptr, counts.data());
  for (std::size_t j = 0; j < counts.size(); ++j) {
    const bool on = get_bit(outputs.data(), static_cast<std::int64_t>(j));
    counts[j] = (on ? kMeanMax : 0) - counts[j];
  }
  add_row(model, inputs.data(), counts.data(), 1, sums.view());
}

std::vector<float> as_floats(const std::vector<std::int64_t>& sums) {
  return std::vector<float>(sums.begin(), sums.end());
}

struct Step {
  const Update& rule;
  std::uint64_t updates;
  std::int64_t divisor;

  Rates weight() const {
    return {rate(static_cast<double>(kMeanOne)),
            static_cast<float>(rule.learning_rate * rule.weight_decay),
            static_cast<float>(rule.learning_rate * rule.l1)};
  }
  Rates bias(double one) const { return {rate(one), 0.0f, 0.0f}; }

 private:
  float rate(double one) const {
    return static_cast<float>(rule.learning_rate / static_cast<double>(divisor) / one);
  }
};

void learn(const Directed& way, const Sums& sums, const Step& step) {
  const Parameters &p = way.parameters, &velocity = way.velocity;
  update(p.weight, velocity.weight, nullptr, as_floats(sums.weight), step.rule, step.updates,
         step.weight());
  update(p.hidden_bias, velocity.hidden_bias, nullptr, as_floats(sums.hidden), step.rule,
         step.updates, step.bias(static_cast<double>(kMeanOne)));
}

void learn(const Parameters& top, const TrainingState& state, const Sums& positive,
           const Sums& negative, std::int64_t a, std::int64_t b, const Step& step) {
  const Parameters& velocity = state.velocity;
  update(top.weight, velocity.weight, nullptr, difference(positive.weight, negative.weight, a, b),
         step.rule, step.updates, step.weight());
  update(top.hidden_bias, velocity.hidden_bias, nullptr,
         difference(positive.hidden, negative.hidden, a, b), step.rule, step.updates,
         step.bias(static_cast<double>(kMeanOne)));
  update(top.visible_bias, velocity.visible_bias, nullptr,
         difference(positive.visible, negative.visible, a, b), step.rule, step.updates,
         step.bias(1));
}

}  // namespace

TrainingReport train_up_down(const UpDownStack& stack, const Bits& data, const TrainingPlan& plan,
                             TrainingState& state) {
  const Parameters& top = stack.top;
  const std::int64_t n_visible = stack.up[0].parameters.n_visible;
  const std::int64_t n_above = stack.up[stack.n_layers - 1].parameters.n_hidden;
  const bool persistent = state.chains.words != nullptr;
  Row own(static_cast<std::size_t>(words_for(top.n_hidden)));
  std::vector<std::int64_t> counts(static_cast<std::size_t>(top.n_hidden));
  std::int64_t batches = 0;
  for (std::int64_t first = 0; first < plan.n_rows; first += plan.batch_size, ++batches) {
    const std::int64_t rows =
        first + plan.batch_size < plan.n_rows ? plan.batch_size : plan.n_rows - first;
    const std::int64_t chains = persistent ? state.chains.rows : rows;
    const Place place = {plan.key, 0, plan.first_step + static_cast<std::uint32_t>(batches)};
    std::vector<Sums> up, down;
    for (std::int64_t i = 0; i < stack.n_layers; ++i) {
      up.emplace_back(stack.up[i].parameters);
      down.emplace_back(stack.down[i].parameters);
    }
    Sums positive(top), negative(top);
    for (std::int64_t row = 0; row < (rows > chains ? rows : chains); ++row) {
      if (row < rows) {
        const std::uint64_t* bits = data.words + plan.order[first + row] * data.stride;
        std::vector<Row> wake = {units_of_row(bits, 0, n_visible)};
        for (std::int64_t i = 0; i < stack.n_layers; ++i) {
          const auto level = static_cast<std::size_t>(i);
          wake.push_back(drawn(stack.up[i], wake[level], place.step, row, 1));
          add_delta(stack.down[i], wake[level + 1], wake[level], down[level]);
        }
        Row seen(static_cast<std::size_t>(words_for(top.n_visible)));
        for (std::int64_t i = 0; i < top.n_visible; ++i) {
          set_bit(seen.data(), i,
                  i < n_above ? get_bit(wake.back().data(), i)
                              : get_bit(bits, n_visible + i - n_above));
        }
        sample_row(top, Side::hidden, seen.data(), place, row, 1, persistent ? nullptr : own.data(),
                   counts.data());
        add_row(top, seen.data(), counts.data(), 1, positive.view());
      }
      if (row < chains) {
        Row dreamt(static_cast<std::size_t>(words_for(top.n_visible)));
        run_chain(top, plan.gibbs_steps, place, row,
                  persistent ? state.chains.words + row * state.chains.stride : own.data(),
                  dreamt.data(), counts.data());
        add_row(top, dreamt.data(), counts.data(), 1, negative.view());
        Row above = units_of_row(dreamt.data(), 0, n_above);
        for (std::int64_t i = stack.n_layers - 1; i >= 0; --i) {
          const Row below = drawn(stack.down[i], above, place.step, row, 2);
          add_delta(stack.up[i], below, above, up[static_cast<std::size_t>(i)]);
          above = below;
        }
      }
    }
    const auto updates = static_cast<std::uint64_t>(plan.first_step + batches + 1);
    const std::int64_t g = std::gcd(rows, chains), a = chains / g, b = rows / g;
    learn(top, state, positive, negative, a, b, {plan.update, updates, a * rows});
    bool fine = usable(top);
    for (std::int64_t i = 0; i < stack.n_layers; ++i) {
      learn(stack.up[i], up[static_cast<std::size_t>(i)], {plan.update, updates, chains});
      learn(stack.down[i], down[static_cast<std::size_t>(i)], {plan.update, updates, rows});
      fine = fine && usable(stack.up[i].parameters) && usable(stack.down[i].parameters);
    }
    if (!fine) return {Outcome::diverged, batches + 1};
  }
  return {Outcome::done, batches};
}

}  // namespace ref
}  // namespace rbmx
