#include "model/background_exchange.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/types.h>

#include "base/error.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

at::Tensor random_images(std::int64_t count, std::int64_t height = 12, std::int64_t width = 10) {
  return at::rand({count, 3, height, width}, at::kDouble);
}

// A rectangle in each image, another one for each.
at::Tensor rectangles(std::int64_t count, std::int64_t height = 12, std::int64_t width = 10) {
  at::Tensor masks = at::zeros({count, 1, height, width}, at::kDouble);
  for (std::int64_t b = 0; b < count; ++b) masks[b].slice(1, 3 + b % 2, 8).slice(2, 2, 6 + b % 3).fill_(1);
  return masks;
}

at::Tensor numbered(std::int64_t count) {
  return at::arange(100, 100 + count, at::kLong);
}

// Images whose backgrounds are those of `kind`; swap from the batch itself.
at::Tensor changed(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& ids,
                   BackgroundKind kind, const BackgroundOptions& options = {}) {
  Batch batch;
  batch.images = images;
  batch.masks = masks;
  batch.ids = ids;
  return with_other_backgrounds(batch, kind, options);
}

class EveryBackground : public ::testing::TestWithParam<std::string> {
 protected:
  BackgroundKind kind() const { return background_kind(GetParam(), "background"); }
};

TEST_P(EveryBackground, LeavesObjectsAsTheyAre) {
  const at::Tensor images = random_images(5), masks = rectangles(5);
  const at::Tensor result = changed(images, masks, numbered(5), kind());
  EXPECT_TRUE(at::equal(result * masks, images * masks));
  EXPECT_FALSE(at::allclose(result, images));
}

TEST_P(EveryBackground, DoesNotDependOnWhatTheObjectLooksLike) {
  const at::Tensor images = random_images(5), masks = rectangles(5);
  const at::Tensor others = at::where(masks > 0.5, at::rand_like(images), images);
  for (const auto fill : {BackgroundFill::inpaint, BackgroundFill::tile}) {
    BackgroundOptions options;
    options.fill = fill;
    const at::Tensor first = changed(images, masks, numbered(5), kind(), options);
    const at::Tensor second = changed(others, masks, numbered(5), kind(), options);
    EXPECT_TRUE(at::equal(first * (1 - masks), second * (1 - masks)));
  }
}

TEST_P(EveryBackground, PassesGradientsToTheImages) {
  const at::Tensor images = random_images(3).requires_grad_();
  changed(images, rectangles(3), numbered(3), kind()).sum().backward();
  EXPECT_TRUE((images.grad() * rectangles(3)).gt(0).any().item<bool>());
}

TEST_P(EveryBackground, TakesOneMaskForEachClassTogether) {
  const at::Tensor images = random_images(2), joint = rectangles(2);
  at::Tensor by_class = at::zeros({2, 2, 1, 12, 10}, at::kDouble);
  by_class.select(1, 0).copy_(joint);
  by_class.select(1, 0).slice(2, 0, 5).zero_();
  by_class.select(1, 1).copy_(joint);
  by_class.select(1, 1).slice(2, 5, 12).zero_();
  EXPECT_TRUE(
      at::equal(changed(images, by_class, numbered(2), kind()), changed(images, joint, numbered(2), kind())));
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryBackground, ::testing::ValuesIn(background_kinds()),
                         [](const auto& of) { return of.param; });

class BackgroundWithoutDonors : public EveryBackground {};

TEST_P(BackgroundWithoutDonors, OfASampleDoesNotDependOnItsBatch) {
  const at::Tensor images = random_images(4), masks = rectangles(4), ids = numbered(4);
  const at::Tensor together = change_backgrounds(images, masks, ids, kind(), {});
  for (std::int64_t b = 0; b < 4; ++b) {
    const at::Tensor alone = change_backgrounds(images.narrow(0, b, 1), masks.narrow(0, b, 1),
                                                ids.narrow(0, b, 1).clone(), kind(), {});
    EXPECT_TRUE(at::allclose(together[b], alone[0], 0, 1e-15)) << b;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BackgroundWithoutDonors,
                         ::testing::Values("noise", "blur", "constant", "shuffle"),
                         [](const auto& of) { return of.param; });

class RandomBackground : public EveryBackground {};

TEST_P(RandomBackground, DependsOnSeedDrawAndSample) {
  const at::Tensor images = random_images(1).expand({2, 3, 12, 10}).contiguous();
  const at::Tensor masks = rectangles(1).expand({2, 1, 12, 10}).contiguous();
  BackgroundOptions options;
  const at::Tensor first = change_backgrounds(images, masks, numbered(2), kind(), options);
  EXPECT_FALSE(at::equal(first[0], first[1]));
  EXPECT_TRUE(at::equal(first, change_backgrounds(images, masks, numbered(2), kind(), options)));
  options.draw = 1;
  EXPECT_FALSE(at::equal(first, change_backgrounds(images, masks, numbered(2), kind(), options)));
  options = {};
  options.seed = 1;
  EXPECT_FALSE(at::equal(first, change_backgrounds(images, masks, numbered(2), kind(), options)));
}

INSTANTIATE_TEST_SUITE_P(Kinds, RandomBackground, ::testing::Values("noise", "shuffle"),
                         [](const auto& of) { return of.param; });

TEST(FilledBackground, KeepsEveryPixelOutsideOfTheObjectWhenInpainted) {
  const at::Tensor images = random_images(4), masks = rectangles(4);
  const at::Tensor filled = filled_background(images, masks, BackgroundFill::inpaint);
  EXPECT_TRUE(at::equal(filled * (1 - masks), images * (1 - masks)));
}

TEST(FilledBackground, IsInpaintedWithValuesThatTheBackgroundHas) {
  const at::Tensor masks = rectangles(3);
  const at::Tensor images = at::where(masks > 0.5, 1.0, 0.25 + 0.25 * random_images(3));
  const at::Tensor filled = filled_background(images, masks, BackgroundFill::inpaint);
  EXPECT_GE(filled.min().item<double>(), 0.25);
  EXPECT_LE(filled.max().item<double>(), 0.5);
}

TEST(FilledBackground, OfOneColourIsThatColour) {
  const at::Tensor masks = rectangles(2, 7, 13);
  const at::Tensor images = at::where(masks > 0.5, at::rand({2, 3, 7, 13}, at::kDouble), 0.7);
  for (const auto fill : {BackgroundFill::inpaint, BackgroundFill::tile})
    EXPECT_TRUE(at::allclose(filled_background(images, masks, fill), at::full_like(images, 0.7)));
}

TEST(FilledBackground, OfAnImageThatIsAllObjectIsGrey) {
  const at::Tensor images = random_images(2);
  for (const auto fill : {BackgroundFill::inpaint, BackgroundFill::tile})
    EXPECT_TRUE(at::allclose(filled_background(images, at::ones({2, 1, 12, 10}, at::kDouble), fill),
                             at::full_like(images, 0.5)));
}

TEST(FilledBackground, TilesTheBoxWithTheLargestStrip) {
  const at::Tensor image = at::arange(30, at::kDouble).view({1, 1, 5, 6}).repeat({1, 3, 1, 1});
  at::Tensor mask = at::zeros({1, 1, 5, 6}, at::kDouble);
  mask[0][0][1][2] = 1;  // the box: rows 1 and 2, columns 2 to 5
  mask[0][0][2][5] = 1;
  const at::Tensor filled = filled_background(image, mask, BackgroundFill::tile)[0][0];
  // Below the box are 2 rows of 6 pixels, beside it 2 columns of 5.
  EXPECT_TRUE(at::equal(filled[1].slice(0, 2, 6), image[0][0][3].slice(0, 2, 6)));
  EXPECT_TRUE(at::equal(filled[2].slice(0, 2, 6), image[0][0][4].slice(0, 2, 6)));
  EXPECT_TRUE(at::equal(filled[0], image[0][0][0]));
  EXPECT_TRUE(at::equal(filled.slice(1, 0, 2), image[0][0].slice(1, 0, 2)));
}

TEST(FilledBackground, RepeatsAStripThatIsNarrowerThanTheBox) {
  const at::Tensor image = at::arange(12, at::kDouble).view({1, 1, 2, 6}).repeat({1, 3, 1, 1});
  at::Tensor mask = at::zeros({1, 1, 2, 6}, at::kDouble);
  mask.slice(3, 2, 6).fill_(1);
  const at::Tensor filled = filled_background(image, mask, BackgroundFill::tile)[0][0][0];
  EXPECT_TRUE(at::equal(filled, at::tensor({0., 1., 0., 1., 0., 1.}, at::kDouble)));
}

TEST(FilledBackground, OfAnImageWithoutAnObjectIsTheImage) {
  const at::Tensor images = random_images(2);
  for (const auto fill : {BackgroundFill::inpaint, BackgroundFill::tile})
    EXPECT_TRUE(at::equal(filled_background(images, at::zeros({2, 1, 12, 10}, at::kDouble), fill), images));
}

TEST(ShuffledBackground, HasThePixelsOfTheImagesOwn) {
  const at::Tensor images = random_images(1), masks = rectangles(1);
  const at::Tensor result = change_backgrounds(images, masks, numbered(1), BackgroundKind::shuffle, {});
  const at::Tensor background = masks[0][0] < 0.5;
  const auto sorted_pixels = [&](const at::Tensor& image) {
    return std::get<0>(image[0][0].masked_select(background).sort());
  };
  EXPECT_TRUE(at::equal(sorted_pixels(result), sorted_pixels(images)));
}

TEST(NoiseBackground, IsGreyWhereTheImageIs) {
  const at::Tensor grey = at::rand({1, 1, 12, 10}, at::kDouble).expand({1, 3, 12, 10});
  const at::Tensor result = change_backgrounds(grey, rectangles(1), numbered(1), BackgroundKind::noise, {});
  EXPECT_TRUE(at::equal(result.select(1, 0), result.select(1, 2)));
  const at::Tensor coloured =
      change_backgrounds(random_images(1), rectangles(1), numbered(1), BackgroundKind::noise, {});
  EXPECT_FALSE(at::equal(coloured.select(1, 0), coloured.select(1, 2)));
}

TEST(ExchangedBackgrounds, AreThoseOfTheDonorsWithTheirObjectsFilled) {
  const at::Tensor images = random_images(2), masks = rectangles(2);
  const at::Tensor donors = random_images(2), donor_masks = 1 - at::ones({2, 1, 12, 10}, at::kDouble);
  const at::Tensor result = exchange_backgrounds(images, masks, donors, donor_masks);
  EXPECT_TRUE(at::equal(result, at::where(masks > 0.5, images, donors)));
}

TEST(ExchangedBackgrounds, OfABatchNeverTakeASamplesOwn) {
  BackgroundOptions options;
  for (options.draw = 0; options.draw < 50; ++options.draw) {
    const at::Tensor donors = donors_in_batch(numbered(7), options);
    EXPECT_FALSE(donors.eq(at::arange(7, at::kLong)).any().item<bool>());
    EXPECT_TRUE(donors.ge(0).logical_and(donors.lt(7)).all().item<bool>());
  }
  EXPECT_EQ(donors_in_batch(numbered(1), {}).item<std::int64_t>(), 0);
}

TEST(BackgroundNames, AreRefusedWithThoseThatThereAre) {
  EXPECT_THAT(
      refusal(ErrorKind::usage, [] { background_kind("swop", "background"); }),
      HasSubstr("--background: 'swop' is not allowed; allowed: swap, noise, blur, constant, shuffle"));
  EXPECT_THAT(refusal(ErrorKind::usage, [] { background_fill("paint", "background-fill"); }),
              HasSubstr("inpaint, tile"));
}

}  // namespace
}  // namespace isnet
