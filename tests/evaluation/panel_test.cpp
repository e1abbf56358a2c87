#include "evaluation/panel.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

/// A bright disc in a dark image, and for each class a heatmap: positive in the disc's left half, negative in
/// its right half, and (the further the class, the more) positive in a corner.
struct Example {
  Example(int side, std::size_t classes) : size(side) {
    const auto pixels = static_cast<std::size_t>(side) * side;
    image.assign(3 * pixels, 0.15f);
    mask.assign(pixels, 0.0f);
    heatmaps.assign(classes * 3 * pixels, 0.0f);
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x) paint(x, y, classes);
    input.title = "test:12";
    input.height = input.width = side;
    input.image = image;
    input.mask = mask;
    input.heatmaps = heatmaps;
    const char* names[] = {"T-shirt", "trouser", "pullover", "dress"};
    for (std::size_t k = 0; k < classes; ++k)
      input.maps.push_back({names[k % 4], 3.2 - 1.7 * double(k), k == 0 ? 0.94 : 0.02, k == 1, k == 0});
  }

  void paint(int x, int y, std::size_t classes) {
    const auto pixels = static_cast<std::size_t>(size) * size;
    const auto place = static_cast<std::size_t>(y) * size + x;
    const double middle = size / 2.0, dx = x + 0.5 - middle, dy = y + 0.5 - middle;
    const bool inside = std::hypot(dx, dy) < 0.35 * size;
    mask[place] = inside;
    if (inside) image[place] = image[pixels + place] = 0.8f;
    for (std::size_t k = 0; k < classes; ++k)
      for (std::size_t channel = 0; channel < 3; ++channel) {
        float& value = heatmaps[(3 * k + channel) * pixels + place];
        if (inside) value = static_cast<float>(std::cos(dx / middle * 2) * (dx < 0 ? 1 : -1));
        if (x < size / 8 && y < size / 8) value = 0.4f * static_cast<float>(k);
      }
  }

  int size;
  std::vector<float> image, mask, heatmaps;
  PanelInput input;
};

bool contains(const Picture& picture, Colour colour) {
  for (int y = 0; y < picture.height(); ++y)
    for (int x = 0; x < picture.width(); ++x)
      if (picture.at(x, y) == colour) return true;
  return false;
}

TEST(Panel, SmallImagesAreEnlargedToLegibleCells) {
  const Example example(40, 4);
  const auto picture = panel(example.input);
  EXPECT_GE(picture.width(), 6 * 200);
  EXPECT_LE(picture.width(), 6 * 220);
  EXPECT_GE(picture.height(), 200);
  EXPECT_LE(picture.height(), 320);
}

TEST(Panel, HeatmapsHaveRedBlueAndWhite) {
  const Example example(40, 2);
  const auto picture = panel(example.input);
  // The third cell is the first heatmap: 5 screen pixels a pixel, cells of 200 and gaps of 10.
  const int x = 10 + 2 * 210, y = 34;
  EXPECT_EQ(picture.at(x + 5 * 19 + 2, y + 5 * 20 + 2), strongest_positive);
  EXPECT_EQ(picture.at(x + 5 * 20 + 2, y + 5 * 20 + 2), strongest_negative);
  EXPECT_EQ(picture.at(x + 5 * 38 + 2, y + 5 * 38 + 2), no_relevance);
}

TEST(Panel, WithoutAMaskThereIsNoCellForIt) {
  Example example(40, 2);
  const int with_mask = panel(example.input).width();
  example.input.mask = {};
  EXPECT_EQ(panel(example.input).width(), with_mask - 210);
}

TEST(Panel, ManyClassesGoToFurtherRows) {
  const Example example(40, 4);
  PanelOptions options;
  options.columns = 3;
  const auto picture = panel(example.input, options);
  EXPECT_LE(picture.width(), 3 * 220);
  EXPECT_GE(picture.height(), 2 * 200);
}

TEST(Panel, LargeAndNarrowImagesWork) {
  EXPECT_GE(panel(Example(224, 2).input).width(), 4 * 224);
  Example narrow(8, 1);
  narrow.input.height = 1;
  narrow.input.image = narrow.input.image.first(24);
  narrow.input.mask = narrow.input.mask.first(8);
  narrow.input.heatmaps = narrow.input.heatmaps.first(24);
  EXPECT_GE(panel(narrow.input).width(), 3 * 200);
}

TEST(Panel, ValuesThatAreNoNumbersAreMagenta) {
  Example example(40, 1);
  EXPECT_FALSE(contains(panel(example.input), not_a_number));
  example.heatmaps[1000] = std::nanf("");
  EXPECT_TRUE(contains(panel(example.input), not_a_number));
}

TEST(Panel, SizesThatDoNotFitAreAnError) {
  Example example(40, 2);
  example.input.maps.pop_back();
  EXPECT_THROW(panel(example.input), Error);
}

TEST(Panel, OfManyClassesTheLikeliestAndTheLabelAreShown) {
  const std::vector<double> logits{0.1, 5, 3, -2, 4};
  EXPECT_THAT(maps_to_show(logits, 3, 3), ::testing::ElementsAre(1, 3, 4));
  EXPECT_THAT(maps_to_show(logits, -1, 2), ::testing::ElementsAre(1, 4));
  EXPECT_THAT(maps_to_show(logits, 0, 99), ::testing::ElementsAre(0, 1, 2, 3, 4));
}

}  // namespace
}  // namespace isnet
