// steps times: h ~ p(h | v), v ~ p(v | h), in place
#include <vector>

#include "ref/half_step.h"
#include "ref/ref.h"

namespace rbmx {
namespace ref {

void gibbs(const Model& model, MutableBits visible, std::int64_t steps, const Place& place) {
  std::vector<std::uint64_t> hidden(static_cast<std::size_t>(words_for(model.n_hidden)));
  for (std::int64_t row = 0; row < visible.rows; ++row) {
    std::uint64_t* v = visible.words + row * visible.stride;
    for (std::int64_t step = 0; step < steps; ++step) {
      const Place here = {place.key, place.first_row,
                          place.step + static_cast<std::uint32_t>(step)};
      sample_row(model, Side::hidden, v, here, row, 1, hidden.data(), nullptr);
      sample_row(model, Side::visible, hidden.data(), here, row, 2, v, nullptr);
    }
  }
}

}  // namespace ref
}  // namespace rbmx
