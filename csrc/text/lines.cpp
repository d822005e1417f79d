// offsets[j] = byte offset behind the j-th of every `every`-th newline: the index of a text file.
#include "text/lines.h"

#include <cstddef>
#include <cstring>

namespace rbmx::text {

std::int64_t count_lines(const char* begin, const char* end) {
  constexpr std::int64_t kLanes = 32;
  constexpr int kMostSteps = 255;  // what a lane of bytes can count
  std::int64_t total = 0;
  while (end - begin >= kLanes) {
    std::uint8_t counts[kLanes] = {};
    for (int step = 0; step < kMostSteps && end - begin >= kLanes; ++step, begin += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) counts[lane] += begin[lane] == '\n';
    }
    for (const std::uint8_t count : counts) total += count;
  }
  for (; begin != end; ++begin) total += *begin == '\n';
  return total;
}

LineCount mark_lines(std::string_view text, std::int64_t every, std::int64_t seen,
                     std::int64_t* offsets) {
  LineCount count;
  std::int64_t until_mark = every - seen % every;
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    const void* newline = std::memchr(p, '\n', static_cast<std::size_t>(end - p));
    if (newline == nullptr) break;
    p = static_cast<const char*>(newline) + 1;
    ++count.newlines;
    if (--until_mark == 0) {
      offsets[count.marked++] = p - text.data();
      until_mark = every;
    }
  }
  return count;
}

}  // namespace rbmx::text
