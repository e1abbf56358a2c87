// AG-Sononet against vectors of another program, and what they do not hold: other aggregations, constant
// maps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <iostream>

#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/networks/attention_gate.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using namespace isnet::testing;

std::string attention_norm(const hdf5::Group& group) {
  std::string mode = group.attribute<std::string>("nonlocal_mode");
  mode = mode.substr(std::string("concatenation_").size());
  std::replace(mode.begin(), mode.end(), '_', '-');
  return mode;
}

std::shared_ptr<Network> network_of(const hdf5::Group& group) {
  auto options = model_options();
  options.set("feature-scale", "32");
  options.set("attention-norm", attention_norm(group));
  auto network = networks().at("ag-sononet").make(options, group.attribute<std::int64_t>("classes"));
  network->place(at::kCPU, at::kDouble);
  load(*network, group.group("weights"));
  return network;
}

using Case = std::pair<const char*, const char*>;
class AgSononetGolden : public ::testing::TestWithParam<Case> {};

TEST_P(AgSononetGolden, LogitsAttentionHeatmapsLossesAndGradientsAreReached) {
  const hdf5::Group group = golden_file(GetParam().first).group(GetParam().second);
  const auto network = network_of(group);
  const bool train = group.attribute<std::string>("mode") == "train";
  Batch batch;
  batch.images = golden_tensor(group, "input/x");
  batch.masks = golden_tensor(group, "input/mask");
  batch.labels = golden_tensor(group, "input/label");
  batch.ids = at::arange(batch.size(), at::kLong);

  TapeContext context;
  context.recording = true;
  context.statistics = train ? BatchStatistics::batch : BatchStatistics::running;
  Tape tape(context);
  const Value out = network->forward(tape, batch.images);
  LrpOptions lrp;
  lrp.epsilon = group.attribute<double>("eps");
  const auto selection = heatmap_selections().at("all").make(model_options());
  const at::Tensor maps =
      relevance(tape, out, selection->select(logits_of(tape, out, lrp), batch, 0), lrp).pixels;
  Worst worst;
  worst.add("y", relative_difference(tape.output(out), golden_tensor(group, "output/y")));
  ASSERT_EQ(tape.shown().size(), 2u);
  for (std::size_t k = 0; k < 2; ++k)
    worst.add(
        cat("attention", k + 1),
        relative_difference(tape.shown()[k].second, golden_tensor(group, cat("output/attention", k + 1))));
  worst.add("R", relative_difference(maps, golden_tensor(group, "output/R")));
  if (group.exists("grad")) {
    (maps * golden_tensor(group, "input/w")).sum().backward();
    const Worst gradient = worst_gradient(*network, golden_tensors(group.group("grad")));
    worst.add("gradient of " + gradient.name(), gradient.value());
  }
  const auto copy = network_of(group);
  copy->train(train);
  const Losses losses = objectives().at("isnet").make(model_options())->compute(*copy, batch);
  for (const auto& [name, loss] : losses.parts)
    worst.add(name, relative_difference(loss, golden_tensor(group, "output/" + name)));
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  std::cout << "worst: " << worst.name() << " " << worst.value() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(
    Groups, AgSononetGolden,
    ::testing::Values(Case{"agsononet.h5", "softmax_eval"}, Case{"agsononet.h5", "mean_flow_eval"},
                      Case{"agsononet.h5", "softmax_train"}, Case{"agsononet_more.h5", "oddsize_eval"},
                      Case{"agsononet_more.h5", "range_normalise_eval"},
                      Case{"agsononet_more.h5", "sigmoid_eval"}, Case{"agsononet_more.h5", "mean_eval"}),
    [](const auto& test) { return std::string(test.param.second); });

class AgSononet : public ::testing::TestWithParam<const char*> {
 protected:
  OptionValues options(const std::string& aggregation) const {
    auto values = model_options();
    values.set("feature-scale", "16");
    values.set("aggregation", aggregation);
    return values;
  }
  std::shared_ptr<Network> make(const OptionValues& values, std::int64_t classes = 3) const {
    at::manual_seed(7);
    auto network = networks().at("ag-sononet").make(values, classes);
    network->place(at::kCPU, at::kDouble);
    return network;
  }
  Batch batch() const {
    at::manual_seed(8);
    Batch made;
    made.images = at::rand({3, 3, 33, 34}, at::kDouble);
    made.masks = at::zeros({3, 1, 33, 34}, at::kDouble);
    made.masks.narrow(2, 8, 16).fill_(1);
    made.labels = at::tensor({0, 2, 1}, at::kLong);
    made.ids = at::arange(3, at::kLong);
    return made;
  }
};

// Every aggregation trains by every objective that looks at heatmaps, in both forms of LRP, and every
// parameter gets a gradient.
TEST_P(AgSononet, TrainsByHeatmapObjectivesInBothForms) {
  for (const char* objective : {"classifier", "isnet", "rrr", "gradient-x-input"})
    for (const char* form : {"block", "flex"}) {
      auto values = options(GetParam());
      values.set("lrp-form", form);
      const auto network = make(values);
      network->train();
      const Losses losses = objectives().at(objective).make(values)->compute(*network, batch());
      ASSERT_TRUE(std::isfinite(losses.total.item<double>())) << objective;
      EXPECT_EQ(losses.logits.sizes(), at::IntArrayRef({3, 3}));
      losses.total.backward();
      for (const auto& parameter : network->named_parameters()) {
        ASSERT_TRUE(parameter.value().grad().defined()) << objective << " " << parameter.key();
        EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Aggregations, AgSononet, ::testing::Values("concat", "mean", "deep-sup", "ft"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

using AgSononetHeads = AgSononet;

TEST_F(AgSononetHeads, MeanPredictsTheMeanOfProbabilitiesAndLearnsFromEachHead) {
  const auto values = options("mean");
  const auto network = make(values);
  network->eval();
  Tape tape({});
  const Value out = network->forward(tape, batch().images);
  ASSERT_EQ(tape.heads().size(), 3u);
  at::Tensor probabilities, logits, loss;
  for (const auto& [head, weight] : tape.heads()) {
    EXPECT_EQ(weight, 1);
    const at::Tensor y = tape.output(head), own = at::cross_entropy_loss(y, batch().labels);
    probabilities = probabilities.defined() ? probabilities + y.softmax(1) / 3 : y.softmax(1) / 3;
    logits = logits.defined() ? logits + y / 3 : y / 3;
    loss = loss.defined() ? loss + own : own;
  }
  EXPECT_LE(relative_difference(tape.prediction(out).softmax(1), probabilities), 1e-12);
  EXPECT_LE(relative_difference(tape.output(out), logits), 1e-12);
  const Losses losses = objectives().at("classifier").make(values)->compute(*network, batch());
  EXPECT_LE(relative_difference(losses.total, loss), 1e-12);
  EXPECT_LE(relative_difference(network->logits(batch().images), losses.logits), 1e-12);
}

TEST_F(AgSononetHeads, GatesHeadsDoNotCountBeforeTheirEpoch) {
  auto values = options("deep-sup");
  values.set("late-gate", "2");
  const auto network = make(values);
  const auto weights = [&](std::uint64_t epoch) {
    TapeContext context;
    context.epoch = epoch;
    Tape tape(context);
    network->forward(tape, batch().images);
    std::vector<double> result;
    for (const auto& head : tape.heads()) result.push_back(head.second);
    return result;
  };
  network->train();
  EXPECT_EQ(weights(1), (std::vector<double>{0, 0, 0.1, 1}));
  EXPECT_EQ(weights(2), (std::vector<double>{0.1, 0.1, 0.1, 1}));
  network->eval();
  EXPECT_EQ(weights(0), (std::vector<double>{0.1, 0.1, 0.1, 1}));
}

TEST_F(AgSononetHeads, RelevanceIsConservedWithoutConstantsAndEpsilon) {
  for (const char* aggregation : {"concat", "mean", "ft"}) {
    auto values = options(aggregation);
    values.set("sononet-batch-norm", "0");
    const auto network = make(values);
    const at::NoGradGuard no_grad;
    for (const auto& parameter : network->named_parameters())
      if (parameter.value().dim() == 1 && parameter.key().find("psi") == std::string::npos)
        parameter.value().zero_();
    TapeContext context;
    context.recording = true;
    Tape tape(context);
    const Value out = network->forward(tape, batch().images);
    LrpOptions lrp;
    lrp.epsilon = 1e-10;
    lrp.first_layer = "epsilon";
    const auto selection = heatmap_selections().at("all").make(values);
    const at::Tensor maps =
        relevance(tape, out, selection->select(logits_of(tape, out, lrp), batch(), 0), lrp).pixels;
    EXPECT_LE(relative_difference(maps.sum({2, 3, 4}), tape.output(out)), 1e-5) << aggregation;
  }
}

TEST_F(AgSononetHeads, TooSmallImagesAndScalesAreRefused) {
  const auto network = make(options("concat"));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { network->logits(at::zeros({1, 3, 15, 40}, at::kDouble)); }),
              HasSubstr("at least 16 pixels a side are needed"));
}

TEST(AttentionNorm, IsUniformAndConstantWhereScoresAreEqual) {
  const at::Tensor equal = at::full({1, 1, 2, 3}, 0.25, at::kDouble);
  for (const auto norm : {AttentionNorm::mean_flow, AttentionNorm::range_normalise}) {
    const at::Tensor scores = at::cat({equal, at::rand({1, 1, 2, 3}, at::kDouble)}).requires_grad_(true);
    const at::Tensor map = normalized_attention(scores, norm);
    EXPECT_LE(relative_difference(map[0], at::full({1, 2, 3}, 1.0 / 6, at::kDouble)), 1e-15);
    (map * at::rand({2, 1, 2, 3}, at::kDouble)).sum().backward();
    EXPECT_TRUE(scores.grad().isfinite().all().item<bool>());
    EXPECT_EQ(largest(scores.grad()[0]), 0);
    EXPECT_GT(largest(scores.grad()[1]), 0);
  }
  const at::Tensor single =
      normalized_attention(at::rand({2, 1, 1, 1}, at::kDouble), AttentionNorm::mean_flow);
  EXPECT_EQ(single.min().item<double>(), 1);
}

}  // namespace
}  // namespace isnet
