// The random bits that belong to (unit, row, step, stream).
#pragma once

#include "rbmx/kernels.h"

namespace rbmx {
namespace ref {

inline std::uint32_t draw16(const Place& place, std::int64_t row, std::int64_t unit,
                            std::uint32_t stream) {
  const std::int64_t at = place.first_row + row;
  const auto call = philox({static_cast<std::uint32_t>(unit),
                            static_cast<std::uint32_t>(at / kRowsPerCall), place.step, stream},
                           place.key);
  const auto turn = static_cast<std::size_t>(at % kRowsPerCall);
  return turn % 2 == 0 ? call[turn / 2] & 0xFFFFu : call[turn / 2] >> 16;
}

inline std::uint32_t draw32(const Place& place, std::int64_t row, std::int64_t unit,
                            std::uint32_t stream) {
  return draw16(place, row, unit, stream) << 16 | draw16(place, row, unit, stream | kTieBit);
}

inline bool draw(float mean, const Place& place, std::int64_t row, std::int64_t unit,
                 std::uint32_t stream) {
  return static_cast<double>(draw32(place, row, unit, stream)) <
         static_cast<double>(mean) * 4294967296.0;
}

}  // namespace ref
}  // namespace rbmx
