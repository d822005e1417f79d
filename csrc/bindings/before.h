// Parameters and moments as they were before a run that trains them where they stand, for one that
// diverges to give back: in memory up to kMostInMemory, beyond it in a temporary file, so that
// large machines are not held twice.
#pragma once

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
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
  // Under the GIL, for the environment's sake.
  explicit Before(const std::vector<Parameters>& changing) {
    const char* folder = std::getenv("TMPDIR");
    folder_ = folder != nullptr && *folder != '\0' ? folder : "/tmp";
    for (const Parameters& p : changing) {
      add(p.weight, p.n_hidden * p.n_visible);
      add(p.visible_bias, p.n_visible);
      add(p.hidden_bias, p.n_hidden);
    }
  }
  Before(const Before&) = delete;
  Before& operator=(const Before&) = delete;
  ~Before() { drop_file(); }

  // train(): a TrainingReport
  template <class Train>
  TrainingReport run(const Train& train) {
    keep();
    const TrainingReport report = train();
    if (report.outcome == Outcome::diverged && !give_back())
      throw std::runtime_error(
          "weights diverged, and those from before cannot be read back from the temporary file: "
          "parameters and moments are not usable any more");
    drop_file();
    return report;
  }

 private:
  static constexpr std::size_t kMostInMemory = std::size_t{4} << 20;

  struct Kept {
    char* begin;
    std::size_t bytes;
  };

  void add(float* values, std::int64_t n) {
    if (values != nullptr)
      kept_.push_back(
          {reinterpret_cast<char*>(values), static_cast<std::size_t>(n) * sizeof(float)});
  }

  // Where no file can hold them, memory does.
  void keep() {
    std::size_t total = 0;
    for (const Kept& kept : kept_) total += kept.bytes;
    if (total > kMostInMemory && write_file()) return;
    memory_.reserve(total);
    for (const Kept& kept : kept_)
      memory_.insert(memory_.end(), kept.begin, kept.begin + kept.bytes);
  }

  bool give_back() const {
    const char* from = memory_.data();
    if (file_ >= 0 && lseek(file_, 0, SEEK_SET) != 0) return false;
    for (const Kept& kept : kept_) {
      if (file_ < 0) {
        std::memcpy(kept.begin, from, kept.bytes);
        from += kept.bytes;
      } else if (!all_of(kept, [&](char* at, std::size_t n) { return read(file_, at, n); })) {
        return false;
      }
    }
    return true;
  }

  // transfer(at, n): bytes moved, of at most n, as read() and write() say it
  template <class Transfer>
  static bool all_of(const Kept& kept, const Transfer& transfer) {
    for (std::size_t done = 0; done < kept.bytes;) {
      const ssize_t moved = transfer(kept.begin + done, kept.bytes - done);
      if (moved > 0) {
        done += static_cast<std::size_t>(moved);
      } else if (moved == 0 || errno != EINTR) {
        return false;
      }
    }
    return true;
  }

  // A file without a name: it goes with the process.
  bool write_file() {
    std::string path = folder_ + "/rbmx-XXXXXX";
    file_ = mkostemp(path.data(), O_CLOEXEC);
    if (file_ < 0) return false;
    unlink(path.c_str());
    for (const Kept& kept : kept_) {
      if (all_of(kept, [&](char* at, std::size_t n) { return write(file_, at, n); })) continue;
      drop_file();
      return false;
    }
    return true;
  }

  void drop_file() {
    if (file_ >= 0) close(file_);
    file_ = -1;
  }

  std::vector<Kept> kept_;
  std::vector<char> memory_;
  std::string folder_;
  int file_ = -1;
};

}  // namespace bindings
}  // namespace rbmx
