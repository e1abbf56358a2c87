#include "trainer/batches.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/loader.h"
#include "support/data.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::small_layout;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_data_set;

Batch first_batch(const std::shared_ptr<const SplitReader>& split, const LoaderOptions& options,
                  at::ScalarType dtype, at::Device device = at::kCPU) {
  Loader loader(split, Sampler({.size = split->size(), .batch_size = 6, .shuffle = true}), options);
  loader.start(0);
  return to_batch(std::move(*loader.next()), device, dtype);
}

void expect_equal(const Batch& stored, const Batch& floats) {
  EXPECT_TRUE(stored.images.is_contiguous());
  EXPECT_TRUE(at::equal(stored.images.cpu(), floats.images));
  EXPECT_TRUE(at::equal(stored.masks.cpu(), floats.masks));
  EXPECT_TRUE(at::equal(stored.labels.cpu(), floats.labels));
  EXPECT_TRUE(at::equal(stored.ids, floats.ids));
}

TEST(Batches, ValuesAsStoredBecomeTheSameNumbers) {
  for (const std::int64_t channels : {1, 3}) {
    TemporaryFolder folder;
    auto layout = small_layout();
    layout.channels = channels;
    write_small_data_set(folder.path(), {{"train", 12}}, 3, 5, layout);
    const auto split = DataSet(folder.path()).split("train");
    LoaderOptions stored, doubles;
    stored.as_stored = true;
    doubles.double_precision = true;
    expect_equal(first_batch(split, stored, at::kFloat), first_batch(split, {}, at::kFloat));
    expect_equal(first_batch(split, stored, at::kDouble), first_batch(split, doubles, at::kDouble));
    if (at::hasCUDA())
      expect_equal(first_batch(split, stored, at::kFloat, at::kCUDA), first_batch(split, {}, at::kFloat));
  }
}

}  // namespace
}  // namespace isnet
