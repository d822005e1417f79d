// The monitor of a long call that has released the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <utility>

#include "rbmx/kernels.h"

namespace rbmx {
namespace bindings {

namespace py = pybind11;

// Asked after every minibatch (or the like) by the calling thread; looks at signals and reports
// progress every tenth of a second.
class Watcher {
 public:
  explicit Watcher(py::object progress) : progress_(std::move(progress)) {}

  Monitor monitor() {
    return {
        [](void* self, std::int64_t done) { return static_cast<Watcher*>(self)->keep_going(done); },
        this};
  }
  // what stopped the call, to be raised by the caller once the state is in order
  py::object exception() const { return exception_; }

 private:
  using Clock = std::chrono::steady_clock;

  bool keep_going(std::int64_t done) {
    const Clock::time_point now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(100)) return true;
    last_ = now;
    const py::gil_scoped_acquire acquire;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!progress_.is_none()) progress_(done);
    } catch (const py::error_already_set& error) {
      exception_ = error.value();
      return false;
    }
    return true;
  }

  py::object progress_;
  py::object exception_ = py::none();
  Clock::time_point last_ = Clock::now();
};

}  // namespace bindings
}  // namespace rbmx
