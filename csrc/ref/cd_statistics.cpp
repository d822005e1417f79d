// Sums over rows of v0 p0 - v1 p1, v0 - v1, p0 - p1; means in units of 2^-15
#include "ref/chain.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

void cd_statistics(const Model& model, const Bits& visible, std::int64_t gibbs_steps,
                   const Place& place, Statistics sums) {
  std::vector<std::uint64_t> h(static_cast<std::size_t>(words_for(model.n_hidden)));
  std::vector<std::uint64_t> v(static_cast<std::size_t>(words_for(model.n_visible)));
  std::vector<std::int64_t> counts(static_cast<std::size_t>(model.n_hidden));
  for (std::int64_t row = 0; row < visible.rows; ++row) {
    const std::uint64_t* v0 = visible.words + row * visible.stride;
    sample_row(model, Side::hidden, v0, place, row, 1, h.data(), counts.data());
    add_row(model, v0, counts.data(), 1, sums);
    run_chain(model, gibbs_steps, place, row, h.data(), v.data(), counts.data());
    add_row(model, v.data(), counts.data(), -1, sums);
  }
}

}  // namespace ref
}  // namespace rbmx
