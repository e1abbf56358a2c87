#include "data/loader.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "support/data.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::refusal;
using isnet::testing::small_layout;
using isnet::testing::small_mask;
using isnet::testing::small_pixel;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_data_set;
using ::testing::AllOf;
using ::testing::HasSubstr;

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() {
    write_small_data_set(folder.path(), {{"train", 50}}, 3, 8);  // seven shards
    split = DataSet(folder.path()).split("train");
  }
  Sampler sampler(LastBatch last = LastBatch::short_) const {
    return Sampler(
        {.size = 50, .batch_size = 4, .shuffle = true, .seed = 1, .world = 2, .rank = 1, .last_batch = last});
  }
  static std::vector<HostBatch> rest(Loader& loader) {
    std::vector<HostBatch> batches;
    while (auto batch = loader.next()) batches.push_back(std::move(*batch));
    return batches;
  }

  TemporaryFolder folder;
  std::shared_ptr<const SplitReader> split;
};

void expect_equal(const std::vector<HostBatch>& a, const std::vector<HostBatch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].step, b[i].step);
    EXPECT_EQ(a[i].ids, b[i].ids);
    EXPECT_EQ(a[i].images, b[i].images);
    EXPECT_EQ(a[i].masks, b[i].masks);
    EXPECT_EQ(a[i].labels, b[i].labels);
    EXPECT_EQ(a[i].counted, b[i].counted);
  }
}

TEST_F(LoaderTest, TakesTheSharesOfAsManyBatchesAsItMay) {
  // Batches of 4 in 2 shares; 3 of them are 6 shares: 2 passes of 4 ranks, of which the last two end with
  // none.
  for (const std::int64_t rank : {1, 2}) {
    const Sampler sampler(
        {.size = 50, .batch_size = 2, .shuffle = true, .seed = 1, .world = 4, .rank = rank, .shares = 2});
    Loader loader(split, sampler, {.limit = 3});
    EXPECT_EQ(loader.passes_per_epoch(), 2);
    loader.start(2);
    const auto batches = rest(loader);
    ASSERT_EQ(batches.size(), 2u);
    EXPECT_EQ(batches[0].ids, sampler.plan(2, 0).ids);
    EXPECT_EQ(batches[1].size, rank == 1 ? 2 : 0);
    EXPECT_EQ(batches[1].step, rank == 1 ? 2 : 3);
    loader.start(2, 1);
    expect_equal(rest(loader), {batches.begin() + 1, batches.end()});
  }
}

TEST_F(LoaderTest, BatchesHoldThePlannedSamplesInOrder) {
  Loader loader(split, sampler(LastBatch::pad));
  loader.start(3);
  const auto batches = rest(loader);
  ASSERT_EQ(batches.size(), 7u);
  const std::int64_t pixels = small_layout().pixels();
  for (std::size_t step = 0; step < batches.size(); ++step) {
    const auto& batch = batches[step];
    const auto plan = sampler(LastBatch::pad).plan(3, static_cast<std::int64_t>(step));
    EXPECT_EQ(batch.ids, plan.ids);
    EXPECT_EQ(batch.counted, plan.counted);
    EXPECT_EQ(batch.epoch, 3u);
    EXPECT_EQ(batch.step, static_cast<std::int64_t>(step));
    ASSERT_EQ(batch.images.size(), static_cast<std::size_t>(batch.size * 3 * pixels));
    for (std::int64_t i = 0; i < batch.size; ++i) {
      const auto id = batch.ids[static_cast<std::size_t>(i)];
      EXPECT_EQ(batch.labels[static_cast<std::size_t>(i)], id % 3);
      for (std::int64_t p = 0; p < pixels; ++p) {
        const float grey = small_pixel(id, p) / 255.0f;
        for (int channel = 0; channel < 3; ++channel)
          ASSERT_EQ(batch.images[static_cast<std::size_t>((i * 3 + channel) * pixels + p)], grey);
        ASSERT_EQ(batch.masks[static_cast<std::size_t>(i * pixels + p)], small_mask(p, pixels) / 255.0f);
      }
    }
  }
}

TEST_F(LoaderTest, ResultsDoNotDependOnTheNumberOfWorkers) {
  Loader one(split, sampler());
  one.start(0);
  const auto expected = rest(one);
  for (const int workers : {2, 5}) {
    Loader many(split, sampler(), {.workers = workers, .prefetch = 3});
    many.start(0);
    expect_equal(rest(many), expected);
  }
}

TEST_F(LoaderTest, AStartInTheMiddleEqualsSkippingToThere) {
  Loader whole(split, sampler());
  whole.start(5);
  auto expected = rest(whole);
  expected.erase(expected.begin(), expected.begin() + 4);
  Loader resumed(split, sampler(), {.workers = 2});
  resumed.start(5, 4);
  expect_equal(rest(resumed), expected);
}

TEST_F(LoaderTest, ANewStartDropsWhatWasReadAhead) {
  Loader loader(split, sampler(), {.workers = 3, .prefetch = 4});
  for (std::uint64_t epoch = 0; epoch < 100; ++epoch) {
    loader.start(epoch + 1000);
    ASSERT_TRUE(loader.next());
    loader.start(epoch);  // workers are in the middle of later steps of the other epoch
    const auto batches = rest(loader);
    ASSERT_EQ(batches.size(), 7u);
    for (const auto& batch : batches) {
      ASSERT_EQ(batch.epoch, epoch);
      ASSERT_EQ(batch.ids, sampler().plan(epoch, batch.step).ids);
    }
  }
}

TEST_F(LoaderTest, ItCanBeDestroyedAtAnyTime) {
  for (int taken = 0; taken < 4; ++taken) {
    Loader loader(split, sampler(), {.workers = 3, .prefetch = 2});
    loader.start(0);
    for (int i = 0; i < taken; ++i) EXPECT_TRUE(loader.next());
    if (taken % 2) std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the queue is full then
  }
  const Loader never_started(split, sampler());
}

TEST_F(LoaderTest, BeforeAStartAndAfterTheEndThereIsNoBatch) {
  Loader loader(split, sampler());
  EXPECT_FALSE(loader.next());
  loader.start(0, 6);
  EXPECT_TRUE(loader.next());
  EXPECT_FALSE(loader.next());
  EXPECT_FALSE(loader.next());
}

TEST_F(LoaderTest, ALimitEndsTheEpochEarlier) {
  Loader loader(split, sampler(), {.limit = 2});
  EXPECT_EQ(loader.steps_per_epoch(), 2);
  loader.start(0);
  EXPECT_EQ(rest(loader).size(), 2u);
}

TEST_F(LoaderTest, ARankWithoutAShareOfAShortBatchGetsAnEmptyOne) {
  const Sampler last({.size = 50,
                      .batch_size = 7,
                      .shuffle = false,
                      .seed = 0,
                      .world = 7,
                      .rank = 3,
                      .last_batch = LastBatch::short_});
  Loader loader(split, last);
  loader.start(0, 1);
  const auto batch = loader.next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->size, 0);
  EXPECT_TRUE(batch->images.empty());
}

TEST_F(LoaderTest, DoublePrecisionIsExact) {
  Loader loader(split, sampler(), {.double_precision = true});
  loader.start(0);
  const auto batch = loader.next();
  EXPECT_TRUE(batch->images.empty());
  EXPECT_EQ(batch->images64.at(1), small_pixel(batch->ids[0], 1) / 255.0);
  EXPECT_EQ(batch->masks64.at(0), 1.0);
}

TEST_F(LoaderTest, AnErrorOfAWorkerArrivesInNextWithItsMessage) {
  // The shard goes away after it was checked.
  Loader loader(split, sampler(), {.workers = 3, .retry_seconds = 0});
  for (const auto& shard : split->shards()) std::filesystem::remove(shard);
  loader.start(0);
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { loader.next(); }),
              AllOf(HasSubstr(".h5: cannot open: No such file"), HasSubstr("of the split 'train'")));
  EXPECT_FALSE(loader.next());
}

TEST_F(LoaderTest, BytesAsStoredMeanTheFloats) {
  Loader floats(split, sampler()), stored(split, sampler(), {.workers = 2, .as_stored = true});
  floats.start(2);
  stored.start(2);
  const auto expected = rest(floats), batches = rest(stored);
  ASSERT_EQ(batches.size(), expected.size());
  for (std::size_t step = 0; step < batches.size(); ++step) {
    const auto& batch = batches[step];
    EXPECT_TRUE(batch.images.empty() && batch.masks.empty());
    EXPECT_EQ(batch.ids, expected[step].ids);
    ASSERT_EQ(batch.stored_channels, 1);
    const auto pixels = static_cast<std::size_t>(batch.height * batch.width);
    ASSERT_EQ(batch.images8.size(), static_cast<std::size_t>(batch.size) * pixels);
    for (std::size_t i = 0; i < expected[step].images.size(); ++i)
      ASSERT_EQ(batch.images8[i / (3 * pixels) * pixels + i % pixels] / 255.0f, expected[step].images[i]);
    ASSERT_EQ(batch.masks8.size(), expected[step].masks.size());
    for (std::size_t i = 0; i < batch.masks8.size(); ++i)
      ASSERT_EQ(batch.masks8[i] / 255.0f, expected[step].masks[i]);
  }
}

TEST_F(LoaderTest, BatchesAheadAreBoundedInBytes) {
  const std::int64_t batch = 4 * (3 + 1) * small_layout().pixels() * 4;  // samples, channels, pixels, float
  const auto ahead = [&](std::int64_t bytes, bool doubles = false, bool stored = false) {
    return Loader(split, sampler(),
                  {.prefetch = 5, .prefetch_bytes = bytes, .double_precision = doubles, .as_stored = stored})
        .batches_ahead();
  };
  EXPECT_EQ(ahead(100 * batch), 5);
  EXPECT_EQ(ahead(3 * batch), 3);
  EXPECT_EQ(ahead(3 * batch, true), 1);
  EXPECT_EQ(ahead(batch / 2), 1);
  EXPECT_EQ(ahead(batch, false, true), 5);
  // However many workers there are, no more batches are read than that.
  Loader loader(split, sampler(), {.workers = 4, .prefetch = 4, .prefetch_bytes = batch});
  loader.start(0);
  EXPECT_EQ(rest(loader).size(), static_cast<std::size_t>(loader.steps_per_epoch()));
}

TEST_F(LoaderTest, MemoryOfABatchIsTakenForLaterOnes) {
  Loader loader(split, sampler(), {.workers = 1, .prefetch = 1});
  std::set<const float*> places;
  for (std::uint64_t epoch = 0; epoch < 30; ++epoch) {
    loader.start(epoch);
    while (const auto each = loader.next()) places.insert(each->images.data());
  }
  EXPECT_LT(places.size(), 20u);  // of 210 batches
}

}  // namespace
}  // namespace isnet
