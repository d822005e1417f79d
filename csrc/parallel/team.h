// The one door to OpenMP: a team of threads that runs one function, a static split, a shared one,
// and a barrier that spins briefly and then sleeps. After fork() in a process that already used
// threads, a team is one thread.
#pragma once

#include <cstdint>

namespace rbmx {

struct Range {
  std::int64_t begin;
  std::int64_t end;
};

class Barrier;

// How many items of a member's part are taken; a cache line each.
struct alignas(64) Taken {
  std::int64_t items;
};
inline constexpr int kTurns = 4;

// One thread's place in a running team.
struct Member {
  int index;
  int size;
  Barrier* barrier;
  Taken* taken;      // (kTurns, size), zero at first
  mutable int turn;  // how often share() was called

  // the index-th of size nearly equal parts of 0 .. n
  __attribute__((always_inline)) Range split(std::int64_t n) const {
    return {n * index / size, n * (index + 1) / size};
  }
  void wait() const;  // until every member has come here

  // Calls work(item) for every item of 0 .. n on some member: each takes its own part in order,
  // then what others have left of theirs, so that a member the machine holds up holds up nobody.
  // All members call it together, with a wait() between two calls. Which member does an item must
  // not matter to the result.
  template <class Work>
  __attribute__((always_inline)) void share(std::int64_t n, Work&& work) const {
    Taken* const now = taken + turn % kTurns * size;
    // nobody is two calls ahead or behind
    __atomic_store_n(&taken[(turn + 2) % kTurns * size + index].items, 0, __ATOMIC_RELAXED);
    ++turn;
    for (int k = 0; k < size; ++k) {
      const int owner = (index + k) % size;
      const std::int64_t begin = n * owner / size, end = n * (owner + 1) / size;
      for (;;) {
        const std::int64_t item =
            begin + __atomic_fetch_add(&now[owner].items, 1, __ATOMIC_RELAXED);
        if (item >= end) break;
        work(item);
      }
    }
  }
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
