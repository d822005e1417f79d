#include "order/permutation.h"

#include <utility>

namespace rbmx {

void permutation(std::int64_t n, Key key, std::int64_t* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = i;
  for (std::int64_t i = n - 1; i > 0; --i) {
    const auto call =
        philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), 0, 0}, key);
    const std::uint64_t r = std::uint64_t{call[1]} << 32 | call[0];
    __extension__ using Wide = unsigned __int128;
    const auto j = static_cast<std::int64_t>(Wide{r} * static_cast<std::uint64_t>(i + 1) >> 64);
    std::swap(out[i], out[j]);
  }
}

}  // namespace rbmx
