#include "parallel/team.h"

#include <omp.h>
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "parallel/floating_point.h"

namespace rbmx {

namespace {

// libgomp's pool does not survive fork(): a child that asks for a second thread hangs. So a child
// of a process that had started a pool stays serial; a child of a fresh process may start its own.
std::atomic<bool> pool_started{false};
std::atomic<bool> pool_lost{false};

void in_child() {
  if (pool_started.load()) pool_lost.store(true);
}

const int guard_installed = pthread_atfork(nullptr, nullptr, in_child);

constexpr int kSpins =
    500;  // about six microseconds; then an idle core can take over a waiting thread

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

class Barrier {
 public:
  void set_size(int size) { size_ = size; }

  void wait() {
    const int turn = turn_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      arrived_.store(0, std::memory_order_relaxed);
      {
        std::lock_guard<std::mutex> lock(mutex_);
        turn_.store(turn + 1, std::memory_order_release);
      }
      if (sleepers_.load() > 0) wake_.notify_all();
      return;
    }
    for (int spin = 0; spin < kSpins; ++spin) {
      if (turn_.load(std::memory_order_acquire) != turn) return;
      relax();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    ++sleepers_;
    wake_.wait(lock, [&] { return turn_.load(std::memory_order_acquire) != turn; });
    --sleepers_;
  }

 private:
  int size_ = 1;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> turn_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
};

void Member::wait() const {
  if (size > 1) barrier->wait();
}

Team::Team(int threads) : size_(pool_lost.load() || threads < 1 ? 1 : threads) {
  static_cast<void>(guard_installed);
}

void Team::run_erased(Function function, void* context) {
  if (size_ == 1) {
    const DefaultFloatingPoint guard;
    Taken taken[kTurns] = {};
    function(context, Member{0, 1, nullptr, taken, 0});
    return;
  }
  pool_started.store(true);
  Barrier barrier;
  const int wanted = size_;
  std::vector<Taken> taken(static_cast<std::size_t>(kTurns * wanted), Taken{0});
#pragma omp parallel num_threads(wanted)
  {
    // The runtime may give fewer threads than asked: the barrier counts those that came.
#pragma omp single
    barrier.set_size(omp_get_num_threads());
    const DefaultFloatingPoint guard;
    function(context,
             Member{omp_get_thread_num(), omp_get_num_threads(), &barrier, taken.data(), 0});
  }
}

}  // namespace rbmx
