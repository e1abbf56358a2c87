#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>

#include "bench/convolutions.h"

namespace isnet::bench {
namespace {

TEST(ConvolutionTime, CountsForwardAndBackwardOnceAndNothingElse) {
  const at::Tensor x = at::rand({2, 16, 64, 64}).requires_grad_();
  const at::Tensor w = at::rand({16, 16, 3, 3}).requires_grad_();
  at::Tensor loss;
  const auto timed = [](const std::function<void()>& action) {
    const auto begin = std::chrono::steady_clock::now();
    const double inside = seconds_in_convolutions(action);
    const std::chrono::duration<double> all = std::chrono::steady_clock::now() - begin;
    EXPECT_LE(inside,
              all.count());  // conv2d calls convolution calls a backend's: three times as much otherwise
    return inside;
  };
  EXPECT_GT(timed([&] { loss = at::conv2d(x, w, {}, {1, 1}, {1, 1}).sum(); }), 0);
  EXPECT_GT(timed([&] { loss.backward(); }), 0);
  EXPECT_EQ(timed([&] { at::relu(x + 1).sum(); }), 0);
}

}  // namespace
}  // namespace isnet::bench
