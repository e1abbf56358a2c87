// Memory of batches. Freed blocks are kept for the next batch: new memory of the system is faulted in page by
// page and cleared, which takes longer than filling it.
#pragma once

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

namespace isnet {

/// 64-byte aligned. Thread-safe. Errors: std::bad_alloc.
void* take_block(std::size_t bytes);
/// Takes a block of take_block() back, to be kept for the next. Thread-safe.
void give_block_back(void* block) noexcept;

/// Allocates such blocks, and leaves new elements of a vector as they are: their values are anything.
template <typename T>
struct PixelAllocator {
  using value_type = T;
  PixelAllocator() = default;
  template <typename U>
  PixelAllocator(const PixelAllocator<U>&) {}  // NOLINT: allocators convert
  T* allocate(std::size_t count) { return static_cast<T*>(take_block(count * sizeof(T))); }
  void deallocate(T* block, std::size_t) noexcept { give_block_back(block); }
  template <typename U>
  void construct(U* place) {
    ::new (static_cast<void*>(place)) U;
  }
  template <typename U, typename... Arguments>
  void construct(U* place, Arguments&&... arguments) {
    ::new (static_cast<void*>(place)) U(std::forward<Arguments>(arguments)...);
  }
  bool operator==(const PixelAllocator&) const { return true; }
};

/// resize() does not clear.
template <typename T>
using PixelBuffer = std::vector<T, PixelAllocator<T>>;

}  // namespace isnet
