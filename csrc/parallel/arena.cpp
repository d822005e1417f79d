#include "rbmx/arena.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

namespace rbmx {

namespace {
constexpr std::size_t kAlignment = 64;
}

// A block is kAlignment bytes of header (the link), then the memory that take() returned.
void* Arena::take_bytes(std::size_t count, std::size_t size) {
  if (count > (std::numeric_limits<std::size_t>::max() / 2 - 4 * kAlignment) / size) {
    throw std::bad_alloc();
  }
  const std::size_t bytes = (count * size + 2 * kAlignment) / kAlignment * kAlignment + kAlignment;
  void* memory = std::aligned_alloc(kAlignment, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  auto* block = static_cast<Block*>(memory);
  block->next = blocks_;
  blocks_ = block;
  return static_cast<char*>(memory) + kAlignment;
}

Arena::~Arena() {
  while (blocks_ != nullptr) {
    Block* next = blocks_->next;
    std::free(blocks_);
    blocks_ = next;
  }
}

}  // namespace rbmx
