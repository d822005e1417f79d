// offsets[j] = byte offset behind the j-th of every `every`-th newline: the index of a text file.
#pragma once

#include <cstdint>
#include <string_view>

namespace rbmx::text {

// The newlines from begin to end.
std::int64_t count_lines(const char* begin, const char* end);

struct LineCount {
  std::int64_t newlines = 0;  // in the text
  std::int64_t marked = 0;    // offsets written
};

// Newlines are counted on from `seen`; each time the count is a multiple of `every`, the offset
// behind that newline is written. offsets: room for (seen % every + newlines) / every numbers.
LineCount mark_lines(std::string_view text, std::int64_t every, std::int64_t seen,
                     std::int64_t* offsets);

}  // namespace rbmx::text
