#include "data/pixel_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

namespace isnet {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t kept_blocks = 32;
constexpr std::size_t kept_bytes = std::size_t{2} << 30;

// In front of each block; as long as the alignment.
struct alignas(alignment) Header {
  std::size_t bytes;
};

struct Pool {
  std::mutex mutex;
  std::vector<Header*> free;  // the longest unused first
  std::size_t bytes = 0;
};

Pool& pool() {
  static Pool* const never_destroyed = new Pool;  // vectors may outlive everything static
  return *never_destroyed;
}

}  // namespace

void* take_block(std::size_t bytes) {
  Pool& p = pool();
  {
    const std::lock_guard lock(p.mutex);
    const auto fits = [&](const Header* header) {
      return header->bytes >= bytes && header->bytes / 2 <= bytes;
    };
    const auto found = std::find_if(p.free.rbegin(), p.free.rend(), fits);
    if (found != p.free.rend()) {
      Header* const header = *found;
      p.free.erase(std::next(found).base());
      p.bytes -= header->bytes;
      return header + 1;
    }
  }
  // Large blocks are whole huge pages: ordinary ones have more addresses than the processor keeps at hand.
  const std::size_t unit = bytes < huge_page ? alignment : huge_page;
  const std::size_t total = (sizeof(Header) + bytes + unit - 1) / unit * unit;
  void* const memory = total < bytes ? nullptr : std::aligned_alloc(unit, total);
  if (!memory) throw std::bad_alloc();
  if (unit == huge_page) ::madvise(memory, total, MADV_HUGEPAGE);  // where the system has them
  return new (memory) Header{total - sizeof(Header)} + 1;
}

void give_block_back(void* block) noexcept {
  Pool& p = pool();
  Header* const header = static_cast<Header*>(block) - 1;
  const std::lock_guard lock(p.mutex);
  if (header->bytes > kept_bytes / 2) return std::free(header);
  try {
    p.free.push_back(header);
  } catch (const std::bad_alloc&) {
    return std::free(header);
  }
  p.bytes += header->bytes;
  while (p.free.size() > kept_blocks || p.bytes > kept_bytes) {
    p.bytes -= p.free.front()->bytes;
    std::free(p.free.front());
    p.free.erase(p.free.begin());
  }
}

}  // namespace isnet
