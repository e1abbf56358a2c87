// Preloaded into a program (LD_PRELOAD): no more than ISNET_TEST_THREADS threads besides the first live at a
// time; pthread_create fails with EAGAIN for more, as under a limit of processes.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace {

using Routine = void* (*)(void*);

std::atomic<int> alive{0};

void* run(void* told) {
  const auto work = *static_cast<std::pair<Routine, void*>*>(told);
  delete static_cast<std::pair<Routine, void*>*>(told);
  void* result = work.first(work.second);
  --alive;
  return result;
}

}  // namespace

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, Routine routine,
                              void* argument) {
  static const auto next = reinterpret_cast<int (*)(pthread_t*, const pthread_attr_t*, Routine, void*)>(
      ::dlsym(RTLD_NEXT, "pthread_create"));
  static const int most =
      std::getenv("ISNET_TEST_THREADS") ? std::atoi(std::getenv("ISNET_TEST_THREADS")) : 1 << 30;
  if (++alive > most) {
    --alive;
    return EAGAIN;
  }
  auto* told = new std::pair<Routine, void*>(routine, argument);
  const int code = next(thread, attributes, run, told);
  if (code != 0) {
    --alive;
    delete told;
  }
  return code;
}
