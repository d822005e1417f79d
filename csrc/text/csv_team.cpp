// parse_csv by a team: the text is cut at line ends, and each part's lines are counted first, so
// that its rows go straight to their place.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "parallel/team.h"
#include "text/csv.h"
#include "text/lines.h"

namespace rbmx::text {
namespace {

constexpr std::int64_t kPartsPerMember = 4;  // so that a slow member does not hold up the others
constexpr std::int64_t kMaxParts = 256;

// The start of the first line at or behind byte size * part / n_parts.
const char* start_of(std::int64_t part, std::int64_t n_parts, const CsvLines& lines) {
  if (part == 0) return lines.begin;
  if (part == n_parts) return lines.end;
  const char* const cut = lines.begin + (lines.end - lines.begin) / n_parts * part - 1;
  const void* newline = std::memchr(cut, '\n', static_cast<std::size_t>(lines.end - cut));
  return static_cast<const char*>(newline) + 1;
}

}  // namespace

CsvProgress parse_csv(Team& team, const CsvLines& lines, const CsvRows& rows,
                      const KernelTable& kernels, std::uint8_t* scratch) {
  const std::int64_t n_parts =
      team.size() == 1 ? 1 : std::min(kMaxParts, kPartsPerMember * team.size());
  if (n_parts == 1 || lines.end - lines.begin < n_parts) {
    CsvRows all = rows;
    all.scratch = scratch;
    CsvProgress progress;
    team.run([&](const Member& member) {
      if (member.index == 0) progress = parse_csv(lines, all, kernels);
    });
    return progress;
  }
  std::array<std::int64_t, kMaxParts> counts;
  std::array<CsvProgress, kMaxParts> found;
  team.run([&](const Member& member) {
    member.share(n_parts, [&](std::int64_t part) {
      counts[part] =
          count_lines(start_of(part, n_parts, lines), start_of(part + 1, n_parts, lines));
    });
    member.wait();
    member.share(n_parts, [&](std::int64_t part) {
      std::int64_t row = 0;
      for (std::int64_t before = 0; before < part; ++before) row += counts[before];
      CsvLines own = lines;
      own.begin = start_of(part, n_parts, lines);
      own.end = start_of(part + 1, n_parts, lines);
      row = std::min(row, lines.max_rows);
      // no more than its own: what a kernel writes too much stays within them
      own.max_rows = std::min(counts[part], lines.max_rows - row);
      CsvRows out = rows_from(rows, lines.n_values, row);
      out.scratch = scratch + csv_scratch(lines.n_values) * member.index;
      found[part] = parse_csv(own, out, kernels);
    });
  });
  // What a serial parse reports: all rows up to the first part that ended early.
  CsvProgress progress;
  for (std::int64_t part = 0; part < n_parts; ++part) {
    const std::int64_t offset = start_of(part, n_parts, lines) - lines.begin;
    const std::int64_t rows_before = progress.rows;
    progress = found[part];
    progress.rows += rows_before;
    progress.end += offset;
    if (progress.fault != CsvFault::kNone) {
      progress.field += offset;
      progress.field_end += offset;
      progress.next_line += offset;
    }
    if (found[part].rows < counts[part]) break;
  }
  return progress;
}

}  // namespace rbmx::text
