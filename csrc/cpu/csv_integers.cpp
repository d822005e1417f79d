// out[r][c] = field c of line r, for lines of integers 0 .. 255 of one to three digits: what most
// image files consist of. Ends before the first line that may be anything else, which the portable
// parser (csrc/text/csv.cpp, the reference) then reads from its start.
#include <cstring>

#include "cpu/csv_block.h"
#include "cpu/table.h"
#include "rbmx/bits.h"

namespace rbmx {
namespace RBMX_ISA {

#if defined(__AVX2__)

namespace {

// Rows of bytes, written in place as long as what compact() writes too much falls into later rows.
class Bytes {
 public:
  Bytes(const CsvLines& lines, const CsvRows& rows)
      : row_(rows.bytes),
        end_(rows.bytes + lines.max_rows * lines.n_values),
        scratch_(rows.scratch) {}

  RBMX_ALWAYS_INLINE void begin(std::int64_t n_values) {
    out_ = start_ = end_ - row_ >= n_values + kCsvSlack ? row_ : scratch_;
  }
  RBMX_ALWAYS_INLINE void zeros() {
    store(out_, __m256i{});
    out_ += kCsvBlock / 2;
  }
  RBMX_ALWAYS_INLINE void put(const CsvBlock& block, int count) {
    compact(block, out_);
    out_ += count;
  }
  RBMX_ALWAYS_INLINE void finish(std::int64_t n_values) {
    if (start_ != row_) std::memcpy(row_, start_, static_cast<std::size_t>(n_values));
    row_ += n_values;
  }

 private:
  std::uint8_t* row_;
  std::uint8_t* end_;
  std::uint8_t* scratch_;
  std::uint8_t* start_ = nullptr;
  std::uint8_t* out_ = nullptr;
};

class Wide {
 public:
  Wide(const CsvLines&, const CsvRows& rows) : row_(rows.reals), scratch_(rows.scratch) {}

  RBMX_ALWAYS_INLINE void begin(std::int64_t) { out_ = scratch_; }
  RBMX_ALWAYS_INLINE void zeros() {
    store(out_, __m256i{});
    out_ += kCsvBlock / 2;
  }
  RBMX_ALWAYS_INLINE void put(const CsvBlock& block, int count) {
    compact(block, out_);
    out_ += count;
  }
  RBMX_ALWAYS_INLINE void finish(std::int64_t n_values) {
    for (std::int64_t i = 0; i < n_values; ++i) row_[i] = scratch_[i];
    row_ += n_values;
  }

 private:
  float* row_;
  std::uint8_t* scratch_;
  std::uint8_t* out_ = nullptr;
};

// For integers 0 .. 255, value > threshold is value > limit; limit is -1 .. 255.
RBMX_INLINE int limit_of(double threshold) {
  return threshold < 0.0 ? -1 : threshold >= 255.0 ? 255 : static_cast<int>(threshold);
}

class PackedWords {
 public:
  PackedWords(const CsvLines& lines, const CsvRows& rows)
      : row_(rows.words),
        scratch_(rows.scratch),
        limit_(limit_of(rows.threshold)),
        zeros_(limit_ < 0 ? 0xffffffffu : 0),
        tail_(lines.n_values % 64 == 0 ? ~std::uint64_t{0}
                                       : (std::uint64_t{1} << lines.n_values % 64) - 1) {}

  RBMX_ALWAYS_INLINE void begin(std::int64_t) {
    filled_ = 0;
    open_ = 0;
  }
  RBMX_ALWAYS_INLINE void zeros() { append(zeros_, kCsvBlock / 2); }
  RBMX_ALWAYS_INLINE void put(const CsvBlock& block, int count) {
    append(above(block, limit_), count);
  }
  RBMX_ALWAYS_INLINE void finish(std::int64_t n_values) {
    const std::int64_t n_words = words_for(n_values);
    std::memcpy(row_, scratch_, static_cast<std::size_t>(n_words) * 8);
    row_ += n_words;
    row_[-1] &= tail_;
  }

 private:
  // Whole words are stored at the byte that is being filled: no branch on what is full.
  RBMX_ALWAYS_INLINE void append(std::uint64_t bits, int count) {
    open_ |= bits << (filled_ & 7);
    store(scratch_ + (filled_ >> 3), open_);
    const std::int64_t before = filled_ >> 3;
    filled_ += count;
    open_ >>= 8 * ((filled_ >> 3) - before);
  }

  std::uint64_t* row_;
  std::uint8_t* scratch_;
  int limit_;
  std::uint64_t zeros_;  // the bits of kCsvBlock / 2 zeros
  std::uint64_t tail_;
  std::int64_t filled_ = 0;  // bits of the row so far
  std::uint64_t open_ = 0;   // those of the byte that is not full
};

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

// Reads n fields, the last of which ends the line; the start of the next line, or null on any
// doubt.
template <class Rows>
RBMX_INLINE const char* read_fields(const char* p, const char* end, std::int64_t n, Rows& rows) {
  CsvDoubt doubt;
  for (;;) {
    char last[kCsvBlock];
    const char* text = p;
    if (end - p < kCsvBlock) {
      std::memset(last, '0', sizeof last);
      std::memcpy(last, p, static_cast<std::size_t>(end - p));
      text = last;
    }
    constexpr int kZeros = kCsvBlock / 2;
    if (is_zeros(text)) {
      if (n <= kZeros) return nullptr;
      rows.zeros();
      n -= kZeros;
      p += kCsvBlock;
      continue;
    }
    const CsvBlock block = read_block(text, doubt);
    if (misshapen(block.separators) != 0) return nullptr;
    if (block.newlines != 0) {
      const std::uint64_t line = block.newlines ^ (block.newlines - 1);  // up to the first one
      const int count = __builtin_popcountll(block.separators & line);
      if (count != n || doubt.any()) return nullptr;
      rows.put(block, count);
      return p + __builtin_popcountll(line);
    }
    const int count = __builtin_popcountll(block.separators);
    if (count == 0 || count >= n) return nullptr;
    rows.put(block, count);
    n -= count;
    p += kCsvBlock - __builtin_clzll(block.separators);
  }
}

template <class Rows>
LinesRead read_lines(const CsvLines& lines, const CsvRows& out) {
  Rows rows(lines, out);
  LinesRead read{0, lines.begin};
  const std::int64_t n_fields = lines.n_values + (lines.label == CsvLabel::last ? 1 : 0);
  while (read.end != lines.end && read.rows < lines.max_rows) {
    const char* p = read.end;
    if (lines.label == CsvLabel::first) p = read_label(p, out.labels + read.rows);
    if (p == nullptr) break;
    rows.begin(lines.n_values);
    p = read_fields(p, lines.end, n_fields, rows);
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
  if (rows.reals != nullptr) return read_lines<Wide>(lines, rows);
  return read_lines<PackedWords>(lines, rows);
}

#else

LinesRead csv_integers(const CsvLines& lines, const CsvRows&) { return {0, lines.begin}; }

#endif

}  // namespace RBMX_ISA
}  // namespace rbmx
