// Properties of all rules on every family of networks, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/utils.h>

#include "model/lrp/layer_rule.h"
#include "small_networks.h"
#include "support/golden.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

class Family : public ::testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<Network> network_ = small_network(GetParam());
  std::vector<OptionValues> every_rule() const {
    return {options_with({}), options_with({{"lrp-form", "flex"}}), options_with({{"lrp-rule", "zplus"}}),
            options_with({{"lrp-rule", "alpha-beta"}}), options_with({{"first-layer", "w2"}})};
  }
};

TEST_P(Family, MapsTogetherEqualMapsOneByOneUnderEveryRule) {
  const Batch batch = random_batch(3);
  for (auto options : every_rule()) {
    const at::Tensor together = explain(*network_, batch, options).heatmaps;
    options.set("heatmaps", "label");
    for (std::int64_t c = 0; c < 3; ++c) {
      Batch one = batch;
      one.labels = at::full({3}, c, at::kLong);
      EXPECT_LE(
          relative_difference(explain(*network_, one, options).heatmaps.select(1, 0), together.select(1, c)),
          1e-11)
          << options.text("lrp-rule");
    }
  }
}

TEST_P(Family, AnImagesMapsDoNotDependOnTheOthersInEvalMode) {
  const Batch batch = random_batch(4);
  for (const auto& options : every_rule()) {
    const at::Tensor together = explain(*network_, batch, options).heatmaps;
    Batch one = batch;
    one.images = batch.images.narrow(0, 2, 1);
    one.ids = batch.ids.narrow(0, 2, 1);
    EXPECT_LE(relative_difference(explain(*network_, one, options).heatmaps, together.narrow(0, 2, 1)), 1e-11)
        << options.text("lrp-rule");
  }
}

void remove_constants(Network& network) {
  const at::NoGradGuard no_grad;
  for (auto& entry : network.named_parameters())
    if (entry.key().find("bias") != std::string::npos) entry.value().zero_();
  for (auto& entry : network.named_buffers())
    if (entry.key().find("running_mean") != std::string::npos) entry.value().zero_();
}

TEST_P(Family, RelevanceIsConservedWithoutConstantsAsEpsilonVanishes) {
  remove_constants(*network_);
  for (const char* form : {"block", "flex"}) {
    const auto options =
        options_with({{"lrp-form", form}, {"lrp-epsilon", "1e-12"}, {"first-layer", "epsilon"}});
    const Explained explained = explain(*network_, random_batch(2), options);
    EXPECT_LE(relative_difference(explained.heatmaps.sum({2, 3, 4}), explained.logits), 1e-8) << form;
  }
}

// Not of the logits: z⁺ starts at those that positive weights make.
TEST_P(Family, PositiveContributionsAloneConserveTheirStart) {
  remove_constants(*network_);
  const auto options = options_with({{"lrp-rule", "zplus"}, {"lrp-epsilon", "1e-12"}, {"first-layer", "w2"}});
  const at::Tensor maps = explain(*network_, random_batch(2), options).heatmaps;
  EXPECT_GE(maps.min().item<double>(), 0);  // and nothing speaks against a class
  EXPECT_GT(maps.max().item<double>(), 0);
}

class FamilyWithoutSums : public Family {};  // z⁺ and αβ differ at residual sums

TEST_P(FamilyWithoutSums, AlphaOneIsZPlusButForItsStart) {
  const Batch batch = random_batch(2);
  const Explained z_plus = explain(*network_, batch, options_with({{"lrp-rule", "zplus"}}));
  const Explained alpha = explain(
      *network_, batch, options_with({{"lrp-rule", "alpha-beta"}, {"lrp-alpha", "1"}, {"lrp-beta", "0"}}));
  // Relevance is linear in its start, y or y⁺ of each map.
  const at::Tensor ratio = z_plus.heatmaps.flatten(2).sum(2) / alpha.heatmaps.flatten(2).sum(2);
  EXPECT_LE(relative_difference(alpha.heatmaps * ratio.view({2, 3, 1, 1, 1}), z_plus.heatmaps), 1e-9);
}

TEST_P(Family, FlexIsGradientTimesInputAsEpsilonVanishes) {
  Batch batch = random_batch(2);
  batch.images.requires_grad_();
  const auto options =
      options_with({{"lrp-form", "flex"}, {"lrp-epsilon", "1e-13"}, {"first-layer", "epsilon"}});
  const Explained explained = explain(*network_, batch, options);
  for (std::int64_t c = 0; c < 3; ++c) {
    const at::Tensor gradient =
        torch::autograd::grad({explained.logits.select(1, c).sum()}, {batch.images}, {},
                              /*retain_graph=*/true)[0];
    EXPECT_LE(relative_difference(explained.heatmaps.select(1, c), gradient * batch.images), 1e-6);
  }
}

TEST_P(Family, DualMapsAreThoseOfZPlusAndEpsilon) {
  const Batch batch = random_batch(3);
  const Explained dual = explain(*network_, batch, options_with({{"heatmaps", "dual"}}));
  ASSERT_EQ(dual.heatmaps.size(1), 2);
  Batch drawn = batch;
  drawn.labels = dual.selected.classes.select(1, 0);
  EXPECT_TRUE(dual.selected.classes.select(1, 1).equal(drawn.labels));
  for (const auto& [map, rule] : {std::pair{0, "zplus"}, {1, "epsilon"}}) {
    const Explained alone =
        explain(*network_, drawn, options_with({{"heatmaps", "label"}, {"lrp-rule", rule}}));
    EXPECT_LE(relative_difference(dual.heatmaps.narrow(1, map, 1), alone.heatmaps), 1e-13) << rule;
  }
}

TEST_P(Family, AnEpsilonOfALayerReplacesTheGeneralOne) {
  const Batch batch = random_batch(2);
  const std::string head = network_->head_name();
  const Explained general = explain(*network_, batch, options_with({{"lrp-epsilon", "0.1"}}));
  const Explained other =
      explain(*network_, batch, options_with({{"lrp-epsilon", "0.1"}, {"lrp-layer-epsilon", head + "=0.4"}}));
  // The logits' gate is y'/(y' + ε s(y')), whose ε alone has changed.
  const at::Tensor factor =
      (stabilized(general.logits, 0.1) / stabilized(general.logits, 0.4)).view({2, 3, 1, 1, 1});
  EXPECT_LE(relative_difference(other.heatmaps, general.heatmaps * factor), 1e-12);

  // Every layer's own, all alike, are a general one: under each rule.
  std::string each;
  for (const auto& child : network_->named_children())
    each += (each.empty() ? "" : ",") + child.key() + "=0.1";
  for (const char* rule : {"epsilon", "zplus"})
    EXPECT_LE(
        relative_difference(
            explain(*network_, batch, options_with({{"lrp-rule", rule}, {"lrp-layer-epsilon", each}})).heatmaps,
            explain(*network_, batch, options_with({{"lrp-rule", rule}, {"lrp-epsilon", "0.1"}})).heatmaps),
        1e-14);
}

INSTANTIATE_TEST_SUITE_P(Networks, Family,
                         ::testing::Values("densenet", "basic", "bottleneck", "vgg", "vgg_bn"),
                         [](const auto& test) { return std::string(test.param); });
INSTANTIATE_TEST_SUITE_P(Networks, FamilyWithoutSums, ::testing::Values("densenet", "vgg", "vgg_bn"),
                         [](const auto& test) { return std::string(test.param); });

// The example of docs/lrp.md.
class PlainEpsilon : public LayerRule {
 public:
  at::Tensor relevance(const LinearLayer& layer, const std::vector<Reader>& readers,
                       const Walk& walk) const override {
    const at::Tensor z = layer.forward(layer.input, layer.weight);
    at::Tensor quotients;  // (B·M)×K×…
    for (const auto& reader : readers) {
      const at::Tensor scale =
          reader.scale.defined() ? per_channel(reader.scale, z) : at::ones({}, z.options());
      const at::Tensor bias = fused_bias(layer, reader, z), scaled = z * scale;
      const at::Tensor end = stabilized(bias.defined() ? scaled + bias : scaled, reader.epsilon);
      const at::Tensor q = walk.scaled(reader.relevance, scale / end);
      quotients = quotients.defined() ? quotients + q : q;
    }
    return walk.scaled(layer.transpose(quotients, layer.weight), layer.input);
  }
};

TEST(LayerRule, EpsilonWrittenAsARuleIsTheWalkOfCoefficients) {
  double worst = 0;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    torch::manual_seed(seed);
    const auto network = std::make_shared<oracle::RandomNetwork>(seed, 13, 12, 2);
    network->place(at::kCPU, at::kDouble);
    oracle::randomize_constants(*network);
    TapeContext context;
    context.recording = true;
    Tape tape(std::move(context));
    const Value y = network->forward(tape, at::rand({2, 3, 13, 12}, at::kDouble));
    const LrpStart start = start_at(at::tensor({0, 1}, at::kLong).expand({2, 2}), tape.output(y));
    LrpOptions options{LrpForm::block, 0.03, "zb"};
    const at::Tensor coefficients = relevance(tape, y, start, options);
    options.rule = std::make_shared<PlainEpsilon>();
    const double error = relative_difference(relevance(tape, y, start, options), coefficients);
    EXPECT_LE(error, 1e-10) << network->description();
    worst = std::max(worst, error);
  }
  std::cout << "worst: " << worst << std::endl;
}

// A layer of one output for one image, and the relevance at its inputs by z⁺.
at::Tensor by_z_plus(const at::Tensor& a, const at::Tensor& w, const std::vector<Reader>& readers,
                     double live_bias = 0) {
  LinearLayer layer;
  layer.input = a;
  layer.weight = w;
  if (live_bias != 0) layer.live_bias = at::full({1}, live_bias, at::kDouble);
  layer.forward = [](const at::Tensor& x, const at::Tensor& weight) { return at::linear(x, weight); };
  layer.transpose = [](const at::Tensor& s, const at::Tensor& weight) { return at::matmul(s, weight); };
  TapeContext context;
  context.recording = true;
  Tape tape(std::move(context));
  tape.input(at::rand({1, 3, 1, 1}, at::kDouble), {});
  const LrpOptions options;
  return layer_rules().at("zplus").make(model_options())->relevance(layer, readers, Walk(tape, options, 1));
}

// From the definition, number by number: R_j = (a_j w_j)⁺ R / (Σ (a w)⁺ + b⁺ + ε).
TEST(ZPlus, SharesByPositiveContributionsOfInputsOfEitherSign) {
  const auto row = [](std::vector<double> values) { return at::tensor(values, at::kDouble).unsqueeze(0); };
  const Reader plain{at::ones({1, 1}, at::kDouble), 0.01, {}, {}};
  const at::Tensor example = by_z_plus(row({-1, 1}), row({1, 1}), {plain});
  EXPECT_EQ(example[0][0].item<double>(), 0);
  EXPECT_NEAR(example[0][1].item<double>(), 1 / 1.01, 1e-15);

  // Contributions −2, −6, 0.5, 4, 0: with a scale of −3 (a batch norm) those below 0 count.
  const std::vector<double> a{-1, 2, 0.5, -2, 0}, w{2, -3, 1, -2, 5};
  const auto scaled = [](double scale, double shift) {
    const auto one = [](double value) { return at::full({1}, value, at::kDouble); };
    return Reader{at::full({1, 1}, 0.7, at::kDouble), 0.05, one(scale), one(shift)};
  };
  for (const double scale : {1.0, 2.5, -3.0}) {
    const at::Tensor relevance = by_z_plus(row(a), row(w), {scaled(scale, 0.2)}, 0.4);
    double sum = std::max(0.2 + scale * 0.4, 0.0);
    for (std::size_t j = 0; j < a.size(); ++j) sum += std::max(scale * a[j] * w[j], 0.0);
    for (std::size_t j = 0; j < a.size(); ++j)
      EXPECT_NEAR(relevance[0][static_cast<std::int64_t>(j)].item<double>(),
                  std::max(scale * a[j] * w[j], 0.0) / (sum + 0.05) * 0.7, 1e-15)
          << scale << " " << j;
  }
}

TEST(ZPlus, NeverSpeaksAgainstAClassWhereLayersReadNegativeNumbers) {
  auto options = options_with({{"lrp-rule", "zplus"}, {"first-layer", "epsilon"}});
  options.set("layers",
              "conv 4 3 pad 1, conv 5 3, avgpool 2, conv 4 1, bn, avgpool global, flatten, linear 6, linear");
  torch::manual_seed(11);
  const auto network = networks().at("sequence").make(options, 3);
  network->place(at::kCPU, at::kDouble);
  oracle::randomize_constants(*network);
  network->eval();
  network->normalization = parse_normalization("imagenet");
  const at::Tensor maps = explain(*network, random_batch(2), options).heatmaps;
  EXPECT_GE(maps.min().item<double>(), 0);
  EXPECT_GT(maps.max().item<double>(), 0);
  EXPECT_LE(maps.max().item<double>(), 100);
}

void expect_refused(const std::map<std::string, std::string>& values, const std::vector<std::string>& texts,
                    bool without_labels = false) {
  const auto network = small_network("densenet");
  Batch batch = random_batch(2);
  if (without_labels) batch.labels = at::Tensor();
  try {
    explain(*network, batch, options_with(values));
    ADD_FAILURE() << texts.front();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    for (const auto& text : texts) EXPECT_THAT(error.what(), HasSubstr(text));
  }
}

TEST(Rules, WhatIsNotDefinedIsRefused) {
  expect_refused({{"lrp-rule", "gamma"}}, {"--lrp-rule: 'gamma'", "alpha-beta|epsilon|zplus"});
  expect_refused({{"lrp-rule", "zplus"}, {"lrp-form", "flex"}},
                 {"--lrp-rule", "'zplus'", "--lrp-form block"});
  expect_refused({{"lrp-rule", "alpha-beta"}, {"lrp-alpha", "2"}, {"lrp-beta", "2"}},
                 {"--lrp-alpha 2", "--lrp-beta 2", "alpha - beta = 1"});
  expect_refused({{"heatmaps", "dual"}, {"lrp-form", "flex"}}, {"'dual'", "--lrp-form block"});
  expect_refused({{"heatmaps", "dual"}, {"lrp-rule", "zplus"}}, {"--lrp-rule", "dual", "epsilon"});
  expect_refused({{"heatmaps", "selective"}, {"lrp-rule", "zplus"}}, {"--lrp-rule", "selective", "epsilon"});
  expect_refused({{"heatmaps", "selective"}, {"selective-class", "label"}}, {"--selective-class", "lowest"},
                 true);
  expect_refused({{"heatmaps", "label"}}, {"'label'", "without labels"}, true);
  expect_refused({{"lrp-layer-epsilon", "features.nothing=0.1"}},
                 {"--lrp-layer-epsilon", "'features.nothing'"});
}

TEST(Rules, EpsilonsOfLayersAreCheckedWhereTheyEnter) {
  for (const char* text : {"a=0", "a=-1", "a", "=1", "a=x", "a=0.1,", "a=0.1,,b=1", ",a=1"}) {
    auto options = model_options();
    EXPECT_THROW(options.set("lrp-layer-epsilon", text), Error) << text;
  }
}

TEST(Rules, CutsOfClassesRefuseMapsOfSeveralClasses) {
  const auto network = small_network("densenet");
  const Batch batch = random_batch(2);
  const auto objective = objectives().at("isnet").make(
      options_with({{"heatmaps", "sum"}, {"cut", "1,2,3"}, {"cut2", "20,30,40"}}));
  try {
    objective->compute(*network, batch);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("several classes"));
  }
}

}  // namespace
}  // namespace isnet
