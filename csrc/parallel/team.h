// The one door to OpenMP: a team of threads that runs one function, a static split and a barrier
// that spins briefly and then sleeps. After fork() in a process that already used threads, a team
// is one thread.
#pragma once

#include <cstdint>

namespace rbmx {

struct Range {
  std::int64_t begin;
  std::int64_t end;
};

class Barrier;

// One thread's place in a running team.
struct Member {
  int index;
  int size;
  Barrier* barrier;

  // the index-th of size nearly equal parts of 0 .. n
  __attribute__((always_inline)) Range split(std::int64_t n) const {
    return {n * index / size, n * (index + 1) / size};
  }
  void wait() const;  // until every member has come here
};

class Team {
 public:
  explicit Team(int threads);
  __attribute__((always_inline)) int size() const { return size_; }

  // Calls work(member) on every thread and returns when all have returned. work must not throw.
  template <class Work>
  __attribute__((always_inline)) void run(Work&& work) {
    run_erased([](void* context, const Member& member) { (*static_cast<Work*>(context))(member); },
               const_cast<void*>(static_cast<const void*>(&work)));
  }

 private:
  using Function = void (*)(void* context, const Member& member);
  void run_erased(Function function, void* context);
  int size_;
};

// Threads a team gets when nobody says: RBMX_NUM_THREADS, OMP_NUM_THREADS and the container's share
// cap the processors this process may run on.
int default_threads();

}  // namespace rbmx
