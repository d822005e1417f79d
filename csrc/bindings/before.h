// Parameters and moments as they were before a run that trains them where they stand, for one that
// diverges to give back: in memory up to kKept, beyond it in a temporary file, so that large
// machines are not held twice.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "rbmx/kernels.h"

namespace rbmx {
namespace bindings {

class Before {
 public:
  explicit Before(const std::vector<Parameters>& changing) {
    for (const Parameters& p : changing) {
      add(p.weight, p.n_hidden * p.n_visible);
      add(p.visible_bias, p.n_visible);
      add(p.hidden_bias, p.n_hidden);
    }
  }
  Before(const Before&) = delete;
  Before& operator=(const Before&) = delete;
  ~Before() {
    if (file_ >= 0) close(file_);
  }

  // train(): a TrainingReport
  template <class Train>
  TrainingReport run(const Train& train) {
    keep();
    const TrainingReport report = train();
    if (report.outcome == Outcome::diverged && !give_back())
      throw std::runtime_error(
          "weights diverged, and those from before cannot be read back from the temporary file");
    return report;
  }

 private:
  static constexpr std::size_t kKept = std::size_t{4} << 20;

  struct Array {
    char* begin;
    std::size_t bytes;
  };

  void add(float* values, std::int64_t n) {
    if (values != nullptr)
      arrays_.push_back(
          {reinterpret_cast<char*>(values), static_cast<std::size_t>(n) * sizeof(float)});
  }

  // Where no file can hold them, memory does.
  void keep() {
    std::size_t total = 0;
    for (const Array& array : arrays_) total += array.bytes;
    if (total > kKept && write_file()) return;
    memory_.reserve(total);
    for (const Array& array : arrays_)
      memory_.insert(memory_.end(), array.begin, array.begin + array.bytes);
  }

  bool give_back() const {
    const char* from = memory_.data();
    if (file_ >= 0 && lseek(file_, 0, SEEK_SET) != 0) return false;
    for (const Array& array : arrays_) {
      if (file_ < 0) {
        std::memcpy(array.begin, from, array.bytes);
        from += array.bytes;
      } else if (!all_of(array, [&](char* at, std::size_t n) { return read(file_, at, n); })) {
        return false;
      }
    }
    return true;
  }

  // transfer(at, n): bytes moved, of at most n, as read() and write() say it
  template <class Transfer>
  static bool all_of(const Array& array, const Transfer& transfer) {
    for (std::size_t done = 0; done < array.bytes;) {
      const ssize_t moved = transfer(array.begin + done, array.bytes - done);
      if (moved <= 0) return false;
      done += static_cast<std::size_t>(moved);
    }
    return true;
  }

  // A file without a name: it goes with the process.
  bool write_file() {
    const char* folder = std::getenv("TMPDIR");
    std::string path = folder != nullptr && *folder != '\0' ? folder : "/tmp";
    path += "/rbmx-XXXXXX";
    file_ = mkstemp(path.data());
    if (file_ < 0) return false;
    unlink(path.c_str());
    for (const Array& array : arrays_) {
      if (all_of(array, [&](char* at, std::size_t n) { return write(file_, at, n); })) continue;
      close(file_);
      file_ = -1;
      return false;
    }
    return true;
  }

  std::vector<Array> arrays_;
  std::vector<char> memory_;
  int file_ = -1;
};

}  // namespace bindings
}  // namespace rbmx
