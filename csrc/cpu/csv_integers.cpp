// out[r][c] = field c of line r, for lines of integers 0 .. 255 of one to three digits: what most
// image files consist of. Ends before the first line that may be anything else, which the portable
// parser (csrc/text/csv.cpp, the reference) then reads from its start.
#include <cstring>

#include "cpu/csv_rows.h"
#include "cpu/table.h"

namespace rbmx {
namespace RBMX_ISA {

#if defined(__AVX2__)

namespace {

// The label of one to three digits at p and the comma behind it; null if it is anything else.
RBMX_INLINE const char* read_label(const char* p, std::int64_t* label) {
  unsigned value = 0;
  for (int n = 0; n < 4; ++n, ++p) {
    const unsigned digit = static_cast<unsigned char>(*p) - unsigned{'0'};
    if (digit > 9) {
      *label = value;
      return n > 0 && *p == ',' ? p + 1 : nullptr;
    }
    value = 10 * value + digit;
  }
  return nullptr;
}

// The integer of one to three digits that ends at p.
RBMX_INLINE std::int64_t label_before(const char* p) {
  std::int64_t label = 0;
  for (int ten = 1; *--p != ','; ten *= 10) label += ten * (*p - '0');
  return label;
}

// The block at p, at the edges of the text in a copy with zeros around it.
struct PaddedBlock {
  char text[3 + kCsvBlock];
  const char* copy(const char* p, const CsvLines& lines) {
    std::memset(text, '0', sizeof text);
    const std::int64_t before = smaller(3, p - lines.begin);
    const std::int64_t bytes = smaller(kCsvBlock, lines.end - p);
    std::memcpy(text + 3 - before, p - before, static_cast<std::size_t>(before + bytes));
    return text + 3;
  }
};

// Reads n fields from p on, the last of which ends the line; the next line, or null on any doubt.
template <class Rows>
RBMX_INLINE const char* read_fields(const char* p, const CsvLines& lines, std::int64_t n,
                                    CsvReader& reader, Rows& rows) {
  constexpr int kZeros = kCsvBlock / 2;
  const char *const least = lines.begin + 3, *const most = lines.end - kCsvBlock;
  PaddedBlock padded;
  CsvShape shape;
  reader.begin();
  for (;;) {
    const char* const text = p >= least && p <= most ? p : padded.copy(p, lines);
    // images are mostly black: a look at zeros where such fields have just been seen
    if (shape.one_digit_fields() && reader.is_zeros(text - shape.open())) {
      if (n <= kZeros) return nullptr;
      rows.zeros();
      n -= kZeros;
      p += kCsvBlock - shape.open();
      shape.before = 0xAAAAAAAAAAAAAAAAu;
      shape.pairs = 0;
      continue;
    }
    const CsvBlock block = reader.read(text, shape.before);
    const std::uint64_t misfits = shape.misfits(block.separators);
    if (ends_line(block)) {
      const std::uint64_t ends = newlines(block), line = ends ^ (ends - 1);  // up to the first
      const int count = __builtin_popcountll(block.separators & line);
      // the byte behind the line may share a pair with its end
      const std::uint64_t odd = misfits & (line << 1 | 1);
      if (count != n || odd != 0 || reader.in_doubt()) return nullptr;
      rows.put(block, count);
      return p + __builtin_popcountll(line);
    }
    const int count = __builtin_popcountll(block.separators);
    if (misfits != 0 || count >= n) return nullptr;
    rows.put(block, count);
    n -= count;
    p += kCsvBlock;
  }
}

template <class Rows>
LinesRead read_lines(const CsvLines& lines, const CsvRows& out) {
  Rows rows(lines, out);
  CsvReader reader;
  LinesRead read{0, lines.begin};
  const std::int64_t n_fields = lines.n_values + (lines.label == CsvLabel::last ? 1 : 0);
  while (read.end != lines.end && read.rows < lines.max_rows) {
    const char* p = read.end;
    if (lines.label == CsvLabel::first) p = read_label(p, out.labels + read.rows);
    if (p == nullptr) break;
    rows.begin(lines.n_values);
    p = read_fields(p, lines, n_fields, reader, rows);
    if (p == nullptr) break;
    if (lines.label == CsvLabel::last) out.labels[read.rows] = label_before(p - 1);
    rows.finish(lines.n_values);
    ++read.rows;
    read.end = p;
  }
  return read;
}

}  // namespace

LinesRead csv_integers(const CsvLines& lines, const CsvRows& rows) {
  if (rows.bytes != nullptr) return read_lines<Bytes>(lines, rows);
  if (rows.reals != nullptr) return read_lines<Floats32>(lines, rows);
  return read_lines<PackedWords>(lines, rows);
}

#else

LinesRead csv_integers(const CsvLines& lines, const CsvRows&) { return {0, lines.begin}; }

#endif

}  // namespace RBMX_ISA
}  // namespace rbmx
