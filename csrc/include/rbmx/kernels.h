// The kernel surface on one page: every function that the bindings may call, for one instruction
// set.
//
// Bernoulli-Bernoulli machine: E(v, h) = -v.b - h.c - h W v, so that
//   p(h_j = 1 | v) = sigmoid(c_j + sum_i W_ji v_i),   p(v_i = 1 | h) = sigmoid(b_i + sum_j W_ji
//   h_j), F(v) = -v.b - sum_j softplus(c_j + sum_i W_ji v_i).
// Binary units are packed bits, and every kernel over bits is exact integer arithmetic up to the
// last sigmoid (docs/determinism.md): the same bytes for any instruction set, thread count or split
// of rows. Other units (Group, Unit) have means and samples of their own from the same inputs
// c + W v and b + h W.
#pragma once

#include <cstdint>

#include "rbmx/philox.h"

namespace rbmx {

class Team;

// rows x units bits; bit i of a row is bit (i mod 64) of its word i / 64; unused bits are zero.
struct Bits {
  const std::uint64_t* words;
  std::int64_t rows;
  std::int64_t units;
  std::int64_t stride;  // words from one row to the next
};
struct MutableBits {
  std::uint64_t* words;
  std::int64_t rows;
  std::int64_t units;
  std::int64_t stride;
};
// rows x units floats, contiguous
struct Reals {
  const float* values;
  std::int64_t rows;
  std::int64_t units;
};
// Where samples go: bits of Bernoulli units, values (rows, pitch) of others; both null: nowhere.
struct Samples {
  MutableBits bits;
  float* values;
  std::int64_t pitch;
};

// Units first .. first + size - 1 are one categorical variable (softmax units): one of them is on,
// p(i) = exp(x_i) / sum over the group of exp(x).
struct Group {
  std::int32_t first;
  std::int32_t size;
};
struct Groups {
  const Group* group;  // in the order of their units, apart from each other
  std::int64_t n;
};
// Units of a side and their states s given the input x: Bernoulli bits; s = x + a standard normal
// number; that same normal cut off at s >= 0.
enum class Unit { bernoulli, gaussian, relu };
struct Units {
  Unit visible;
  Unit hidden;
  Groups groups;  // of visible Bernoulli units
};

struct Model {
  const float* weight;  // (n_hidden, n_visible)
  const float* visible_bias;
  const float* hidden_bias;
  std::int64_t n_visible;
  std::int64_t n_hidden;
  Units units = {};
};
struct Parameters {
  float* weight;
  float* visible_bias;
  float* hidden_bias;
  std::int64_t n_visible;
  std::int64_t n_hidden;
  Units units = {};
  operator Model() const { return {weight, visible_bias, hidden_bias, n_visible, n_hidden, units}; }
};

enum class Side { hidden, visible };
enum class Outcome { done, diverged, interrupted };
enum class Product { blas, canonical };

// Where the random numbers of a row-wise function live: row r of the call is row first_row + r.
struct Place {
  Key key;
  std::int64_t first_row;
  std::uint32_t step;
};

// Sums over rows: weight (n_hidden, n_visible), visible (n_visible), hidden (n_hidden).
// weight and hidden count in units of 2^-15 (kMeanOne), visible in ones.
struct Statistics {
  std::int64_t* weight;
  std::int64_t* visible;
  std::int64_t* hidden;
};

// Asked now and then by one thread, between two minibatches in training; false stops the call
// there.
struct Monitor {
  bool (*keep_going)(void* context, std::int64_t done);
  void* context;
};

// How a gradient g, the mean over a minibatch, changes a parameter w. With d = rate (g - decay w):
//   momentum   m = first m + d,  w += m        nesterov   m = first m + d,  w += first m + d
// and with g' = g - decay w, s = second s + (1 - second) g'^2:
//   rmsprop    w += rate g' / (sqrt(s) + epsilon)
//   adam       m = first m + (1 - first) g',  the same with m and s over 1 - first^t, 1 - second^t
// A weight then moves towards zero by rate * l1. Biases have neither decay nor l1.
enum class Rule { momentum, nesterov, rmsprop, adam };
struct Update {
  Rule rule;
  double learning_rate;
  double first;
  double second;
  double epsilon;
  double weight_decay;
  double l1;
  double offset_rate;  // of the offsets, where the state has them (cpu/centering.h)
};
// Machines between independent units and a model: p_beta(v, h) ~ exp(v.(a + beta (b - a)) + beta
// (h.c + h W v)), at each inverse temperature beta in the order that chains go through them.
struct AnnealingPath {
  const float* base_bias;  // a, (n_visible)
  const double* betas;
  std::int64_t n_betas;
};

// Z = sum over the states s of n units of exp(s.bias) prod_i (1 + exp(x_i)), x_i = other_bias_i +
// sum_j s_j weight_ji
struct Enumeration {
  const float* weight;  // (n, others)
  const float* bias;
  const float* other_bias;
  std::int64_t n;
  std::int64_t others;
};
inline constexpr std::int64_t kMaxEnumerated = 40;
// Products of factors q + p exp(w) stay within exp(+-600): then their logarithm is added up.
inline constexpr double kProductRange = 600;

// While a call trains, the parameters and moments of its caller are its own: what stands in them is
// in another order, and no other thread may look. All calls leave them in order, a diverged one as
// its last minibatch made them (bindings/before.h gives back those from before).
struct TrainingPlan {
  const std::int64_t* order;  // the rows to visit, in order
  std::int64_t n_rows;        // length of order
  std::int64_t batch_size;    // 1 .. kMaxBatch; the last batch may be shorter
  std::int64_t gibbs_steps;   // k of CD-k
  Update update;
  Key key;
  std::uint32_t first_step;  // number of the first minibatch in the life of the model
  Monitor monitor;
};
// velocity (m) and squares (s): null where the rule has none. offsets: means of the units,
// (n_visible) and (n_hidden), for centred gradients; null for plain ones. chains: hidden states of
// the persistent chains, bits or real_chains (n_chains, n_hidden), null for CD.
struct TrainingState {
  Parameters velocity;
  Parameters squares;
  float* visible_offset;
  float* hidden_offset;
  MutableBits chains;
  float* real_chains;
  std::int64_t n_real_chains;
};
struct TrainingReport {
  Outcome outcome;
  std::int64_t batches;
};

// One way through a layer of a stack that goes up by other weights than it comes down by: binary
// units whose inputs decide them, p(out_j = 1 | in) = sigmoid(hidden_bias_j + sum_i weight_ji
// in_i), weight (n_hidden outputs, n_visible inputs). visible_bias takes no part. velocity: null
// where the rule has none.
struct Directed {
  Parameters parameters;
  Parameters velocity;
  Key key;
};
// Layers below the top, the lowest first, up[i] and down[i] between the same units. The top machine
// sees the outputs of the last layer and, behind them, the labels where it has more visible units.
struct UpDownStack {
  const Directed* up;
  const Directed* down;
  std::int64_t n_layers;
  Parameters top;
};

// Batches of one row on a tiny model, without momentum and decay: the kernel train_online takes
// them.
inline constexpr std::int64_t kMaxOnlineUnits = 32;
inline constexpr std::int64_t kMaxOnlineSteps = 128;
inline bool is_online(const Model& model, const TrainingPlan& plan, const TrainingState& state) {
  return plan.batch_size == 1 && model.units.groups.n == 0 && model.n_visible <= kMaxOnlineUnits &&
         model.n_hidden <= kMaxOnlineUnits && plan.gibbs_steps <= kMaxOnlineSteps &&
         plan.update.rule == Rule::momentum && plan.update.weight_decay == 0 &&
         plan.update.l1 == 0 && state.velocity.weight == nullptr &&
         state.visible_offset == nullptr &&
         (state.chains.words == nullptr || state.chains.rows == 1);
}

inline constexpr std::int64_t kMaxBatch = 65536;  // 65536 * 32767 < 2^31
// units in all rows of a centred batch: their sums stay in int64
inline constexpr std::int64_t kMostCentred = std::int64_t{1} << 32;
inline constexpr std::int64_t kMaxUnits = std::int64_t{1} << 24;
inline constexpr float kWeightOne = 1048576.0f;  // weights are summed in units of 2^-20
inline constexpr float kMeanOne = 32768.0f;      // means enter the gradient in units of 2^-15
inline constexpr std::int32_t kMeanMax = 32767;
inline constexpr float kMaxParameter = 2047.0f;  // beyond it sums could leave int32: "diverged"

// Whole lines of text, each ended by '\n': n_values numbers, and an integer label before or after
// them or nowhere.
enum class CsvLabel { none, first, last };
struct CsvLines {
  const char* begin;
  const char* end;
  std::int64_t n_values;
  CsvLabel label;
  std::int64_t max_rows;
};
// Where the rows go: one of bytes, reals and words is not null. (max_rows, n_values), words as Bits
// with 1 where the value is above the threshold.
struct CsvRows {
  std::uint8_t* bytes;
  float* reals;
  std::uint64_t* words;
  double threshold;
  std::int64_t* labels;   // null without a label
  std::uint8_t* scratch;  // csv_scratch(n_values) bytes, for one thread
};
inline constexpr std::int64_t kCsvSlack = 64;
constexpr std::int64_t csv_scratch(std::int64_t n_values) { return 4 * n_values + kCsvSlack; }
struct LinesRead {
  std::int64_t rows;
  const char* end;  // start of the first line that was not read
};

struct KernelTable {
  const char* isa;
  void (*mean)(Team&, const Model&, Side, const Bits& given, float* out);
  // of real-valued rows: means, or samples where `means` is null
  void (*mean_dense)(Team&, const Model&, Side, const Reals& given, const Place&, Product,
                     float* means, const Samples&);
  void (*sample)(Team&, const Model&, Side, const Bits& given, const Place&, MutableBits out);
  void (*gibbs)(Team&, const Model&, MutableBits visible, std::int64_t steps, const Place&);
  void (*free_energy)(Team&, const Model&, const Bits& visible, double* out);
  void (*cd_statistics)(Team&, const Model&, const Bits& visible, std::int64_t gibbs_steps,
                        const Place&, Statistics sums);
  // log_weights_r += sum over the path's steps of F_before(v) - F_after(v), with a Gibbs step at
  // each temperature but the first and the last; false where the monitor ended it. Monitor: steps
  // of a chain.
  bool (*anneal)(Team&, const Model&, const AnnealingPath&, MutableBits visible, const Place&,
                 const Monitor&, double* log_weights);
  // sum_i log p(v_i | v without i)
  void (*pseudo_log_likelihood)(Team&, const Model&, const Bits& visible, double* out);
  // log Z, or not a number where the monitor ended it. Monitor: states.
  double (*log_partition)(Team&, const Enumeration&, const Monitor&);
  TrainingReport (*train_minibatches)(Team&, Parameters, const Bits& data, const TrainingPlan&,
                                      TrainingState&);
  // the same for what is_online says, with the whole model in the first-level cache
  TrainingReport (*train_online)(Team&, Parameters, const Bits& data, const TrainingPlan&,
                                 TrainingState&);
  // wake, dream and sleep (cpu/train_up_down.cpp); state: of the top machine. data: rows of the
  // lowest layer's units, then of the labels.
  TrainingReport (*train_up_down)(Team&, const UpDownStack&, const Bits& data, const TrainingPlan&,
                                  TrainingState& state);
  TrainingReport (*train_dense)(Team&, Parameters, const Reals& data, const TrainingPlan&,
                                TrainingState&, Product);
  // c (m, n) = a (m, k) b (k, n) with strides a(i, p) = a[i * a_row + p * a_col], one chain of fma
  // over p
  void (*gemm)(Team&, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
               std::int64_t a_row, std::int64_t a_col, const float* b, std::int64_t b_row,
               std::int64_t b_col, float* c);
  // leading lines of integers 0 .. 255; ends before the first line that may be anything else
  LinesRead (*csv_integers)(const CsvLines&, const CsvRows&);
};

// The tables this build has, best last, and the one in use (RBMX_ISA, else the best the processor
// runs).
struct Dispatch {
  const KernelTable* const* tables;
  int count;
};
Dispatch available_kernels();
// null when no table of that name runs here
const KernelTable* kernels_named(const char* isa);

}  // namespace rbmx
