// Online contrastive divergence as a textbook would have it: one row at a time, CD-k, double precision, rand() and exp().
// No effort is made to be fast; the compiler's flags are the experiment (rbmx.bench.table1).
//
// stdin:  rows visible hidden k rate seed, then the initial weights (hidden x visible), then the rows as 0 and 1
// stdout: milliseconds of processor time for training alone, then the weights, the visible and the hidden biases after it
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

class RBM {
 public:
  RBM(int n_visible, int n_hidden)
      : n_visible(n_visible),
        n_hidden(n_hidden),
        weight(n_hidden, std::vector<double>(n_visible)),
        visible_bias(n_visible),
        hidden_bias(n_hidden),
        positive_mean(n_hidden),
        negative_mean(n_hidden),
        visible_mean(n_visible),
        hidden_sample(n_hidden),
        visible_sample(n_visible) {}

  void contrastive_divergence(const std::vector<int>& row, int k, double rate) {
    sample_hidden(row, positive_mean);
    for (int step = 0; step < k; ++step) {
      sample_visible();
      sample_hidden(visible_sample, negative_mean);
    }
    for (int j = 0; j < n_hidden; ++j) {
      for (int i = 0; i < n_visible; ++i)
        weight[j][i] += rate * (positive_mean[j] * row[i] - negative_mean[j] * visible_sample[i]);
      hidden_bias[j] += rate * (positive_mean[j] - negative_mean[j]);
    }
    for (int i = 0; i < n_visible; ++i) visible_bias[i] += rate * (row[i] - visible_sample[i]);
  }

  int n_visible, n_hidden;
  std::vector<std::vector<double>> weight;
  std::vector<double> visible_bias, hidden_bias;

 private:
  static double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
  static int coin(double p) { return std::rand() / (RAND_MAX + 1.0) < p; }

  void sample_hidden(const std::vector<int>& visible, std::vector<double>& mean) {
    for (int j = 0; j < n_hidden; ++j) {
      double sum = hidden_bias[j];
      for (int i = 0; i < n_visible; ++i) sum += weight[j][i] * visible[i];
      mean[j] = sigmoid(sum);
      hidden_sample[j] = coin(mean[j]);
    }
  }
  void sample_visible() {
    for (int i = 0; i < n_visible; ++i) {
      double sum = visible_bias[i];
      for (int j = 0; j < n_hidden; ++j) sum += weight[j][i] * hidden_sample[j];
      visible_mean[i] = sigmoid(sum);
      visible_sample[i] = coin(visible_mean[i]);
    }
  }

  std::vector<double> positive_mean, negative_mean, visible_mean;
  std::vector<int> hidden_sample, visible_sample;
};

int main() {
  int n_rows, n_visible, n_hidden, k;
  double rate;
  unsigned seed;
  if (std::scanf("%d %d %d %d %lf %u", &n_rows, &n_visible, &n_hidden, &k, &rate, &seed) != 6) return 2;
  RBM rbm(n_visible, n_hidden);
  for (auto& weights : rbm.weight)
    for (double& weight : weights)
      if (std::scanf("%lf", &weight) != 1) return 2;
  std::vector<std::vector<int>> rows(n_rows, std::vector<int>(n_visible));
  for (auto& row : rows)
    for (int& bit : row)
      if (std::scanf("%1d", &bit) != 1) return 2;

  RBM warm_up = rbm;  // the clock is for the second pass, from the same weights
  for (const auto& row : rows) warm_up.contrastive_divergence(row, k, rate);
  std::srand(seed);
  const std::clock_t start = std::clock();
  for (const auto& row : rows) rbm.contrastive_divergence(row, k, rate);
  const std::clock_t taken = std::clock() - start;

  std::printf("%.6f\n", 1e3 * static_cast<double>(taken) / CLOCKS_PER_SEC);
  for (const auto& weights : rbm.weight)
    for (const double weight : weights) std::printf("%.9g ", weight);
  for (const double bias : rbm.visible_bias) std::printf("%.9g ", bias);
  for (const double bias : rbm.hidden_bias) std::printf("%.9g ", bias);
}
