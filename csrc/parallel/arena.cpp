#include "rbmx/arena.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

namespace rbmx {

namespace {

constexpr std::size_t kAlignment = 64;
// From this size on a block has pages of its own: the system zeroes them when they are touched and
// has them back at the end of the call, while the heap would keep them.
constexpr std::size_t kPages = std::size_t{4} << 20;

void* take_memory(std::size_t bytes) {
  if (bytes >= kPages) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
  }
  void* memory = std::aligned_alloc(kAlignment, bytes);
  if (memory != nullptr) std::memset(memory, 0, bytes);
  return memory;
}

}  // namespace

// A block is kAlignment bytes of header, then the memory that take() returned.
void* Arena::take_bytes(std::size_t count, std::size_t size) {
  if (count > (std::numeric_limits<std::size_t>::max() / 2 - 4 * kAlignment) / size) {
    throw std::bad_alloc();
  }
  const std::size_t bytes = (count * size + 2 * kAlignment) / kAlignment * kAlignment + kAlignment;
  void* memory = take_memory(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  auto* block = static_cast<Block*>(memory);
  *block = {blocks_, bytes};
  blocks_ = block;
  return static_cast<char*>(memory) + kAlignment;
}

Arena::~Arena() {
  while (blocks_ != nullptr) {
    const Block block = *blocks_;
    if (block.bytes >= kPages) {
      munmap(blocks_, block.bytes);
    } else {
      std::free(blocks_);
    }
    blocks_ = block.next;
  }
}

}  // namespace rbmx
