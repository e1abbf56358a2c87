// How the process gets its memory.
#pragma once

namespace isnet {

/// Keeps freed memory in the process, and asks for huge pages for large blocks. A step frees and takes
/// gigabytes of tensors; memory that went back to the kernel comes as new pages, each faulted in and zeroed.
/// Call it first in main(): libraries of ours never do. Settings in the environment (MALLOC_…,
/// GLIBC_TUNABLES, THP_MEM_ALLOC_ENABLE) win. Nothing outside glibc.
void keep_freed_memory();

}  // namespace isnet
