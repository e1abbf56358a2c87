// What is said about errors of libraries, and about threads that the system refuses.
#include "base/failure.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <new>
#include <system_error>

#include "base/error.h"
#include "base/threads.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Failure, LibrariesThatGetNoMemoryAreSaidInOurWords) {
  for (const char* text :
       {"[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
        "to allocate 4096 bytes. Error code 12 (Cannot allocate memory)\nframe #0: c10::ThrowEnforceNotMet",
        "could not create a memory object", "could not create a primitive",
        "CUDA out of memory. Tried to allocate 2 GiB", "std::bad_alloc",
        "Storage size calculation overflowed with sizes=[9000000000, 9000000000]",
        "OpenCV(4.6.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 900 bytes"}) {
    const std::runtime_error error(text);
    const Failure failure = failure_of(error);
    EXPECT_THAT(failure.message, StartsWith("out of memory")) << text;
    EXPECT_THAT(failure.message, HasSubstr("try a smaller --batch-size")) << text;
    EXPECT_THAT(failure.message, Not(HasSubstr("\n"))) << text;
    EXPECT_EQ(failure.status, 1);
  }
  EXPECT_THAT(
      failure_of(std::runtime_error("can't allocate memory: you tried to allocate 4096 bytes.")).message,
      HasSubstr("(4096 bytes were asked for at once)"));
  EXPECT_THAT(failure_of(std::bad_alloc()).message, StartsWith("out of memory: "));
  EXPECT_THAT(failure_of(std::length_error("vector")).message, StartsWith("out of memory: "));
  EXPECT_THAT(failure_of(std::system_error(ENOMEM, std::generic_category())).message,
              StartsWith("out of memory: "));
}

TEST(Failure, OurErrorsKeepTheirWordsAndKind) {
  const Error error(ErrorKind::data, "a.h5: out of memory is what it is called");
  EXPECT_EQ(failure_of(error).message, error.what());
  EXPECT_EQ(failure_of(error).status, 3);
}

TEST(Failure, AThreadThatIsRefusedIsSaidWithTheRemedy) {
  const std::system_error error(EAGAIN, std::generic_category());
  EXPECT_THAT(failure_of(error).message, StartsWith("the system does not start another thread: raise"));
  EXPECT_THAT(failure_of(error).message, HasSubstr("ulimit -u"));
}

TEST(Failure, AFileSystemsErrorNamesFileAndCause) {
  const std::filesystem::filesystem_error error("cannot create directories", "/a/b",
                                                std::make_error_code(std::errc::permission_denied));
  EXPECT_EQ(failure_of(error).message, "/a/b: Permission denied");
}

TEST(Threads, WhatTheSystemStartsIsEnough) {
  EXPECT_NO_THROW(require_threads(0));
  EXPECT_NO_THROW(require_threads(8));
}

}  // namespace
}  // namespace isnet
