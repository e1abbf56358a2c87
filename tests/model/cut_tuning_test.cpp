// Choosing C1 and C2, and P by epoch.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>

#include "model/losses/cut_tuning.h"
#include "model/losses/supervision.h"
#include "model/objectives/heatmap_weight.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

// The definition, in two passes.
Moments directly(const std::vector<double>& values) {
  long double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const long double mean = sum / static_cast<long double>(values.size());
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {static_cast<double>(values.size()), static_cast<double>(mean), static_cast<double>(squares)};
}

std::vector<double> numbers(std::size_t count, double offset) {
  const at::Tensor random = at::rand({static_cast<std::int64_t>(count)}, at::kDouble).square() * 7 + offset;
  return {random.data_ptr<double>(), random.data_ptr<double>() + count};
}

TEST(Moments, AreThoseOfTheDefinitionAlsoFarFromZero) {
  for (const double offset : {0.0, 1e9}) {
    const auto values = numbers(1000, offset);
    Moments moments;
    for (const double value : values) moments.add(value);
    const Moments expected = directly(values);
    EXPECT_EQ(moments.count, 1000);
    EXPECT_NEAR(moments.mean, expected.mean, 1e-14 * expected.mean);
    // Σx² − (Σx)²/n would have no digit left at 1e9.
    EXPECT_NEAR(moments.squares, expected.squares, (offset == 0 ? 1e-12 : 1e-6) * expected.squares);
    EXPECT_DOUBLE_EQ(moments.deviation(), std::sqrt(moments.squares / 999));
  }
}

TEST(Moments, MergedAreThoseOfAllNumbersHoweverTheyWereSpread) {
  const auto values = numbers(997, 3);
  const Moments expected = directly(values);
  for (const std::size_t ranks : {1, 2, 3, 7}) {
    std::vector<CutTuning> parts(ranks, CutTuning(1));
    for (std::size_t i = 0; i < values.size(); ++i)
      parts[i % ranks].add(0, at::full({1, 1, 1, 1, 1}, -values[i], at::kDouble), 1);
    std::vector<std::vector<double>> states;
    for (const auto& part : parts) states.push_back(part.state());
    const Moments merged = CutTuning::merged(states).at(0);
    EXPECT_EQ(merged.count, 997);
    EXPECT_NEAR(merged.mean, expected.mean, 1e-13 * expected.mean) << ranks;
    EXPECT_NEAR(merged.squares, expected.squares, 1e-11 * expected.squares) << ranks;
  }
  const std::vector<std::vector<double>> with_empty_ranks{{0, 0, 0}, {2, 5, 8}, {0, 0, 0}};
  const Moments merged = CutTuning::merged(with_empty_ranks).at(0);
  EXPECT_EQ((std::vector<double>{merged.count, merged.mean, merged.squares}), with_empty_ranks[1]);
}

TEST(Cuts, FollowFromMeanAndSampleDeviation) {
  const auto cuts = [](double n, double m, double s) { return cuts_of({n, m, s * s * (n - 1)}); };
  EXPECT_DOUBLE_EQ(cuts(10, 10, 1).c1, 7);     // m − 3s
  EXPECT_DOUBLE_EQ(cuts(10, 10, 1).c2, 13);    // m + 3s
  EXPECT_DOUBLE_EQ(cuts(10, 10, 5).c1, 2);     // m/5
  EXPECT_DOUBLE_EQ(cuts(10, 10, 50).c2, 50);   // 25·C1
  EXPECT_DOUBLE_EQ(cuts_of({1, 4, 0}).c1, 4);  // one map has no deviation
  EXPECT_DOUBLE_EQ(cuts_of({1, 4, 0}).c2, 4);
  EXPECT_THAT(refusal(ErrorKind::runtime, [] { cuts_of({}); }), HasSubstr("no heatmaps"));
  EXPECT_THAT(refusal(ErrorKind::runtime, [] { cuts_of({5, 0, 0}); }), HasSubstr("all heatmaps were 0"));
}

TEST(CutTuning, LooksAtTheSumsOfTheGoldenVector) {
  const hdf5::Group group = golden_file("loss_gwrp.h5").group("ze_tuneCut");
  const at::Tensor sums = golden_tensor(group, "output/sum_abs");
  CutTuning tuning(1);
  tuning.add(0, golden_tensor(group, "input/R"), 3);
  const Moments& moments = tuning.places().at(0);
  EXPECT_EQ(moments.count, 12);
  EXPECT_NEAR(moments.mean, sums.mean().item<double>(), 1e-12);
  EXPECT_NEAR(moments.deviation(), sums.std(/*unbiased=*/true).item<double>(), 1e-12);
}

TEST(CutTuning, LeavesOutPaddingAndMapsThatAreNotFinite) {
  at::Tensor maps = at::ones({3, 2, 3, 4, 5});
  maps[0][1][0][0][0] = std::numeric_limits<float>::quiet_NaN();
  CutTuning tuning(1);
  tuning.add(0, maps, 2);
  EXPECT_EQ(tuning.places().at(0).count, 3);
  EXPECT_EQ(tuning.places().at(0).mean, 60);
}

TEST(CutTuning, GoesOnFromAStateBitByBit) {
  CutTuning whole(2), first(2), second(2);
  for (int i = 0; i < 6; ++i) {
    const at::Tensor maps = at::randn({2, 3, 3, 4, 5});
    if (i == 3) second.set_state(first.state());
    for (const std::size_t place : {0, 1}) {
      const at::Tensor own = place == 0 ? maps : maps * 3;
      whole.add(place, own, 2);
      (i < 3 ? first : second).add(place, own, 2);
    }
  }
  EXPECT_EQ(whole.state(), second.state());
  EXPECT_THAT(refusal(ErrorKind::checkpoint, [&] { second.set_state({1, 2, 3}); }),
              HasSubstr("--supervised-layers"));
}

TEST(CutTuning, ItsResultComesBackExactlyAsOptionsForEveryLayerAndKind) {
  auto options = model_options();
  options.set("supervised-layers", "a,b");
  const Supervision before(options, 2);
  std::vector<Cuts> cuts;
  for (int i = 1; i <= 6; ++i) cuts.push_back({i / 3.0, 10 + i / 7.0});
  for (const auto& [name, value] : before.options_of(cuts)) options.set(name, value);
  const auto metrics = Supervision(options, 2).metrics();
  ASSERT_EQ(metrics.size(), 12u);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(metrics[2 * i].second, cuts[i].c1) << metrics[2 * i].first;
    EXPECT_EQ(metrics[2 * i + 1].second, cuts[i].c2) << metrics[2 * i + 1].first;
  }
  EXPECT_EQ(metrics[0].first, "cut_0");
  EXPECT_EQ(metrics[7].first, "cut2_a_1");
}

TEST(CutTuning, NeedsALossWithCuts) {
  auto options = model_options();
  options.set("tune-cut", "3");
  options.set("heatmap-loss", "activated");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { objectives().at("isnet").make(options); }),
              HasSubstr("--tune-cut: '3' is not allowed with --heatmap-loss activated"));
}

TEST(HeatmapWeight, FollowsItsTable) {
  const HeatmapWeight table("0:0.1,5:0.5,10:0.7");
  for (const auto& [epoch, weight] :
       {std::pair{0, 0.1}, {4, 0.1}, {5, 0.5}, {9, 0.5}, {10, 0.7}, {1000, 0.7}})
    EXPECT_EQ(table.at(epoch), weight) << epoch;
  EXPECT_EQ(table.last(), 0.7);
  EXPECT_TRUE(HeatmapWeight("0.25").constant());
  EXPECT_EQ(HeatmapWeight("0.25").at(3), 0.25);
}

TEST(HeatmapWeight, RefusesWhatIsNoTableAndNamesTheEntry) {
  for (const auto& [text, entry] : {std::pair{"0:0.1,5:-0.1", "5:-0.1"},
                                    {"0:0.1,5:nan", "5:nan"},
                                    {"0:0.1,0:0.2", "0:0.2"},
                                    {"0:0.1,7:0.2,5:0.3", "5:0.3"},
                                    {"1:0.1,5:0.2", "1:0.1"},
                                    {"0:0.1,0.2", "0.2"},
                                    {"0:0.1,", ""},
                                    {"0:0.1,x:0.2", "x:0.2"},
                                    {"0:0.1,5:", "5:"}}) {
    auto options = model_options();
    EXPECT_THAT(refusal(ErrorKind::usage, [&, bad = text] { options.set("heatmap-weight", bad); }),
                AllOf(HasSubstr("--heatmap-weight"), HasSubstr(cat("('", entry, "' is none)"))));
  }
  for (const char* bad : {"-0.1", "", "nan", "inf", "0,5"}) {
    auto options = model_options();
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { options.set("heatmap-weight", bad); }), HasSubstr("0 to 1"))
        << bad;
  }
  // A share of the total is at most 1; rrr's weight is none.
  EXPECT_THAT(refusal(ErrorKind::usage, [] { HeatmapWeight("1.1"); }),
              AllOf(HasSubstr("--heatmap-weight: '1.1'"), HasSubstr("0 to 1")));
  EXPECT_THAT(refusal(ErrorKind::usage, [] { HeatmapWeight("0:0.1,5:1.5"); }),
              HasSubstr("('5:1.5' is none)"));
}

// An objective that trains: P follows the epochs, the warm-up is a classifier, and the cuts it finds are
// used.
TEST(IsnetObjective, WarmsUpFindsItsCutsAndGoesOnWithThem) {
  auto options = model_options();
  for (const auto& [name, value] : {std::pair{"layers", "4,M,6"}, {"pool", "2,2"}, {"hidden", "8"}})
    options.set(name, value);
  const auto network = networks().at("vgg").make(options, 3);
  network->place(at::kCPU, at::kDouble);
  network->train();
  Batch batch;
  batch.images = at::rand({4, 3, 12, 10}, at::kDouble);
  batch.masks = (at::rand({4, 1, 12, 10}, at::kDouble) > 0.5).to(at::kDouble);
  batch.labels = at::arange(4, at::kLong) % 3;
  batch.ids = at::arange(4, at::kLong);
  options.set("tune-cut", "2");
  options.set("heatmap-weight", "0:0.2,3:0.6");
  options.set("supervised-layers", "features.2");
  const auto objective = objectives().at("isnet").make(options);

  objective->start_epoch(0);
  EXPECT_FALSE(objective->comparable(0));
  Losses losses = objective->compute(*network, batch);
  EXPECT_EQ(losses.parts.size(), 1u);
  EXPECT_TRUE(
      at::equal(losses.total, objectives().at("classifier").make(options)->compute(*network, batch).total));
  EXPECT_TRUE(objective->gathered().empty());

  objective->start_epoch(1);
  losses = objective->compute(*network, batch);
  EXPECT_EQ(losses.parts.size(), 1u);
  ASSERT_EQ(objective->gathered().size(), 6u);
  EXPECT_EQ(objective->gathered()[0], 12);
  network->eval();
  objective->compute(*network, batch);
  network->train();
  EXPECT_EQ(objective->gathered()[0], 12) << "validation is not looked at";
  const auto moments = CutTuning::merged({objective->gathered()});
  objective->finish_epoch({objective->gathered()});
  EXPECT_TRUE(objective->gathered().empty());

  objective->start_epoch(2);
  EXPECT_FALSE(objective->comparable(2));
  EXPECT_TRUE(objective->comparable(3));
  losses = objective->compute(*network, batch);
  auto settled = options;
  settled.set("tune-cut", "0");
  settled.set("heatmap-weight", "0.2");
  settled.set("cut", exact(cuts_of(moments[0]).c1));
  settled.set("cut2", exact(cuts_of(moments[0]).c2));
  settled.set("supervised-cut", exact(cuts_of(moments[1]).c1));
  settled.set("supervised-cut2", exact(cuts_of(moments[1]).c2));
  const Losses expected = objectives().at("isnet").make(settled)->compute(*network, batch);
  EXPECT_TRUE(at::equal(losses.total, expected.total));
  ASSERT_EQ(losses.parts.size(), 4u);
  EXPECT_EQ(objective->settings().at(0), (std::pair<std::string, double>{"heatmap_weight", 0.2}));
  EXPECT_EQ(objective->settings().at(1).second, cuts_of(moments[0]).c1);

  // One made with what was found, as a resumed run and `isnet evaluate` make it.
  const auto resumed = objectives().at("isnet").make(options);
  EXPECT_THAT(refusal(ErrorKind::checkpoint, [&] { resumed->start_epoch(2); }), HasSubstr("lacks the cuts"));
  resumed->set_found_options(objective->found_options());
  resumed->start_epoch(2);
  EXPECT_TRUE(at::equal(resumed->compute(*network, batch).total, losses.total));
}

}  // namespace
}  // namespace isnet
