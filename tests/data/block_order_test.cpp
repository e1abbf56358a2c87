#include "data/block_order.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace isnet {
namespace {

std::vector<std::int64_t> epoch_of(const BlockOrder& order, std::int64_t size, std::uint64_t epoch) {
  std::vector<std::int64_t> samples;
  for (std::int64_t i = 0; i < size; ++i) samples.push_back(order.at(epoch, i));
  return samples;
}

TEST(BlockOrder, IsAPermutationForEverySizeAndBlock) {
  for (const std::int64_t size : {1, 2, 7, 64, 100, 1000})
    for (const std::int64_t block : {1, 3, 8, 64, 5000})
      for (const std::uint64_t epoch : {0u, 5u}) {
        auto samples = epoch_of(BlockOrder(size, block, 3), size, epoch);
        std::sort(samples.begin(), samples.end());
        std::vector<std::int64_t> all(static_cast<std::size_t>(size));
        std::iota(all.begin(), all.end(), 0);
        EXPECT_EQ(samples, all) << size << " in blocks of " << block;
      }
}

TEST(BlockOrder, DiffersBetweenEpochsAndSeedsOnly) {
  const BlockOrder order(1000, 10, 1);
  EXPECT_EQ(epoch_of(order, 1000, 2), epoch_of(BlockOrder(1000, 10, 1), 1000, 2));
  EXPECT_NE(epoch_of(order, 1000, 2), epoch_of(order, 1000, 3));
  EXPECT_NE(epoch_of(order, 1000, 2), epoch_of(BlockOrder(1000, 10, 2), 1000, 2));
}

TEST(BlockOrder, AWindowTouchesFewPiecesOfTheFiles) {
  constexpr std::int64_t size = 64000, block = 50, window = block * BlockOrder::window_blocks;
  const auto samples = epoch_of(BlockOrder(size, block, 1), size, 0);
  for (std::int64_t begin = 0; begin < size; begin += window) {
    // Samples of one block are within `block` of each other: count the runs without gaps.
    std::set<std::int64_t> here(samples.begin() + begin, samples.begin() + std::min(size, begin + window));
    std::int64_t runs = 0, before = -2;
    for (const auto sample : here) {
      runs += sample != before + 1;
      before = sample;
    }
    EXPECT_LE(runs, BlockOrder::window_blocks + 1);  // one block may go over the end of the split
  }
}

TEST(BlockOrder, SamplesAreFarFromWhereTheyLie) {
  // As far on average as in a random permutation (a third of the size), and in no order within windows.
  constexpr std::int64_t size = 20000;
  const auto samples = epoch_of(BlockOrder(size, 20, 4), size, 1);
  double distance = 0;
  std::int64_t neighbours = 0;
  for (std::int64_t i = 0; i < size; ++i) {
    distance += std::abs(static_cast<double>(samples[static_cast<std::size_t>(i)] - i));
    if (i > 0)
      neighbours += samples[static_cast<std::size_t>(i)] == samples[static_cast<std::size_t>(i - 1)] + 1;
  }
  EXPECT_NEAR(distance / size / size, 1.0 / 3, 0.03);
  EXPECT_LT(neighbours, size / 100);
}

TEST(BlockOrder, WhatComesLastIsAnotherPieceInEachEpoch) {
  // 7 samples are left over by blocks of 31; with --last-batch drop they would never be seen otherwise.
  constexpr std::int64_t size = 31 * 20 + 7;
  std::set<std::int64_t> last;
  for (std::uint64_t epoch = 0; epoch < 50; ++epoch) last.insert(BlockOrder(size, 31, 9).at(epoch, size - 1));
  EXPECT_GT(last.size(), 40u);
}

TEST(BlockOrder, RanksShareGlobalBatchesElastically) {
  constexpr std::int64_t size = 997;
  const auto order = std::make_shared<BlockOrder>(size, 16, 2);
  const auto global_batch = [&](std::int64_t world, std::int64_t batch, std::int64_t step) {
    std::set<std::int64_t> ids;
    for (std::int64_t rank = 0; rank < world; ++rank)
      for (const auto id : Sampler({.size = size,
                                    .batch_size = batch,
                                    .shuffle = true,
                                    .world = world,
                                    .rank = rank,
                                    .order = order})
                               .plan(3, step)
                               .ids)
        ids.insert(id);
    return ids;
  };
  for (std::int64_t step = 0; step < 60; ++step)
    EXPECT_EQ(global_batch(1, 16, step), global_batch(4, 4, step));
}

}  // namespace
}  // namespace isnet
