#include "evaluation/confusion.h"

#include <gmock/gmock.h>

#include <array>

#include "base/error.h"

namespace isnet {
namespace {

using ::testing::ElementsAre;

/// Rows are labels: [[5, 2, 1], [0, 3, 1], [2, 0, 6]], 20 samples.
ConfusionMatrix example() {
  ConfusionMatrix matrix(3);
  matrix.add_flat(std::array{5.0, 2.0, 1.0, 0.0, 3.0, 1.0, 2.0, 0.0, 6.0});
  return matrix;
}

TEST(ConfusionMatrix, ScoresEqualThoseComputedByHand) {
  const auto matrix = example();
  EXPECT_EQ(matrix.samples(), 20);
  EXPECT_DOUBLE_EQ(matrix.accuracy(), 14.0 / 20);
  const auto first = matrix.of_class(0);
  EXPECT_EQ(first.true_positive, 5);
  EXPECT_EQ(first.false_negative, 3);
  EXPECT_EQ(first.false_positive, 2);
  EXPECT_EQ(first.true_negative, 10);
  EXPECT_DOUBLE_EQ(first.precision(), 5.0 / 7);
  EXPECT_DOUBLE_EQ(first.recall(), 5.0 / 8);
  EXPECT_DOUBLE_EQ(first.f1(), 2 * (5.0 / 7) * (5.0 / 8) / (5.0 / 7 + 5.0 / 8));
  EXPECT_DOUBLE_EQ(first.specificity(), 10.0 / 12);
}

TEST(ConfusionMatrix, AddCountsLabelsInRowsAndPredictionsInColumns) {
  ConfusionMatrix matrix(2);
  matrix.add(0, 1);
  matrix.add(0, 1);
  matrix.add(1, 1);
  EXPECT_THAT(matrix.flat(), ElementsAre(0, 2, 0, 1));
}

TEST(ConfusionMatrix, ZeroDenominatorsGiveZero) {
  const ConfusionMatrix empty(2);
  EXPECT_EQ(empty.accuracy(), 0);
  const auto counts = empty.of_class(1);
  EXPECT_EQ(counts.precision() + counts.recall() + counts.f1() + counts.specificity(), 0);
}

TEST(ConfusionMatrix, TwoHalvesAddUpToTheWhole) {
  ConfusionMatrix whole(3), left(3), right(3);
  for (int i = 0; i < 100; ++i) {
    const int label = i % 3, predicted = (i * i + i / 7) % 3;
    whole.add(label, predicted);
    (i < 37 ? left : right).add(label, predicted);
  }
  left.add_flat(right.flat());
  EXPECT_EQ(left.flat(), whole.flat());
}

TEST(ConfusionMatrix, AClassThatDoesNotExistIsAnError) {
  ConfusionMatrix matrix(3);
  EXPECT_THROW(matrix.add(3, 0), Error);
  EXPECT_THROW(matrix.add(0, -1), Error);
  EXPECT_THROW(matrix.add_flat(std::array{1.0}), Error);
}

using Bits = std::array<std::uint8_t, 2>;

TEST(MultiLabelCounts, EveryClassHasItsFourCounts) {
  MultiLabelCounts counts(2);
  counts.add(Bits{1, 0}, Bits{1, 1});
  counts.add(Bits{0, 0}, Bits{0, 0});
  counts.add(Bits{1, 1}, Bits{0, 1});
  const auto first = counts.of_class(0), second = counts.of_class(1);
  EXPECT_EQ(first.true_positive, 1);
  EXPECT_EQ(first.false_negative, 1);
  EXPECT_EQ(first.true_negative, 1);
  EXPECT_EQ(second.false_positive, 1);
  EXPECT_EQ(second.true_positive, 1);
  EXPECT_EQ(second.true_negative, 1);
  EXPECT_DOUBLE_EQ(counts.accuracy(), 4.0 / 6);
  EXPECT_DOUBLE_EQ(counts.exact_match(), 1.0 / 3);
}

TEST(MultiLabelCounts, TwoHalvesAddUpToTheWhole) {
  MultiLabelCounts whole(2), left(2), right(2);
  for (unsigned i = 0; i < 50; ++i) {
    const Bits labels{std::uint8_t(i & 1), std::uint8_t(i % 3 == 0)},
        said{std::uint8_t(i % 5 == 0), std::uint8_t(i & 1)};
    whole.add(labels, said);
    (i % 4 ? left : right).add(labels, said);
  }
  left.add_flat(right.flat());
  EXPECT_EQ(left.flat(), whole.flat());
  EXPECT_EQ(left.exact_match(), whole.exact_match());
}

}  // namespace
}  // namespace isnet
