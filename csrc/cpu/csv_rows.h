// Where the values of blocks go: rows of bytes, of floats, or of bits.
//   begin(n_values); zeros() and put(block, count), field by field; finish(n_values)
#pragma once

#include <cstring>

#include "cpu/csv_block.h"
#include "rbmx/bits.h"
#include "rbmx/kernels.h"

namespace rbmx {
namespace RBMX_ISA {

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

// Rows of floats, a row of bytes at a time.
class Floats32 {
 public:
  Floats32(const CsvLines&, const CsvRows& rows) : row_(rows.reals), scratch_(rows.scratch) {}

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

// Rows of bits. For integers 0 .. 255, value > threshold is value > limit; limit is -1 .. 255.
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

}  // namespace RBMX_ISA
}  // namespace rbmx
