#include "data/sampling/sampling.h"

#include <gmock/gmock.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "data/sampling/balanced.h"
#include "data/sampling/weighted.h"
#include "data/shard_writer.h"
#include "support/data.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

using Counts = std::vector<std::int64_t>;

Counts counts_of(const SampleOrder& order, std::int64_t size, std::uint64_t epoch, std::int64_t positions) {
  Counts counts(static_cast<std::size_t>(size));
  for (std::int64_t p = 0; p < positions; ++p) ++counts.at(static_cast<std::size_t>(order.at(epoch, p)));
  return counts;
}

double chi_square(const Counts& observed, const std::vector<double>& weights) {
  const double draws =
      static_cast<double>(std::accumulate(observed.begin(), observed.end(), std::int64_t{0}));
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  double result = 0;
  for (std::size_t i = 0; i < observed.size(); ++i) {
    const double expected = draws * weights[i] / sum;
    if (expected > 0) result += std::pow(static_cast<double>(observed[i]) - expected, 2) / expected;
  }
  return result;
}

TEST(AliasTable, SharesTheUnitIntervalsOutByWeight) {
  // Exact probabilities: for each cell its own share and its alias's.
  const std::vector<double> weights{0, 3, 1e-9, 0.5, 0, 7, 7, 1e300 / 1e300};
  const AliasTable table(weights);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  constexpr int steps = 1 << 14;
  std::vector<double> shares(weights.size());
  for (std::uint32_t cell = 0; cell < weights.size(); ++cell)
    for (int i = 0; i < steps; ++i)
      shares[static_cast<std::size_t>(table.draw(cell, (i + 0.5) / steps))] += 1.0 / steps / 8;
  for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_NEAR(shares[i], weights[i] / sum, 2.0 / steps) << i;
  EXPECT_EQ(shares[0], 0);
  EXPECT_EQ(shares[4], 0);
}

TEST(AliasTable, BearsHugeTinyAndEqualWeights) {
  for (const double weight : {1e308, 1e-308, 1.0}) {
    const AliasTable table(std::vector<double>(1000, weight));
    for (std::uint32_t cell = 0; cell < 1000; ++cell) EXPECT_EQ(table.draw(cell, 0.999999), cell);
  }
  std::vector<double> zeros(999, 0.0);
  zeros[700] = 5e-324;
  const AliasTable one(zeros);
  for (std::uint32_t cell = 0; cell < 999; ++cell)
    for (const double u : {0.0, 0.5, std::nextafter(1.0, 0.0)}) EXPECT_EQ(one.draw(cell, u), 700);
}

TEST(AliasTable, RefusesWhatIsNoDistribution) {
  using Weights = std::vector<double>;
  for (const auto& weights : {Weights{}, Weights{0, 0}, Weights{1, NAN}, Weights{1, INFINITY}})
    EXPECT_THROW(AliasTable{weights}, Error);
}

TEST(WeightedOrder, DrawsInProportionToTheWeights) {
  // Far beyond chi-square's 0.9999 quantiles at these degrees of freedom lies what a wrong table gives.
  const std::vector<double> weights{1, 2, 3, 4, 0, 10, 0.5, 0.5, 20, 9};
  for (const std::uint64_t epoch : {0, 1, 77}) {
    const WeightedOrder order(weights, 3);
    const auto counts = counts_of(order, 10, epoch, 100'000);
    EXPECT_EQ(counts[4], 0);
    EXPECT_LT(chi_square(counts, weights), 34) << epoch;  // 8 degrees of freedom
  }
}

TEST(WeightedOrder, NeighbouringPositionsAreIndependent) {
  const std::vector<double> weights{1, 2, 3};
  const WeightedOrder order(weights, 3);
  Counts pairs(9);
  std::vector<double> expected;
  for (std::int64_t p = 0; p < 90'000; p += 2)
    ++pairs[static_cast<std::size_t>(order.at(0, p) * 3 + order.at(0, p + 1))];
  for (const double a : weights)
    for (const double b : weights) expected.push_back(a * b);
  EXPECT_LT(chi_square(pairs, expected), 34);
}

TEST(WeightedOrder, ChangesWithSeedAndEpoch) {
  const std::vector<double> weights(50, 1.0);
  const auto first = [&](std::uint64_t seed, std::uint64_t epoch) {
    std::vector<std::int64_t> ids;
    for (int p = 0; p < 20; ++p) ids.push_back(WeightedOrder(weights, seed).at(epoch, p));
    return ids;
  };
  EXPECT_EQ(first(1, 0), first(1, 0));
  EXPECT_NE(first(1, 0), first(2, 0));
  EXPECT_NE(first(1, 0), first(1, 1));
}

// Sample i is in stratum 0 for i < 60, 1 for i < 90, 2 for i < 100.
Strata three_strata() {
  std::vector<std::pair<std::int64_t, std::int64_t>> members;
  for (std::int64_t i = 0; i < 100; ++i) members.emplace_back(i < 60 ? 10 : i < 90 ? 20 : 35, i);
  return Strata(members);
}

TEST(BalancedOrder, EveryRoundHasOneSampleOfEachStratumAndStrataAreUsedEvenly) {
  const BalancedOrder order(three_strata(), 5);
  Counts counts(100);
  std::map<std::vector<int>, int> orders;
  for (std::int64_t round = 0; round < 200; ++round) {
    std::vector<int> strata;
    for (std::int64_t k = 0; k < 3; ++k) {
      const std::int64_t id = order.at(2, round * 3 + k);
      ++counts[static_cast<std::size_t>(id)];
      strata.push_back(id < 60 ? 0 : id < 90 ? 1 : 2);
    }
    ++orders[strata];
    std::sort(strata.begin(), strata.end());
    EXPECT_EQ(strata, (std::vector<int>{0, 1, 2}));
  }
  for (std::size_t i = 0; i < 100; ++i) {
    const double mean = i < 60 ? 200.0 / 60 : i < 90 ? 200.0 / 30 : 20;
    EXPECT_GE(static_cast<double>(counts[i]), std::floor(mean)) << i;
    EXPECT_LE(static_cast<double>(counts[i]), std::ceil(mean)) << i;
  }
  EXPECT_EQ(orders.size(), 6u);
  for (const auto& [strata, count] : orders) EXPECT_NEAR(count, 200 / 6.0, 6 * 5.3);  // six deviations
}

TEST(BalancedOrder, TurnsAndEpochsHaveOrdersOfTheirOwn) {
  const BalancedOrder order(three_strata(), 5);
  const auto turn = [&](std::uint64_t epoch, std::int64_t which) {  // of the stratum of ten
    std::vector<std::int64_t> ids;
    for (std::int64_t p = which * 30; p < (which + 1) * 30; ++p)
      if (order.at(epoch, p) >= 90) ids.push_back(order.at(epoch, p));
    return ids;
  };
  EXPECT_EQ(turn(0, 0).size(), 10u);
  EXPECT_NE(turn(0, 0), turn(0, 1));
  EXPECT_NE(turn(0, 0), turn(1, 0));
  EXPECT_EQ(turn(1, 1), turn(1, 1));
}

TEST(BalancedOrder, ASampleOfALargeStratumComesEquallyOftenOverEpochs) {
  // In an epoch of 60 positions each of the 60 samples of the first stratum has a chance of one in three.
  const BalancedOrder order(three_strata(), 8);
  Counts counts(60);
  for (std::uint64_t epoch = 0; epoch < 3000; ++epoch)
    for (std::int64_t p = 0; p < 60; ++p)
      if (const auto id = order.at(epoch, p); id < 60) ++counts[static_cast<std::size_t>(id)];
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}), 60'000);
  for (const auto count : counts) EXPECT_NEAR(static_cast<double>(count), 1000, 6 * 26);
}

// A shard whose sample i has label i·i mod 3, group i mod 4 with one sample more in group 9, and weight i.
class Sampling : public ::testing::Test {
 protected:
  static constexpr std::int64_t size = 21;
  std::shared_ptr<const SplitReader> split(bool labels, bool groups, const std::vector<double>& weights) {
    SampleLayout layout = isnet::testing::small_layout(1, 1);
    layout.mask_channels = 0;
    layout.labels = labels ? LabelKind::single : LabelKind::none;
    ShardWriter writer(file, size, layout);
    const std::vector<std::uint8_t> images(static_cast<std::size_t>(size), 7);
    writer.write_images(0, size, images.data());
    std::vector<std::int64_t> classes, group;
    for (std::int64_t i = 0; i < size; ++i) {
      classes.push_back(class_of(i));
      group.push_back(i == 20 ? 9 : i % 4);
    }
    if (labels) writer.write_labels(0, size, classes.data());
    if (groups) writer.write_groups(group);
    if (!weights.empty()) writer.write_weights(weights);
    writer.commit();
    return DataSet(file).split("all");
  }
  static std::int64_t class_of(std::int64_t i) { return i * i % 3; }
  static std::vector<double> ramp() {
    std::vector<double> weights(static_cast<std::size_t>(size));
    std::iota(weights.begin(), weights.end(), 0.0);
    return weights;
  }
  static std::shared_ptr<const SampleOrder> make(const std::string& name, const SplitReader& split) {
    return samplings().at(name).make(split, 11);
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder / "x.h5";
};

TEST_F(Sampling, IsChosenByName) {
  EXPECT_THAT(samplings().names(),
              ::testing::ElementsAre("class-balanced", "group-balanced", "uniform", "weighted"));
  const auto all = split(true, true, ramp());
  EXPECT_EQ(make("uniform", *all), nullptr);
  OptionValues values({sampling_option()});
  EXPECT_EQ(values.text("sampling"), "uniform");
  EXPECT_THAT(isnet::testing::refusal(ErrorKind::usage, [&] { values.set("sampling", "balanced"); }),
              HasSubstr("class-balanced|group-balanced|uniform|weighted"));
}

TEST_F(Sampling, TakesWeightsClassesAndGroupsFromTheData) {
  const auto all = split(true, true, ramp());
  EXPECT_LT(chi_square(counts_of(*make("weighted", *all), size, 0, 42'000), ramp()), 55);  // 19 degrees
  Counts classes(3), groups(10);
  const auto by_class = make("class-balanced", *all), by_group = make("group-balanced", *all);
  for (std::int64_t p = 0; p < 20; ++p) {
    ++classes[static_cast<std::size_t>(class_of(by_class->at(4, p)))];
    ++groups[static_cast<std::size_t>(*all->group(by_group->at(4, p)))];
  }
  EXPECT_EQ(classes, (Counts{10, 10, 0}));  // no square is 2 modulo 3
  EXPECT_EQ(groups, (Counts{4, 4, 4, 4, 0, 0, 0, 0, 0, 4}));
}

TEST_F(Sampling, OfMultiLabelDataTakesASampleOfEachClassAndOneWithoutAny) {
  SampleLayout layout = isnet::testing::small_layout(1, 1);
  layout.mask_channels = 0;
  layout.labels = LabelKind::multi;
  layout.label_classes = 2;
  ShardWriter writer(file, 6, layout);
  const std::vector<std::uint8_t> images(6, 7), labels{1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0};
  writer.write_images(0, 6, images.data());
  writer.write_multi_labels(0, 6, labels.data());
  writer.commit();
  // Strata: {0, 1, 2, 3}, {3} and, of those without a class, {4, 5}: 12 rounds.
  const auto order = make("class-balanced", *DataSet(file).split("all"));
  EXPECT_EQ(counts_of(*order, 6, 1, 36), (Counts{3, 3, 3, 3 + 12, 6, 6}));
}

TEST_F(Sampling, RefusesDataWithoutWhatItTakes) {
  const auto bare = split(false, false, {});
  for (const auto& [name, dataset] : std::map<std::string, std::string>{
           {"weighted", "weights"}, {"class-balanced", "labels"}, {"group-balanced", "groups"}})
    EXPECT_THAT(
        data_refusal([&] { make(name, *bare); }),
        AllOf(HasSubstr("x.h5"), HasSubstr("no dataset '" + dataset + "'"), HasSubstr("--sampling " + name)));
}

TEST_F(Sampling, NamesTheShardThatLacksGroups) {
  const auto shard = [&](const std::string& name, bool groups) {
    SampleLayout layout = isnet::testing::small_layout(1, 1);
    layout.mask_channels = 0;
    layout.labels = LabelKind::none;
    ShardWriter writer(folder / name, 2, layout);
    const std::vector<std::uint8_t> images(2, 7);
    writer.write_images(0, 2, images.data());
    if (groups) writer.write_groups({1, 2});
    writer.commit();
    return folder / name;
  };
  const SplitReader both("train", {shard("a.h5", true), shard("b.h5", false)}, {2, 2}, {});
  EXPECT_THAT(data_refusal([&] { make("group-balanced", both); }),
              HasSubstr("b.h5: has no dataset 'groups'"));
}

TEST_F(Sampling, RefusesWeightsThatAreAllZeroNegativeOrNotFinite) {
  const auto with = [&](double value) {
    return data_refusal([&] {
      auto weights = ramp();
      weights[5] = value;
      make("weighted", *split(true, false, weights));
    });
  };
  for (const double value : {-1.0, std::nan(""), double{INFINITY}})
    EXPECT_THAT(with(value), AllOf(HasSubstr("x.h5"), HasSubstr("sample 5"), HasSubstr("finite")));
  EXPECT_THAT(data_refusal([&] {
                make("weighted", *split(true, false, std::vector<double>(static_cast<std::size_t>(size), 0)));
              }),
              AllOf(HasSubstr("x.h5"), HasSubstr("weight 0"), HasSubstr("above 0")));
}

using BatchOf = std::vector<std::pair<std::int64_t, int>>;

BatchOf global_batch(SamplerOptions options, std::uint64_t epoch, std::int64_t step) {
  BatchOf all;
  for (options.rank = 0; options.rank < options.world; ++options.rank) {
    const auto plan = Sampler(options).plan(epoch, step);
    for (std::size_t i = 0; i < plan.ids.size(); ++i) all.emplace_back(plan.ids[i], plan.counted[i]);
  }
  std::sort(all.begin(), all.end());
  return all;
}

TEST_F(Sampling, GlobalBatchesDoNotDependOnTheNumberOfRanks) {
  const auto all = split(true, true, ramp());
  for (const auto* name : {"weighted", "class-balanced", "group-balanced"})
    for (const auto last : {LastBatch::drop, LastBatch::pad, LastBatch::short_}) {
      const auto options = [&](std::int64_t world) {
        return SamplerOptions{.size = size,
                              .batch_size = 12 / world,
                              .seed = 11,
                              .world = world,
                              .last_batch = last,
                              .order = make(name, *all)};
      };
      const std::int64_t steps = Sampler(options(1)).steps_per_epoch();
      EXPECT_EQ(steps, last == LastBatch::drop ? 1 : 2);
      for (const std::int64_t world : {2, 3, 4, 6, 12})
        for (std::int64_t step = 0; step < steps; ++step)
          EXPECT_EQ(global_batch(options(world), 3, step), global_batch(options(1), 3, step)) << name;
    }
}

TEST_F(Sampling, AnEpochCountsAsManyDrawsAsThereAreSamples) {
  // So that metrics are means over the draws: drop leaves the last ones out, short and pad count each once.
  const auto all = split(true, true, ramp());
  for (const auto* name : {"weighted", "class-balanced", "group-balanced"}) {
    const auto order = make(name, *all);
    for (const auto last : {LastBatch::drop, LastBatch::pad, LastBatch::short_}) {
      SamplerOptions options{
          .size = size, .batch_size = 4, .seed = 11, .world = 2, .last_batch = last, .order = order};
      Counts counted(static_cast<std::size_t>(size)), padding(static_cast<std::size_t>(size));
      for (std::int64_t step = 0; step < Sampler(options).steps_per_epoch(); ++step)
        for (const auto& [id, counts] : global_batch(options, 5, step))
          ++(counts ? counted : padding)[static_cast<std::size_t>(id)];
      EXPECT_EQ(counted, counts_of(*order, size, 5, last == LastBatch::drop ? 16 : size)) << name;
      EXPECT_EQ(padding, counts_of(*order, size, 5, last == LastBatch::pad ? 3 : 0)) << name;
    }
  }
}

TEST(Sampler, OfAHundredMillionSamplesNeedsNoMemoryAtAnyStep) {
  const auto in_use = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const auto before = in_use();
  const Sampler sampler({.size = 100'000'000, .batch_size = 32, .shuffle = true, .seed = 1, .world = 8});
  EXPECT_LE(in_use(), before + 4096);
  EXPECT_EQ(sampler.steps_per_epoch(), 390'625);
  for (std::int64_t step = 385'625; step < 390'625; ++step) {  // were a step O(N), this would not end
    const auto plan = sampler.plan(7, step);
    ASSERT_EQ(plan.ids.size(), 32u);
  }
  EXPECT_LE(in_use(), before + 4096);
}

}  // namespace
}  // namespace isnet
