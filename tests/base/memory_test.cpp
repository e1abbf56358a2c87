// Memory that was freed comes back without page faults.
#include "base/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <memory>

namespace isnet {
namespace {

// Sanitizers have an allocator of their own.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

constexpr std::size_t size = std::size_t{96} << 20, page = 4096;

long faults_of_writing() {
  const auto faults = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  const long before = faults();
  const std::unique_ptr<char, decltype(&std::free)> block(static_cast<char*>(std::malloc(size)), &std::free);
  for (std::size_t i = 0; i < size; i += page) *const_cast<volatile char*>(block.get() + i) = 1;
  return faults() - before;
}

TEST(Memory, ThatWasFreedStaysWithTheProcess) {
  faults_of_writing();
  const long given_back = faults_of_writing();
  EXPECT_GT(given_back, 20);  // pages, or huge pages, each time anew
  keep_freed_memory();
  faults_of_writing();
  EXPECT_LT(faults_of_writing(), given_back / 4);
}

#endif

}  // namespace
}  // namespace isnet
