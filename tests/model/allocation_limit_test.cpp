#include "model/allocation_limit.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <thread>

namespace isnet {
namespace {

TEST(AllocationLimit, LetsANetworkOfTheTensorsSizeBeMadeAndConverted) {
  const NamedTensors tensors{{"weight", at::zeros({1000, 1000}, at::kHalf)}};
  const AllocationLimit limit(allowance_for(tensors));
  at::Tensor made = at::empty({1000, 1000});
  made.normal_();
  EXPECT_EQ(made.to(at::kDouble).numel(), 1'000'000);
}

TEST(AllocationLimit, RefusesWhatIsLargerBeforeItIsThere) {
  const AllocationLimit limit(allowance_for({}));
  EXPECT_THROW(at::empty({1'000'000'000}), AllowanceExceeded);
  EXPECT_NO_THROW(at::empty({1000}));
}

TEST(AllocationLimit, RefusesTooManySmallTensors) {
  const AllocationLimit limit({1 << 20, 10});
  for (int i = 0; i < 10; ++i) at::empty({1});
  EXPECT_THROW(at::empty({1}), AllowanceExceeded);
}

TEST(AllocationLimit, EndsWithItsScopeAndConcernsNoOtherThread) {
  {
    const AllocationLimit limit({0, 0});
    bool made = false;
    std::thread([&] { made = at::empty({1 << 20}).numel() == 1 << 20; }).join();
    EXPECT_TRUE(made);
  }
  EXPECT_NO_THROW(at::empty({1 << 20}));
}

}  // namespace
}  // namespace isnet
