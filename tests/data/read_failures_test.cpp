// Files that vanish, shrink, are replaced, or whose reading fails while they are in use.
#include <gmock/gmock.h>
#include <utime.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <thread>

#include "base/files.h"
#include "data/loader.h"
#include "support/data.h"
#include "support/messages.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::capture_messages;
using isnet::testing::captured_messages;
using isnet::testing::data_refusal;
using isnet::testing::refusal;
using isnet::testing::small_layout;
using isnet::testing::small_pixel;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_split;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::int64_t samples = 12, shard_size = 4;

class ReadFailures : public ::testing::Test {
 protected:
  ReadFailures() {
    std::vector<std::filesystem::path> shards;
    for (const auto& entry : write_small_split(folder.path(), "train", samples, 3, shard_size))
      shards.push_back(folder / entry.file);
    split = std::make_shared<SplitReader>("train", shards, std::vector<std::int64_t>(3, shard_size), 3);
  }
  // A sample of the middle shard.
  std::vector<float> read(const ReadRetry& retry = {}, std::int64_t index = shard_size) const {
    const std::int64_t pixels = small_layout().pixels();
    std::vector<float> image(static_cast<std::size_t>(3 * pixels)), mask(static_cast<std::size_t>(pixels));
    split->read(index, image.data(), mask.data(), retry);
    return image;
  }
  static void expect_sample(const std::vector<float>& image, std::int64_t index) {
    for (std::size_t p = 0; p < image.size() / 3; ++p)
      ASSERT_EQ(image[p], static_cast<float>(small_pixel(index, static_cast<std::int64_t>(p))) / 255.0f);
  }
  const std::filesystem::path& middle() const { return split->shards()[1]; }

  TemporaryFolder folder;
  std::shared_ptr<const SplitReader> split;
};

TEST_F(ReadFailures, AnErrorOfTheDeviceThatPassesIsReadOver) {
  for (const int cause : {EIO, ESTALE, ENOENT}) {
    for (const FileCall call : {FileCall::read, FileCall::open, FileCall::status}) {
      // The first failure is one of an open file, which is closed then: the others may meet its opening.
      std::atomic<int> first = 1, left = 3;
      const ScopedFileFault fault([&](FileCall made, const std::filesystem::path& path) {
        if (path != middle()) return 0;
        if (made == FileCall::read && first-- > 0) return EIO;
        return made == call && left-- > 0 ? cause : 0;
      });
      expect_sample(read({.seconds = 30, .cancelled = {}}), shard_size);
      EXPECT_LE(left, 0);
    }
  }
}

TEST_F(ReadFailures, AnErrorOfTheDeviceThatStaysNamesFileSampleAndCause) {
  const ScopedFileFault fault([&](FileCall call, const std::filesystem::path& path) {
    return path == middle() && call == FileCall::read ? EIO : 0;
  });
  capture_messages();
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { read({.seconds = 0.2, .cancelled = {}}); }),
              AllOf(HasSubstr(middle().string() + ": cannot read: Input/output error"),
                    HasSubstr("sample 4 of the split 'train'"), HasSubstr("tried again for 0.2 s"),
                    HasSubstr("--resume last")));
  const std::string said = captured_messages();
  EXPECT_THAT(said, HasSubstr("it is tried again for up to 0.2 s"));
  EXPECT_EQ(said.find("tried again"), said.rfind("tried again")) << "one warning: " << said;
  expect_sample(read({}, 0), 0);  // other shards are as they were
}

TEST_F(ReadFailures, WithoutTimeForItNothingIsTriedAgain) {
  std::atomic<int> reads = 0;
  const ScopedFileFault fault([&](FileCall call, const auto&) {
    reads += call == FileCall::read;
    return call == FileCall::read ? EIO : 0;
  });
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { read(); }), HasSubstr("Input/output error"));
  EXPECT_EQ(reads, 1);
}

TEST_F(ReadFailures, AFileThatIsGoneWhenItIsOpenedAgain) {
  std::filesystem::rename(middle(), folder / "elsewhere");
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { read({.seconds = 0.1, .cancelled = {}}); }),
              HasSubstr("cannot open: No such file or directory"));
  std::thread back([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    std::filesystem::rename(folder / "elsewhere", middle());
  });
  expect_sample(read({.seconds = 30, .cancelled = {}}), shard_size);
  back.join();
}

TEST_F(ReadFailures, AFileThatShrinksWhileItIsOpen) {
  read();
  std::filesystem::resize_file(middle(), 2000);
  EXPECT_THAT(
      data_refusal([&] { read({.seconds = 0.1, .cancelled = {}}); }),
      AllOf(HasSubstr(middle().string() + ": has 2000 bytes, but had "), HasSubstr("put the file back")));
}

TEST_F(ReadFailures, AFileThatIsChangedInPlaceWhileItIsOpen) {
  read();
  {
    std::fstream file(middle(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('x');
  }
  utimbuf long_ago{1000, 1000};  // a change within the resolution of the clock would not be seen
  ASSERT_EQ(::utime(middle().c_str(), &long_ago), 0);
  EXPECT_THAT(data_refusal([&] { read(); }), HasSubstr("was changed or replaced since it was opened first"));
}

TEST_F(ReadFailures, AnotherFileOfTheSameNameSizeAndTime) {
  const auto time = std::filesystem::last_write_time(middle());
  std::filesystem::copy_file(middle(), folder / "copy");
  std::filesystem::rename(folder / "copy", middle());
  std::filesystem::last_write_time(middle(), time);
  EXPECT_THAT(data_refusal([&] { read(); }), HasSubstr("was changed or replaced since it was opened first"));
}

TEST_F(ReadFailures, AnOpenFileThatIsRemovedIsReadToTheEnd) {
  read();
  std::filesystem::remove(middle());
  for (std::int64_t i = 0; i < shard_size; ++i) expect_sample(read({}, shard_size + i), shard_size + i);
}

TEST_F(ReadFailures, ManyThreadsOutliveAPauseTogetherWithOneWarning) {
  std::atomic<bool> failing = true;
  const ScopedFileFault fault([&](FileCall call, const std::filesystem::path& path) {
    return failing && path == middle() && call == FileCall::read ? EIO : 0;
  });
  capture_messages();
  Loader loader(split, Sampler({.size = samples, .batch_size = 2, .shuffle = true}),
                {.workers = 4, .prefetch = 6, .retry_seconds = 60});
  loader.start(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  failing = false;
  std::int64_t seen = 0;
  while (const auto batch = loader.next()) seen += batch->size;
  EXPECT_EQ(seen, samples);
  const std::string said = captured_messages();
  EXPECT_EQ(said.find("it is tried again"), said.rfind("it is tried again")) << said;
}

TEST_F(ReadFailures, ALoaderThatWaitsCanBeDestroyed) {
  const ScopedFileFault fault([](FileCall call, const auto&) { return call == FileCall::read ? EIO : 0; });
  const auto begin = std::chrono::steady_clock::now();
  {
    Loader loader(split, Sampler({.size = samples, .batch_size = 2}), {.workers = 3, .retry_seconds = 1e6});
    loader.start(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::minutes(5));
}

TEST_F(ReadFailures, OpeningAShardReportsTheSystemsReason) {
  for (const FileCall call : {FileCall::open, FileCall::read, FileCall::status}) {
    const ScopedFileFault fault([&](FileCall made, const auto&) { return made == call ? EIO : 0; });
    EXPECT_THAT(refusal(ErrorKind::runtime, [&] { ShardReader reader(middle()); }),
                HasSubstr(middle().string() + ": cannot "))
        << static_cast<int>(call);
  }
}

}  // namespace
}  // namespace isnet
