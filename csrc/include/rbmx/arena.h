// Aligned memory for one kernel call: taken before the first step, zeroed, given back together.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rbmx {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // count objects of T, zeroed, 64-byte aligned; throws std::bad_alloc
  template <class T>
  __attribute__((always_inline)) T* take(std::int64_t count) {
    return static_cast<T*>(take_bytes(static_cast<std::size_t>(count), sizeof(T)));
  }

 private:
  void* take_bytes(std::size_t count, std::size_t size);
  struct Block {
    Block* next;
    std::size_t bytes;
  };
  Block* blocks_ = nullptr;
};

}  // namespace rbmx
