#include "base/memory.h"

#include <malloc.h>

#include <cstdlib>
#include <initializer_list>

namespace isnet {

void keep_freed_memory() {
  setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0);  // torch's allocator reads it
#if defined(__GLIBC__)
  for (const char* own : {"GLIBC_TUNABLES", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"})
    if (std::getenv(own)) return;
  mallopt(M_MMAP_MAX, 0);                 // no block of its own from the kernel, given back when freed
  mallopt(M_TRIM_THRESHOLD, 0x7fffffff);  // the heap's end stays
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace isnet
