// Gradients by the pixels, and what the objectives rrr and gradient-x-input make of them: against vectors of
// another program, and the explicit walk against autograd's second derivatives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn/module.h>

#include <iostream>

#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"
#include "model/objectives/forward_pass.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using namespace isnet::testing;

std::shared_ptr<Network> golden_network(const hdf5::File& file) {
  auto options = model_options();
  options.set("growth-rate", "4");
  options.set("blocks", "2,2");
  options.set("init-features", "8");
  auto network = networks().at("densenet").make(options, 3);
  network->place(at::kCPU, at::kDouble);
  load(*network, file.group("weights"));
  return network;
}

Batch golden_batch(const hdf5::File& file, bool multi) {
  Batch batch;
  batch.images = golden_tensor(file, "input/x");
  batch.masks = golden_tensor(file, "input/mask");
  batch.labels = golden_tensor(file, multi ? "input/label_multi" : "input/label");
  batch.ids = at::arange(batch.size(), at::kLong);
  return batch;
}

const at::Tensor& part(const Losses& losses, const std::string& name) {
  for (const auto& [its_name, value] : losses.parts)
    if (its_name == name) return value;
  return losses.total;
}

void expect_gradients(const Network& network, const hdf5::Group& expected) {
  const Worst worst = worst_gradient(network, golden_tensors(expected));
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  std::cout << "worst gradient: " << worst.name() << " " << worst.value() << std::endl;
}

class RrrGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(RrrGolden, InputGradientsLossesAndParameterGradientsAreReached) {
  const hdf5::File file = golden_file("rrr.h5");
  const hdf5::Group group = file.group(GetParam());
  const bool multi = group.attribute<std::int64_t>("multiLabel") != 0;
  const auto network = golden_network(file);
  network->train(std::string(GetParam()) == "train");
  const Batch batch = golden_batch(file, multi);
  auto options = model_options();
  if (multi) options.set("positive-weights", "1,2,0.5");
  const auto objective = objectives().at("rrr").make(options);
  const Losses losses = objective->compute(*network, batch);
  EXPECT_LE(relative_difference(losses.logits, golden_tensor(group, "output/y")), 1e-9);
  for (const char* name : {"loss_classification", "loss_heatmap", "loss_total"})
    EXPECT_LE(relative_difference(part(losses, name), golden_tensor(group, cat("output/", name))), 1e-9)
        << name;
  part(losses, "loss_heatmap").backward();
  expect_gradients(*network, group.group("grad"));

  const auto fresh = golden_network(file);
  fresh->train(network->is_training());
  const ForwardPass pass = GradientForward()(*fresh, batch, 0);
  EXPECT_FALSE(pass.images.defined());
  const at::Tensor y = pass.tape->output(pass.logits);
  const at::Tensor gradient = input_gradients(pass, (1 - 3 * y.softmax(1)).unsqueeze(1)).pixels.select(1, 0);
  EXPECT_LE(relative_difference(gradient, golden_tensor(group, "output/input_gradient")), 1e-9);
}

INSTANTIATE_TEST_SUITE_P(Groups, RrrGolden, ::testing::Values("eval", "train", "multilabel_eval"),
                         [](const auto& test) { return std::string(test.param); });

class GradientTimesInputGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(GradientTimesInputGolden, LossesAndParameterGradientsAreReached) {
  const hdf5::File file = golden_file("gradxinput.h5");
  const hdf5::Group group = file.group(GetParam());
  const std::string name = GetParam();
  const auto network = golden_network(file);
  network->train(name == "train");
  auto options = model_options();
  options.set("cut", exact(group.attribute<double>("cut")));
  options.set("cut2", exact(group.attribute<double>("cut2")));
  options.set("loss-e", cat(group.attribute<std::int64_t>("E")));
  if (group.has_attribute("right")) options.set("loss-right-term", group.attribute<std::string>("right"));
  if (name == "ze_softmax") options.set("gradient-of", "softmax");
  if (name == "ze_logits_no_multiply") options.set("multiply-input", "0");
  const auto objective = objectives().at("gradient-x-input").make(options);
  const Losses losses = objective->compute(*network, golden_batch(file, false));
  EXPECT_LE(relative_difference(losses.logits, golden_tensor(group, "output/y")), 1e-9);
  for (const char* loss : {"loss_classification", "loss_heatmap", "loss_total"})
    if (group.exists(cat("output/", loss))) {
      EXPECT_LE(relative_difference(part(losses, loss), golden_tensor(group, cat("output/", loss))), 1e-9)
          << loss;
    }
  part(losses, "loss_heatmap").backward();
  expect_gradients(*network, group.group("grad"));
}

TEST_P(GradientTimesInputGolden, HeatmapsAreReached) {
  const hdf5::File file = golden_file("gradxinput.h5");
  const hdf5::Group group = file.group(GetParam());
  const auto network = golden_network(file);
  network->train(std::string(GetParam()) == "train");
  const Batch batch = golden_batch(file, false);
  const ForwardPass pass = GradientForward()(*network, batch, 0);
  const at::Tensor y = pass.tape->output(pass.logits);
  at::Tensor start = at::eye(3, y.options()).expand({y.size(0), 3, 3});
  if (std::string(GetParam()) == "ze_softmax") {
    const at::Tensor p = y.softmax(1), k = p.argmax(1, true);
    start = (p.gather(1, k) * (at::zeros_like(p).scatter(1, k, 1.0) - p)).unsqueeze(1);
  }
  at::Tensor maps = input_gradients(pass, start).pixels;
  if (std::string(GetParam()) != "ze_logits_no_multiply") maps = maps * batch.images.unsqueeze(1);
  EXPECT_LE(relative_difference(maps, golden_tensor(group, "output/R")), 1e-9);
}

INSTANTIATE_TEST_SUITE_P(Groups, GradientTimesInputGolden,
                         ::testing::Values("eval", "train", "ze_logits", "ze_logits_no_multiply",
                                           "ze_softmax"),
                         [](const auto& test) { return std::string(test.param); });

// Small networks of every family that the tape has.
struct Family {
  const char* name;
  std::vector<std::pair<const char*, const char*>> options;
  const char* layer;  // a mark
};

void PrintTo(const Family& family, std::ostream* out) {
  *out << family.name;
}

const Family families[] = {
    {"densenet",
     {{"growth-rate", "4"}, {"blocks", "2,2"}, {"init-features", "8"}},
     "features.transition1.relu"},
    {"resnet", {{"blocks", "1,2"}, {"widths", "4,6"}}, "layer1"},
    {"resnet", {{"blocks", "1,1"}, {"widths", "4,6"}, {"block", "bottleneck"}}, "layer1"},
    {"vgg", {{"layers", "4,M,6,M"}, {"batch-norm", "1"}, {"pool", "2,2"}, {"hidden", "8"}}, "features.3"},
    {"sequence",
     {{"layers", "conv 4 3 pad 1, relu, conv 6 3 stride 2, bn, relu, avgpool 2, flatten, linear"}},
     "features.4"}};

class Explicit : public ::testing::TestWithParam<Family> {
 protected:
  std::shared_ptr<Network> network() const {
    auto options = model_options();
    for (const auto& [option, value] : GetParam().options) options.set(option, value);
    if (std::string(GetParam().name) == "sequence")
      options.set("layers",
                  "input 24x22, conv 4 3 pad 1, relu, conv 6 3 stride 2, bn, relu, avgpool 2, "
                  "flatten, linear");
    at::manual_seed(5);
    auto made = networks().at(GetParam().name).make(options, 3);
    made->normalization = parse_normalization("imagenet");
    made->place(at::kCPU, at::kDouble);
    const at::NoGradGuard no_grad;
    for (const auto& buffer : made->named_buffers())
      if (buffer.key().find("running_mean") != std::string::npos) buffer.value().normal_(0, 0.3);
    for (const auto& parameter : made->named_parameters())
      if (parameter.value().dim() == 1) parameter.value().add_(at::randn_like(parameter.value()) * 0.2);
    return made;
  }
};

// d Σ(G·w) by every parameter, and G: the explicit walk in one backward pass, autograd in two.
TEST_P(Explicit, AgreesWithAutogradOnValuesAndParameterGradients) {
  for (const auto statistics : {BatchStatistics::running, BatchStatistics::batch}) {
    const auto net = network();
    at::manual_seed(9);
    const at::Tensor x = at::rand({3, 3, 24, 22}, at::kDouble);
    const at::Tensor w = at::randn({3, 3, 3, 24, 22}, at::kDouble);
    const at::Tensor layer_weight = at::randn({}, at::kDouble);
    std::map<std::string, at::Tensor> expected;
    at::Tensor gradients, hidden;
    for (const bool by_autograd : {true, false}) {
      TapeContext context;
      context.recording = true;
      context.fused = false;
      context.statistics = statistics;
      ForwardPass pass{std::make_unique<Tape>(context), {}};
      const at::Tensor images = x.clone().requires_grad_(by_autograd);
      pass.logits = net->forward(*pass.tape, images);
      if (by_autograd) pass.images = images;
      const at::Tensor y = pass.tape->output(pass.logits);
      const at::Tensor start = at::diag_embed(1 - y.softmax(1));
      const InputGradients found = input_gradients(pass, start, {GetParam().layer});
      net->zero_grad();
      ((found.pixels * w).sum() + (found.hidden[0].square().sum() * layer_weight)).backward();
      if (by_autograd) {
        gradients = found.pixels.detach();
        hidden = found.hidden[0].detach();
        for (const auto& parameter : net->named_parameters())
          if (parameter.value().grad().defined())
            expected[parameter.key()] = parameter.value().grad().clone();
      } else {
        EXPECT_LE(relative_difference(found.pixels, gradients), 1e-10);
        EXPECT_LE(relative_difference(found.hidden[0], hidden), 1e-10);
        const Worst worst = worst_gradient(*net, expected);
        EXPECT_LE(worst.value(), 1e-9) << worst.name();
        EXPECT_GT(largest(gradients), 0);
      }
    }
  }
}

// The fused forward pass in single precision, whose backward passes have no second derivative, serves the
// explicit walk.
TEST_P(Explicit, WorksOnFusedKernelsInSinglePrecision) {
  const auto net = network();
  at::manual_seed(9);
  Batch batch;
  batch.images = at::rand({3, 3, 24, 22}, at::kDouble);
  batch.masks = at::zeros({3, 1, 24, 22}, at::kDouble);
  batch.masks.narrow(2, 4, 12).fill_(1);
  batch.labels = at::tensor({0, 2, 1}, at::kLong);
  batch.ids = at::arange(3, at::kLong);
  net->train();
  std::map<std::string, at::Tensor> expected;
  double loss = 0;
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    net->place(at::kCPU, dtype);
    Batch typed = batch;
    typed.images = batch.images.to(dtype);
    typed.masks = batch.masks.to(dtype);
    net->zero_grad();
    const Losses losses = objectives().at("rrr").make(model_options())->compute(*net, typed);
    losses.total.backward();
    if (dtype == at::kDouble) {
      loss = losses.total.item<double>();
      for (const auto& parameter : net->named_parameters())
        expected[parameter.key()] = parameter.value().grad().clone();
    } else {
      EXPECT_NEAR(losses.total.item<double>(), loss, 1e-3 * std::abs(loss));
      double whole = 0, difference = 0;
      for (const auto& parameter : net->named_parameters()) {
        const at::Tensor own = parameter.value().grad().to(at::kDouble);
        whole += expected.at(parameter.key()).square().sum().item<double>();
        difference += (own - expected.at(parameter.key())).square().sum().item<double>();
      }
      EXPECT_LE(std::sqrt(difference), 2e-3 * std::sqrt(whole));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Explicit, ::testing::ValuesIn(families),
                         [](const auto& test) { return cat(test.param.name, test.index); });

std::shared_ptr<Network> small_resnet(const std::string& blocks, const std::string& widths) {
  auto options = model_options();
  options.set("blocks", blocks);
  options.set("widths", widths);
  auto net = networks().at("resnet").make(options, 3);
  net->place(at::kCPU, at::kDouble);
  return net;
}

// With masks that are empty.
Batch two_images() {
  Batch batch;
  batch.images = at::rand({2, 3, 20, 20}, at::kDouble);
  batch.masks = at::zeros({2, 1, 20, 20}, at::kDouble);
  batch.labels = at::tensor({0, 2}, at::kLong);
  batch.ids = at::arange(2, at::kLong);
  return batch;
}

TEST(GradientAt, IsTheGradientByTheMarkedActivation) {
  const auto net = small_resnet("1,1", "4,6");
  TapeContext context;
  context.recording = true;
  context.fused = false;
  Tape tape(context);
  const Value out = net->forward(tape, at::rand({2, 3, 20, 20}, at::kDouble));
  const at::Tensor activation = tape.output({marked_node(tape, "layer1")});
  const at::Tensor expected = torch::autograd::grad({tape.output(out).select(1, 2).sum()}, {activation})[0];
  const at::Tensor start = at::tensor({0.0, 0.0, 1.0}, at::kDouble).expand({2, 1, 3});
  EXPECT_LE(relative_difference(gradient_at(tape, out, start, "layer1").select(1, 0), expected), 1e-12);
}

TEST(GradientObjectives, HaveDefaultsOfTheirOwnThatTheUserOverrides) {
  auto options = model_options();
  options = options.completed(objectives().at("gradient-x-input").defaults);
  EXPECT_EQ(options.text("heatmap-weight"), "0.5");
  EXPECT_EQ(options.text("gwrp-decay"), "0.996");
  EXPECT_EQ(options.text("dropout"), "0");
  const auto& of_rrr = objectives().at("rrr").defaults;
  EXPECT_EQ(model_options().completed(of_rrr).text("dropout"), "0");
  auto given = model_options();
  given.set("heatmap-weight", "0.3");
  EXPECT_EQ(given.completed(of_rrr).text("heatmap-weight"), "0.3");
  EXPECT_EQ(model_options().completed(objectives().at("isnet").defaults).text("heatmap-weight"), "0.7");
}

// L = L_c + P·L_rrr, P unbounded.
TEST(RightReasons, WeighTheirLossByAnyNumber) {
  at::manual_seed(5);
  const auto net = small_resnet("1", "4");
  net->eval();
  const Batch batch = two_images();
  auto options = model_options();
  for (const auto& [text, weight] :
       {std::pair{"0", 0.0}, {"0.5", 0.5}, {"1000", 1000.0}, {"0:2,4:30", 30.0}}) {
    options.set("heatmap-weight", text);
    const Losses losses = objectives().at("rrr").make(options)->compute(*net, batch);
    const double c = part(losses, "loss_classification").item<double>();
    const double h = part(losses, "loss_heatmap").item<double>();
    EXPECT_GT(h, 0);
    EXPECT_DOUBLE_EQ(losses.total.item<double>(), c + weight * h) << text;
  }
  for (const char* name : {"isnet", "gradient-x-input"})
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { objectives().at(name).make(options); }),
                HasSubstr("0 to 1 (with --objective rrr any number ≥ 0)"));
}

TEST(GradientObjectives, RefuseASoftmaxOfOneClassAndMissingMasks) {
  auto options = model_options();
  options.set("blocks", "1");
  options.set("widths", "4");
  const auto net = networks().at("resnet").make(options, 1);
  Batch batch;
  batch.images = at::rand({2, 3, 20, 20});
  batch.labels = at::zeros({2, 1});
  batch.ids = at::arange(2, at::kLong);
  const auto refused = [&](const char* name, ErrorKind kind) {
    return refusal(kind, [&] { objectives().at(name).make(options)->compute(*net, batch); });
  };
  EXPECT_THAT(refused("rrr", ErrorKind::data), HasSubstr("no masks, which --objective rrr needs"));
  batch.masks = at::ones({2, 1, 20, 20});
  EXPECT_THAT(refused("rrr", ErrorKind::usage), HasSubstr("--rrr-probabilities: 'softmax' is not allowed"));
  options.set("gradient-of", "softmax");
  EXPECT_THAT(refused("gradient-x-input", ErrorKind::usage),
              HasSubstr("--gradient-of: 'softmax' is not allowed"));
}

// Supervised hidden layers: R = a ⊙ ∂y_c/∂a with a loss of its own, joined by rank pooling.
TEST(GradientTimesInput, SupervisesHiddenLayers) {
  at::manual_seed(3);
  const auto net = small_resnet("1,1", "4,6");
  net->train();
  Batch batch = two_images();
  batch.masks.narrow(2, 4, 8).fill_(1);
  auto options = model_options();
  options.set("supervised-layers", "layer1");
  options.set("supervision-decay", "1");
  const Losses losses = objectives().at("gradient-x-input").make(options)->compute(*net, batch);
  const double input = part(losses, "loss_heatmap_input").item<double>();
  const double hidden = part(losses, "loss_heatmap_layer1").item<double>();
  EXPECT_GT(hidden, 0);
  EXPECT_NEAR(part(losses, "loss_heatmap").item<double>(), (input + hidden) / 2, 1e-12);
  losses.total.backward();
}

}  // namespace
}  // namespace isnet
