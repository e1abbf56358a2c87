// Work by counting, against counts by hand.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bench/multiply_adds.h"

namespace isnet::bench {
namespace {

TEST(MultiplyAdds, OfConvolutionsAreThoseOfTheirPlacesAndWeights) {
  const at::Tensor x = at::rand({2, 6, 9, 8}), w = at::rand({4, 3, 3, 3});
  // Two groups, stride 2, padding 1: 5×4 places; each of 4 channels has 3·3·3 weights.
  EXPECT_EQ(multiply_adds([&] { at::conv2d(x, w, {}, {2, 2}, {1, 1}, {1, 1}, 2); }), 2 * 5 * 4 * 4 * 27);
  EXPECT_EQ(multiply_adds([&] { at::conv2d(x, w, {}, {1, 1}, {1, 0}, {2, 3}, 2); }), 2 * 7 * 2 * 4 * 27);
  const at::Tensor up = at::rand({6, 5, 2, 2});
  EXPECT_EQ(multiply_adds([&] { at::conv_transpose2d(x, up, {}, {2, 2}); }), 2 * 9 * 8 * 6 * 5 * 4);
}

TEST(MultiplyAdds, OfABackwardPassAreThoseOfTheGradientsThatItMakes) {
  const at::Tensor w = at::rand({4, 6, 3, 3}).requires_grad_(true);
  for (const bool by_input : {false, true}) {
    const at::Tensor x = at::rand({2, 6, 9, 8}).requires_grad_(by_input);
    const at::Tensor y = at::conv2d(x, w, {}, {1, 1}, {1, 1}).sum();
    EXPECT_EQ(multiply_adds([&] { y.backward(); }), (by_input ? 2 : 1) * 2 * 72 * 4 * 54);
  }
  const at::Tensor up = at::rand({6, 5, 2, 2}).requires_grad_(true), x = at::rand({2, 6, 9, 8});
  const at::Tensor y = at::conv_transpose2d(x, up, {}, {2, 2}).sum();
  EXPECT_EQ(multiply_adds([&] { y.backward(); }), 2 * 72 * 6 * 20);
}

TEST(MultiplyAdds, OfMatricesAndAttention) {
  const at::Tensor x = at::rand({7, 5}), w = at::rand({3, 5}), b = at::rand({3});
  EXPECT_EQ(multiply_adds([&] { at::linear(x, w, b); }), 7 * 5 * 3);
  EXPECT_EQ(multiply_adds([&] { at::matmul(at::rand({2, 4, 6, 5}), at::rand({2, 4, 5, 3})); }),
            8 * 6 * 5 * 3);
  EXPECT_EQ(multiply_adds([&] { at::matmul(x, w[0]); }), 7 * 5);
  const at::Tensor q = at::rand({2, 3, 9, 4}).requires_grad_(true);
  at::Tensor out;
  EXPECT_EQ(multiply_adds([&] { out = at::scaled_dot_product_attention(q, q, q).sum(); }),
            2 * (2 * 3 * 9 * 9 * 4));
  EXPECT_EQ(multiply_adds([&] { out.backward(); }), 5 * (2 * 3 * 9 * 9 * 4));
}

TEST(MultiplyAdds, LeaveOutWhatWorksElementByElement) {
  EXPECT_EQ(multiply_adds([] { (at::rand({5, 5}) * 2 + 1).relu().sum(); }), 0);
}

}  // namespace
}  // namespace isnet::bench
