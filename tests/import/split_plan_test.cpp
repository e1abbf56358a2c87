#include "import/split_plan.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <set>

#include "base/random.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::refusal;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<ImportItem> items_of(const std::vector<std::int64_t>& labels) {
  std::vector<ImportItem> items;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ImportItem item;
    item.id = item.source = cat("s", i);
    item.number = number_of(item.id);
    item.label = labels[i];
    items.push_back(std::move(item));
  }
  return items;
}

// Labels 0, 1, 2, … with these counts, by turns as long as there are any.
std::vector<std::int64_t> labels_with(std::vector<int> counts) {
  std::vector<std::int64_t> labels;
  for (bool more = true; more;) {
    more = false;
    for (std::size_t k = 0; k < counts.size(); ++k)
      if (counts[k]-- > 0) {
        labels.push_back(static_cast<std::int64_t>(k));
        more = true;
      }
  }
  return labels;
}

using Counts = std::map<std::string, std::map<std::int64_t, int>>;
Counts counted(const std::vector<ImportItem>& items, const std::vector<std::string>& splits) {
  Counts counts;
  for (std::size_t i = 0; i < items.size(); ++i) ++counts[splits[i]][items[i].label];
  return counts;
}

const std::vector<SplitShare> three{{"train", 0.7}, {"val", 0.1}, {"test", 0.2}};

TEST(SplitPlan, EveryClassGetsItsExactShares) {
  const auto items = items_of(labels_with({100, 40, 10}));
  const auto counts = counted(items, assign_splits(items, three, 5));
  EXPECT_EQ(counts.at("train"), (std::map<std::int64_t, int>{{0, 70}, {1, 28}, {2, 7}}));
  EXPECT_EQ(counts.at("val"), (std::map<std::int64_t, int>{{0, 10}, {1, 4}, {2, 1}}));
  EXPECT_EQ(counts.at("test"), (std::map<std::int64_t, int>{{0, 20}, {1, 8}, {2, 2}}));
}

TEST(SplitPlan, SharesThatAreNoWholeNumbersAreRoundedDownOrUp) {
  for (std::uint64_t trial = 0; trial < 200; ++trial) {
    SampleRandom random(trial, Purpose::order, 0, 0);
    std::vector<int> sizes;
    const auto classes = 1 + random.below(12);
    for (std::uint32_t k = 0; k < classes; ++k) sizes.push_back(static_cast<int>(1 + random.below(60)));
    sizes[0] += 30;
    const auto items = items_of(labels_with(sizes));
    auto counts = counted(items, assign_splits(items, three, trial));
    for (const auto& share : three) {
      double all = 0;
      int total = 0;
      for (std::size_t k = 0; k < sizes.size(); ++k) {
        const double exact = share.share * sizes[k];
        const int got = counts[share.name][static_cast<std::int64_t>(k)];
        EXPECT_LT(std::abs(got - exact), 1 + 1e-9) << trial;
        all += exact;
        total += got;
      }
      EXPECT_LT(std::abs(total - all), 2.5) << trial << ' ' << share.name;
    }
  }
}

TEST(SplitPlan, RareClassesAreMadeUpForAmongLaterOnes) {
  const auto items = items_of(labels_with(std::vector<int>(100, 3)));  // 100 classes of three samples
  const auto counts = counted(items, assign_splits(items, {{"train", 0.9}, {"val", 0.1}}, 1));
  int validation = 0;
  for (const auto& [label, count] : counts.at("val")) validation += count;
  EXPECT_NEAR(validation, 30, 2);
}

TEST(SplitPlan, DependsOnSeedAndSampleOnly) {
  const auto items = items_of(labels_with({50, 50}));
  const auto first = assign_splits(items, three, 1);
  EXPECT_EQ(assign_splits(items, three, 1), first);
  EXPECT_NE(assign_splits(items, three, 2), first);
  std::vector<ImportItem> backwards(items.rbegin(), items.rend());
  auto again = assign_splits(backwards, three, 1);
  std::reverse(again.begin(), again.end());
  EXPECT_EQ(again, first);
}

TEST(SplitPlan, NamedSplitsStay) {
  auto items = items_of({0, 0, 0, 0, 1, 1, 1, 1});
  for (auto& item : items) item.split = "train";
  items[3].split = "test";
  const auto splits = assign_splits(items, three, 0);  // shares are for others: none may be empty for them
  EXPECT_THAT(splits, ElementsAre("train", "train", "train", "test", "train", "train", "train", "train"));
}

TEST(SplitPlan, CombinationsOfClassesAreStratified) {
  auto items = items_of(std::vector<std::int64_t>(120, -1));
  for (std::size_t i = 0; i < items.size(); ++i)
    items[i].classes = {static_cast<std::uint8_t>(i % 2), static_cast<std::uint8_t>(i % 3 == 0)};
  const auto splits = assign_splits(items, three, 3);
  std::map<std::pair<std::string, std::vector<std::uint8_t>>, int> counts;
  for (std::size_t i = 0; i < items.size(); ++i) ++counts[{splits[i], items[i].classes}];
  EXPECT_EQ((counts[{"train", {0, 0}}]), 28);
  EXPECT_EQ((counts[{"test", {1, 1}}]), 4);
  EXPECT_EQ((counts[{"val", {0, 1}}]), 2);
}

TEST(SplitPlan, NoGroupIsEverInTwoSplits) {
  for (std::uint64_t trial = 0; trial < 100; ++trial) {
    SampleRandom random(trial, Purpose::order, 1, 0);
    std::vector<std::int64_t> labels;
    for (int i = 0; i < 300; ++i) labels.push_back(random.below(4));
    auto items = items_of(labels);
    for (auto& item : items)
      if (random.below(10) > 0) item.group = cat("patient", random.below(60));  // some have no group
    // Some samples name their split; groups of these go with them.
    for (std::size_t i = 0; i < 20; ++i)
      if (items[i].group.ends_with("7")) items[i].split = "test";
    const auto splits = assign_splits(items, three, trial);
    std::map<std::string, std::string> split_of;
    for (std::size_t i = 0; i < items.size(); ++i) {
      ASSERT_FALSE(splits[i].empty());
      if (items[i].group.empty()) continue;
      ASSERT_EQ(split_of.emplace(items[i].group, splits[i]).first->second, splits[i]) << trial;
    }
  }
}

TEST(SplitPlan, GroupsComeNearTheSharesOfEveryClass) {
  SampleRandom random(4, Purpose::order, 2, 0);
  std::vector<std::int64_t> labels;
  std::vector<std::string> groups;
  for (int patient = 0; patient < 400; ++patient) {
    const auto label = random.below(10) < 2 ? 1 : 0;
    for (std::uint32_t image = 0; image < 1 + random.below(6); ++image) {
      labels.push_back(label);
      groups.push_back(cat("p", patient));
    }
  }
  auto items = items_of(labels);
  for (std::size_t i = 0; i < items.size(); ++i) items[i].group = groups[i];
  const auto counts = counted(items, assign_splits(items, three, 9));
  const std::map<std::int64_t, double> totals{{0, std::count(labels.begin(), labels.end(), 0)},
                                              {1, std::count(labels.begin(), labels.end(), 1)}};
  for (const auto& share : three)
    for (const auto& [label, total] : totals)
      EXPECT_NEAR(counts.at(share.name).at(label) / total, share.share, 0.02) << share.name << ' ' << label;
}

TEST(SplitPlan, WhatCannotBeIsRefused) {
  auto items = items_of({0, 0, 1, 1});
  items[0].group = items[1].group = "p";
  items[0].split = "train";
  items[1].split = "test";
  EXPECT_THAT(data_refusal([&] { assign_splits(items, three, 0); }),
              HasSubstr("s1: group 'p' is in split 'test', but with s0 in split 'train'"));
  items = items_of({0, 0, 0, 0});
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { assign_splits(items, {{"train", 0.9}, {"val", 0.1}}, 0); }),
              HasSubstr("0.1 of 4 samples leaves no sample for val"));
}

TEST(SplitPlan, SharesAreReadAndRefused) {
  const auto shares = parse_split_shares("train=0.8,val=0.15,test-2=5e-2");
  ASSERT_EQ(shares.size(), 3u);
  EXPECT_EQ(shares[2].name, "test-2");
  EXPECT_EQ(shares[2].share, 0.05);
  for (const char* text : {"", "train", "train=", "=1", "train=0.5", "train=0.5,val=0.6", "train=1,val=0",
                           "train=x", "train=0.5,train=0.5", "train=1,", "train=-1,val=2", "train=nan"})
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { parse_split_shares(text); }), HasSubstr("--splits: '"))
        << text;
}

}  // namespace
}  // namespace isnet
