// ThreadSanitizer does not see how OpenMP's runtime, which is not instrumented, begins and ends its threads'
// work. Here it is told: what was written before a parallel region is seen inside, and what was written
// inside is seen after it.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

namespace {

struct Region {
  void (*work)(void*);
  void* data;
  // Two places, or a thread that begins late would come after one that has already ended.
  char begin, end;
};

void run(void* pointer) {
  auto* region = static_cast<Region*>(pointer);
  __tsan_acquire(&region->begin);
  region->work(region->data);
  __tsan_release(&region->end);
}

}  // namespace

// GCC's code calls it for `#pragma omp parallel`, here before libgomp's.
extern "C" void GOMP_parallel(void (*work)(void*), void* data, unsigned threads, unsigned flags) {
  static const auto next = reinterpret_cast<decltype(&GOMP_parallel)>(dlsym(RTLD_NEXT, "GOMP_parallel"));
  Region region{work, data, 0, 0};
  __tsan_release(&region.begin);
  next(&run, &region, threads, flags);
  __tsan_acquire(&region.end);
}
