// Properties of the relevance walk.
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/utils.h>

#include "base/random.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/network.h"
#include "model/objectives/objective.h"
#include "support/golden.h"
#include "support/model.h"

namespace isnet {
namespace {

using namespace isnet::testing;

std::shared_ptr<Network> small_densenet(std::int64_t classes, const char* blocks = "2,3") {
  torch::manual_seed(1);
  auto options = model_options();
  options.set("growth-rate", "4");
  options.set("init-features", "6");
  options.set("blocks", blocks);
  auto network = networks().at("densenet").make(options, classes);
  network->place(at::kCPU, at::kDouble);
  return network;
}

Batch random_batch(std::int64_t size, std::int64_t height, std::int64_t width, std::int64_t classes) {
  Batch batch;
  batch.images = at::rand({size, 3, height, width}, at::kDouble);
  batch.masks = (at::rand({size, 1, height, width}, at::kDouble) > 0.5).to(at::kDouble);
  batch.labels = at::arange(size, at::kLong) % classes;
  batch.ids = at::arange(size, at::kLong);
  return batch;
}

// Heatmaps of all classes, or of `classes` (B×M).
at::Tensor heatmaps_of(Network& network, const Batch& batch, const LrpOptions& options,
                       at::Tensor* logits = nullptr, const at::Tensor& classes = {}) {
  Tape tape(context_for(network, batch, 0, true));
  const Value y = network.forward(tape, batch.images);
  if (logits) *logits = tape.output(y);
  const LrpStart start =
      classes.defined()
          ? start_at(classes, tape.output(y))
          : heatmap_selections().at("all").make(model_options())->select(tape.output(y), batch, 0).start;
  return relevance(tape, y, start, options);
}

void remove_constants(Network& network) {
  at::NoGradGuard no_grad;
  for (auto& entry : network.named_parameters())
    if (entry.key().find("bias") != std::string::npos) entry.value().zero_();
}

TEST(Relevance, IsConservedWithoutConstantsAndEpsilon) {
  for (const auto form : {LrpForm::block, LrpForm::flex}) {
    auto network = small_densenet(3, "3,4,2");
    remove_constants(*network);
    network->eval();
    const Batch batch = random_batch(2, 41, 36, 3);
    at::Tensor logits;
    const at::Tensor maps = heatmaps_of(*network, batch, {form, 1e-12, "epsilon"}, &logits);
    EXPECT_LE(relative_difference(maps.sum({2, 3, 4}), logits), 1e-8);
  }
}

class EveryFamily : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryFamily, ConservesRelevanceWithoutConstantsAndEpsilon) {
  torch::manual_seed(2);
  auto options = model_options();
  options.set("hidden", "16");
  options.set("pool", "3,2");
  const auto network = networks().at(GetParam()).make(options, 3);
  network->place(at::kCPU, at::kDouble);
  remove_constants(*network);
  network->eval();
  at::Tensor logits;
  const at::Tensor maps =
      heatmaps_of(*network, random_batch(1, 65, 70, 3), {LrpForm::block, 1e-12, "epsilon"}, &logits);
  EXPECT_LE(relative_difference(maps.sum({2, 3, 4}), logits), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Networks, EveryFamily,
                         ::testing::Values("densenet121", "resnet18", "resnet50", "vgg"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Relevance, IsGradientTimesInputAsEpsilonVanishesInEvalMode) {
  auto network = small_densenet(2);
  network->eval();
  Batch batch = random_batch(2, 32, 32, 2);
  batch.images.requires_grad_();
  at::Tensor logits;
  const at::Tensor maps = heatmaps_of(*network, batch, {LrpForm::flex, 1e-13, "epsilon"}, &logits);
  for (std::int64_t c = 0; c < 2; ++c) {
    const at::Tensor gradient =
        torch::autograd::grad({logits.select(1, c).sum()}, {batch.images}, {}, /*retain_graph=*/true)[0];
    EXPECT_LE(relative_difference(maps.select(1, c), gradient * batch.images), 1e-6);
  }
}

TEST(Relevance, AnyImageSizeWorks) {
  for (const auto& [height, width] : {std::pair{33, 47}, {21, 20}, {40, 25}, {17, 64}}) {
    auto network = small_densenet(2);
    network->train();
    Batch batch = random_batch(2, height, width, 2);
    const auto objective = objectives().at("isnet").make(model_options());
    const Losses losses = objective->compute(*network, batch);
    losses.total.backward();
    for (const auto& p : network->parameters()) EXPECT_TRUE(p.grad().isfinite().all().item<bool>());
  }
}

TEST(Relevance, MapsComputedTogetherEqualThoseComputedOneByOne) {
  auto network = small_densenet(3);
  network->eval();
  const Batch batch = random_batch(3, 35, 32, 3);
  const at::Tensor together = heatmaps_of(*network, batch, {});
  for (std::int64_t c = 0; c < 3; ++c) {
    const at::Tensor alone = heatmaps_of(*network, batch, {}, nullptr, at::full({3, 1}, c, at::kLong));
    EXPECT_LE(relative_difference(alone.select(1, 0), together.select(1, c)), 1e-12);
  }
}

TEST(Relevance, DoesNotDependOnTheOtherImagesInEvalMode) {
  auto network = small_densenet(2);
  network->eval();
  Batch batch = random_batch(4, 32, 33, 2);
  const at::Tensor together = heatmaps_of(*network, batch, {});
  Batch one = batch;
  one.images = batch.images.narrow(0, 2, 1);
  one.ids = batch.ids.narrow(0, 2, 1);
  EXPECT_LE(relative_difference(heatmaps_of(*network, one, {}), together.narrow(0, 2, 1)), 1e-11);
}

// d/dθ of a functional of the heatmap, against central differences of the heatmap with the constants of the
// rule (biases, statistics) held: in eval mode these are parameters and buffers that θ does not touch.
TEST(Relevance, GradientsOfWeightsAreThoseOfFiniteDifferences) {
  auto network = small_densenet(2);
  network->eval();
  const Batch batch = random_batch(2, 24, 24, 2);
  const at::Tensor direction = at::randn({2, 2, 3, 24, 24}, at::kDouble);
  const auto functional = [&] { return (heatmaps_of(*network, batch, {}) * direction).sum(); };
  expect_gradients_of_finite_differences(*network, functional);
}

// A batch norm that reads a residual sum is a layer of its own: both have their gate in the block form, and
// none but those of ReLUs in the flex form.
TEST(Relevance, ABatchNormBehindAResidualSumLeavesTheSumItsGate) {
  torch::manual_seed(3);
  const auto no_bias = torch::nn::Conv2dOptions(3, 4, 3).padding(1).bias(false);
  torch::nn::Conv2d first(no_bias), second(torch::nn::Conv2dOptions(4, 4, 3).padding(1).bias(false));
  torch::nn::BatchNorm2d norm(4);
  torch::nn::Linear head(torch::nn::LinearOptions(4 * 5 * 5, 2).bias(false));
  for (torch::nn::Module* module :
       {static_cast<torch::nn::Module*>(first.get()), static_cast<torch::nn::Module*>(second.get()),
        static_cast<torch::nn::Module*>(norm.get()), static_cast<torch::nn::Module*>(head.get())})
    module->to(at::kDouble);
  const at::NoGradGuard no_grad;
  norm->running_mean.normal_();
  const double epsilon = 0.1;
  const at::Tensor x = at::rand({1, 3, 5, 5}, at::kDouble);
  for (const auto form : {LrpForm::block, LrpForm::flex}) {
    TapeContext context;
    context.recording = true;
    Tape tape(std::move(context));
    const Value a = tape.relu(tape.convolution(tape.input(x, {}), first));
    const Value b = tape.convolution(a, second);
    const Value sum = tape.add(a, b);
    const Value n = tape.batch_norm(sum, norm);
    const Value r = tape.relu(n);
    const Value y = tape.linear(tape.flatten(r), head);
    const LrpStart start = start_at(at::zeros({1, 1}, at::kLong), tape.output(y));
    const at::Tensor heatmap = relevance(tape, y, start, {form, epsilon, "epsilon"});

    // The same by hand.
    const auto gate = [&](Value out, Value z) {
      return tape.output(out) / stabilized(tape.output(z), epsilon);
    };
    const auto own = [&](Value z) {
      return form == LrpForm::block ? gate(z, z) : at::ones_like(tape.output(z));
    };
    at::Tensor c = (own(y).select(1, 0) * head->weight[0]).view({1, 4, 5, 5}) * gate(r, n);
    c = c * (norm->weight / (norm->running_var + norm->options.eps()).sqrt()).view({1, 4, 1, 1}) * own(sum);
    const at::Tensor branch = at::conv_transpose2d(c * own(b), second->weight, {}, 1, 1);
    const Value z1{a.node - 1};
    const at::Tensor pixels = at::conv_transpose2d((c + branch) * gate(a, z1), first->weight, {}, 1, 1);
    EXPECT_LE(relative_difference(heatmap.select(1, 0), pixels * x), 1e-13);
  }
}

// Its relevance is known behind each reader only, so rules that need it at the convolution refuse.
TEST(Relevance, FirstLayersWithABatchNormAmongSeveralReadersAreRefused) {
  torch::nn::Conv2d conv(torch::nn::Conv2dOptions(3, 3, 3).padding(1));
  torch::nn::BatchNorm2d norm(3);
  torch::nn::Linear head(3 * 5 * 5, 2);
  const auto heatmap = [&](const char* first_layer) {
    TapeContext context;
    context.recording = true;
    Tape tape(std::move(context));
    const Value x = tape.convolution(tape.input(at::rand({1, 3, 5, 5}), {}), conv);
    const Value y = tape.linear(tape.flatten(tape.add(x, tape.batch_norm(x, norm))), head);
    return relevance(tape, y, start_at(at::zeros({1, 1}, at::kLong), tape.output(y)),
                     {LrpForm::block, 0.01, first_layer});
  };
  EXPECT_TRUE(heatmap("epsilon").isfinite().all().item<bool>());
  for (const char* rule : {"zb", "w2"}) {
    try {
      heatmap(rule);
      ADD_FAILURE() << rule;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_NE(std::string(error.what()).find("--first-layer epsilon"), std::string::npos) << error.what();
    }
  }
}

TEST(Relevance, TheDenominatorsConstantsGetNoGradientFromThem) {
  // The head's bias is live in the numerator y only; in the denominator it is a constant.
  auto network = small_densenet(2);
  network->eval();
  const Batch batch = random_batch(1, 24, 24, 2);
  at::Tensor logits;
  const at::Tensor maps = heatmaps_of(*network, batch, {}, &logits);
  const at::Tensor bias = network->named_parameters()["classifier.bias"];
  const at::Tensor gradient = torch::autograd::grad({maps.select(1, 0).sum()}, {bias})[0];
  // Σ R of class 0 is proportional to y_0/(y_0' + ε s): its derivative by the live y_0 is ΣR / y_0.
  const double expected = maps.select(1, 0).sum().item<double>() / logits[0][0].item<double>();
  EXPECT_NEAR(gradient[0].item<double>(), expected, 1e-9 * std::abs(expected));
  EXPECT_EQ(gradient[1].item<double>(), 0);
}

TEST(Relevance, NormalisedInputsHaveTheSameBoundsInTheFirstLayersRule) {
  // A network that normalises by (M, S) equals one that does not, with its first weights and bias changed; in
  // the interior of the image (padding is not a pixel) z^B gives both the same heatmap.
  auto network = small_densenet(2);
  network->eval();
  const Batch batch = random_batch(1, 48, 48, 2);
  network->normalization = parse_normalization("0.0,0.25");
  const at::Tensor scaled_input = heatmaps_of(*network, batch, {});
  network->normalization = {};
  {
    at::NoGradGuard no_grad;
    network->named_parameters()["features.conv0.weight"].div_(0.25);
  }
  EXPECT_LE(relative_difference(scaled_input, heatmaps_of(*network, batch, {})), 1e-10);
}

TEST(Dropout, DependsOnSeedEpochAndSampleAlone) {
  auto options = model_options();
  options.set("dropout", "0.5");
  options.set("blocks", "2,2");
  torch::manual_seed(0);
  const auto network = networks().at("densenet").make(options, 2);
  network->place(at::kCPU, at::kDouble);
  network->eval();
  Batch batch = random_batch(4, 32, 32, 2);
  const auto logits = [&](const Batch& b, std::uint64_t seed) {
    TapeContext context = context_for(*network, b, seed, false);
    context.dropout = true;
    Tape tape(context);
    return tape.output(network->forward(tape, b.images));
  };
  Batch half;
  half.images = batch.images.narrow(0, 2, 2);
  half.ids = batch.ids.narrow(0, 2, 2);
  EXPECT_LE(relative_difference(logits(half, 1), logits(batch, 1).narrow(0, 2, 2)), 1e-12);
  EXPECT_FALSE(at::allclose(logits(batch, 2), logits(batch, 1)));
  Batch later = batch;
  later.epoch = 1;
  EXPECT_FALSE(at::allclose(logits(later, 1), logits(batch, 1)));
}

TEST(StochasticSelection, TakesTheWinnerWithItsProbabilityAndTheOthersEvenly) {
  constexpr std::int64_t samples = 22000, classes = 4;
  Batch batch;
  batch.ids = at::arange(samples, at::kLong);
  const at::Tensor logits = at::tensor({0.0, 3.0, 1.0, 2.0}, at::kDouble).expand({samples, classes});
  const auto selected = heatmap_selections().at("stochastic").make(model_options())->select(logits, batch, 5);
  const at::Tensor counts = at::bincount(selected.classes.flatten(), {}, classes);
  EXPECT_NEAR(counts[1].item<double>(), samples * 5.0 / 11, 5 * 74);
  for (const std::int64_t other : {0, 2, 3})
    EXPECT_NEAR(counts[other].item<double>(), samples * 2.0 / 11, 5 * 58);
  const at::Tensor one = at::zeros({samples, 1}, at::kDouble);
  EXPECT_EQ(heatmap_selections()
                .at("stochastic")
                .make(model_options())
                ->select(one, batch, 5)
                .classes.sum()
                .item<double>(),
            0);
}

TEST(Normalization, TextFormsAreReadBackExactly) {
  for (const char* text : {"none", "imagenet", "0.5,0.25", "0.1,0.2,0.3,0.4,0.5,0.6"}) {
    const auto normalization = parse_normalization(text);
    const auto again = parse_normalization(to_text(normalization));
    EXPECT_EQ(again.mean, normalization.mean);
    EXPECT_EQ(again.std, normalization.std);
  }
  for (const char* text : {"", "0.5", "0,0", "0,-1", "1,2,3", "a,b", "nan,1"})
    EXPECT_THROW(parse_normalization(text), Error) << text;
}

}  // namespace
}  // namespace isnet
