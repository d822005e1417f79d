// offsets[j] = byte offset behind the j-th of every `every`-th newline: the index of a text file.
#include "text/lines.h"

#include <cstddef>
#include <cstring>

namespace rbmx::text {

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
