// The engine against the oracle: heatmaps, and the gradient of every parameter, on random networks of every
// family; and the oracle's gradients against difference quotients.
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/utils.h>

#include <cmath>
#include <iostream>
#include <random>

#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "oracle_networks.h"
#include "support/golden.h"
#include "support/model.h"

namespace isnet {
namespace {

using namespace isnet::testing;

struct Errors {
  Worst logits, heatmaps, gradients;
  void print(const std::string& what) const {
    std::cout << what << ": worst errors: logits " << logits.value() << ", heatmaps " << heatmaps.value()
              << " (" << heatmaps.name() << "), gradients " << gradients.value() << " (" << gradients.name()
              << ")" << std::endl;
  }
};

// A network, and the same for the oracle.
struct Subject {
  std::shared_ptr<Network> network;
  std::function<Value(oracle::Graph&, const at::Tensor& images)> on_oracle;
  at::Tensor images;
  bool batch_statistics = false;
  std::string name;
};

LrpOptions engine_options(const oracle::Settings& settings) {
  auto options = model_options();
  options.set("lrp-form", settings.flex ? "flex" : "block");
  options.set("lrp-rule", settings.rule);
  options.set("lrp-epsilon", exact(settings.epsilon));
  options.set("first-layer", settings.first_layer);
  options.set("lrp-alpha", exact(settings.alpha));
  options.set("lrp-beta", exact(settings.beta));
  return lrp_options(options);
}

std::map<std::string, at::Tensor> gradients_of(Network& network, const at::Tensor& functional) {
  std::map<std::string, at::Tensor> gradients;
  std::vector<std::string> names;
  std::vector<at::Tensor> parameters;
  for (const auto& entry : network.named_parameters()) {
    names.push_back(entry.key());
    parameters.push_back(entry.value());
  }
  const auto found = torch::autograd::grad({functional}, parameters, {}, /*retain_graph=*/false,
                                           /*create_graph=*/false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < names.size(); ++i)
    gradients[names[i]] = found[i].defined() ? found[i] : at::zeros_like(parameters[i]);
  return gradients;
}

// A start at every logit, one by one: B×K×K.
at::Tensor every_class(const at::Tensor& logits) {
  return at::eye(logits.size(1), logits.options()).expand({logits.size(0), logits.size(1), logits.size(1)});
}

void compare(const Subject& subject, const oracle::Settings& settings, Errors& errors) {
  TapeContext context;
  context.recording = true;
  context.statistics = subject.batch_statistics ? BatchStatistics::batch : BatchStatistics::running;
  context.dropout = subject.batch_statistics;
  context.ids = at::arange(subject.images.size(0), at::kLong);
  Tape tape(std::move(context));
  const Value y = subject.network->forward(tape, subject.images);
  const at::Tensor weights = every_class(tape.output(y));
  const at::Tensor maps = relevance(tape, y, LrpStart{weights}, engine_options(settings));

  std::vector<at::Tensor> factors;
  auto on_oracle = subject.on_oracle;
  if (auto* random = dynamic_cast<oracle::RandomNetwork*>(subject.network.get())) {
    for (const auto& [before, after] : random->dropouts) {
      const at::Tensor b = tape.output(before).detach(), a = tape.output(after).detach();
      factors.push_back(at::where(b == 0, at::zeros_like(b), a / b));
    }
    on_oracle = [random, &factors](oracle::Graph& g, const at::Tensor& x) {
      return random->forward(g, x, factors);
    };
  }
  oracle::Constants constants;
  oracle::Graph graph(constants, subject.batch_statistics);
  const Value expected_y = on_oracle(graph, subject.images);
  const at::Tensor expected = graph.relevance(expected_y, weights, settings);

  const std::string name =
      cat(subject.name, settings.flex ? " flex " : " block ", settings.rule, " ", settings.first_layer,
          " epsilon ", settings.epsilon, subject.batch_statistics ? " train" : " eval");
  errors.logits.add(name, relative_difference(tape.output(y), graph.output(expected_y)));
  const double error = relative_difference(maps, expected);
  errors.heatmaps.add(name, error);
  ASSERT_LE(error, 1e-10) << name;

  const at::Tensor direction = at::randn(maps.sizes(), maps.options());
  const auto actual = gradients_of(*subject.network, (maps * direction).sum());
  const auto wanted = gradients_of(*subject.network, (expected * direction).sum());
  double network_largest = 0;
  for (const auto& entry : wanted) network_largest = std::max(network_largest, largest(entry.second));
  for (const auto& [parameter, gradient] : wanted) {
    const double difference = relative_difference(actual.at(parameter), gradient, 1e-3 * network_largest);
    errors.gradients.add(name + " " + parameter, difference);
    EXPECT_LE(difference, 1e-9) << name << " " << parameter;
  }
}

// Both forms, all rules, statistics, and random ε.
void compare_everything(Subject subject, std::mt19937& random, Errors& errors) {
  const auto part = [&] { return static_cast<double>(random() % 1000) / 1000; };
  const auto with = [&](const char* rule, const char* first_layer, bool flex) {
    oracle::Settings settings;
    settings.flex = flex;
    settings.rule = rule;
    settings.first_layer = first_layer;
    settings.epsilon = std::pow(10, -3 + 2.5 * part());
    settings.beta = part() < 0.3 ? 0 : 2 * part();
    settings.alpha = 1 + settings.beta;
    compare(subject, settings, errors);
  };
  for (const bool train : {false, true}) {
    subject.batch_statistics = train;
    for (const char* first_layer : {"zb", "epsilon", "w2"})
      for (const bool flex : {false, true}) with("epsilon", first_layer, flex);
    for (const char* rule : {"zplus", "alpha-beta"})
      for (const char* first_layer : {"zb", "epsilon", "w2"}) with(rule, first_layer, false);
  }
}

Subject family(const std::string& name, OptionValues options, std::int64_t classes) {
  Subject subject;
  subject.name = name;
  subject.network = networks().at(name).make(options, classes);
  subject.network->place(at::kCPU, at::kDouble);
  oracle::randomize_constants(*subject.network);
  auto* network = subject.network.get();
  if (name == "densenet") {
    const bool relu = options.flag("transition-relu");
    subject.on_oracle = [=](auto& g, const auto& x) { return oracle::densenet(g, *network, x, relu); };
  } else if (name == "resnet") {
    subject.on_oracle = [network](auto& g, const auto& x) { return oracle::resnet(g, *network, x); };
  } else if (name == "sequence") {
    const std::string layers = options.text("layers");
    subject.on_oracle = [=](auto& g, const auto& x) { return oracle::sequence(g, *network, x, layers); };
  } else {
    std::vector<std::int64_t> layers;
    for (const auto& part : options.list("layers")) layers.push_back(part == "M" ? 0 : std::stoll(part));
    const auto pool = options.integers("pool");
    subject.on_oracle = [=](auto& g, const auto& x) {
      return oracle::vgg(g, *network, x, layers, pool[0], pool[1]);
    };
  }
  return subject;
}

TEST(Oracle, DenseNetsEqualTheEngine) {
  Errors errors;
  std::mt19937 random(1);
  torch::manual_seed(1);
  for (const auto& [stem, blocks, height, width, transition_relu] : {std::tuple{"imagenet", "2", 11, 14, "1"},
                                                                     {"imagenet", "3,2", 21, 16, "1"},
                                                                     {"imagenet", "1,2,3", 27, 33, "1"},
                                                                     {"imagenet", "2,1", 24, 19, "0"},
                                                                     {"small", "2,3", 7, 8, "1"}}) {
    auto options = model_options();
    options.set("stem", stem);
    options.set("transition-relu", transition_relu);
    options.set("growth-rate", "2");
    options.set("init-features", "4");
    options.set("blocks", blocks);
    Subject subject = family("densenet", options, 2);
    subject.images = at::rand({2, 3, height, width}, at::kDouble);
    compare_everything(subject, random, errors);
  }
  errors.print("DenseNet");
}

TEST(Oracle, ResNetsEqualTheEngine) {
  Errors errors;
  std::mt19937 random(2);
  torch::manual_seed(2);
  for (const auto& [stem, block, blocks, widths, height, width] :
       {std::tuple{"imagenet", "basic", "1,1", "3,4", 21, 26},
        {"imagenet", "bottleneck", "2,1", "2,2", 17, 20},
        {"imagenet", "basic", "2,1,1", "2,3,4", 33, 22},
        {"small", "basic", "1,1", "3,4", 7, 8},
        {"small", "bottleneck", "1,1", "2,2", 8, 5}}) {
    auto options = model_options();
    options.set("stem", stem);
    options.set("block", block);
    options.set("blocks", blocks);
    options.set("widths", widths);
    Subject subject = family("resnet", options, 3);
    subject.images = at::rand({2, 3, height, width}, at::kDouble);
    compare_everything(subject, random, errors);
  }
  errors.print("ResNet");
}

TEST(Oracle, VggsEqualTheEngine) {
  Errors errors;
  std::mt19937 random(3);
  torch::manual_seed(3);
  for (const auto& [layers, norm, pool, hidden, height, width] :
       {std::tuple{"4,M,5,M", "0", "2,3", "6", 13, 15}, {"3,4,M,4,M", "1", "3,2", "5,4", 12, 11}}) {
    auto options = model_options();
    options.set("layers", layers);
    options.set("batch-norm", norm);
    options.set("pool", pool);
    options.set("hidden", hidden);
    Subject subject = family("vgg", options, 3);
    subject.images = at::rand({2, 3, height, width}, at::kDouble);
    subject.network->normalization = parse_normalization("imagenet");
    const at::NoGradGuard no_grad;  // its linear layers start at deviation 0.01
    for (auto& entry : subject.network->named_parameters())
      if (entry.key().find("classifier") == 0) entry.value().mul_(20);
    at::AutoGradMode with_grad(true);
    compare_everything(subject, random, errors);
  }
  errors.print("VGG");
}

TEST(Oracle, SequencesEqualTheEngine) {
  Errors errors;
  std::mt19937 random(4);
  torch::manual_seed(4);
  for (const char* layers :
       {"conv 4 3 pad 1, bn, relu, maxpool 2, conv 5 3, relu, avgpool global, flatten, linear",
        "conv 4 3x2 stride 2x1 pad 1x0 nobias, relu, maxpool 3 stride 2 pad 1, bn, conv 4 2 dilation 2 "
        "groups 2, "
        "bn, relu, avgpool to 2x1, flatten, linear 5, relu, linear nobias",
        "input 13x11, conv 3 3, relu, avgpool 3 stride 2, conv 4 2, relu, bn, flatten, linear"}) {
    auto options = model_options();
    options.set("layers", layers);
    Subject subject = family("sequence", options, 3);
    subject.images = at::rand({2, 3, 13, 11}, at::kDouble);
    compare_everything(subject, random, errors);
  }
  errors.print("sequence");
}

TEST(Oracle, RandomNetworksEqualTheEngine) {
  Errors errors;
  std::mt19937 random(4);
  for (unsigned seed = 1; seed <= 60; ++seed) {
    torch::manual_seed(seed);
    const std::int64_t height = 7 + random() % 10, width = 7 + random() % 10;
    Subject subject;
    const auto network = std::make_shared<oracle::RandomNetwork>(seed, height, width, 2);
    network->place(at::kCPU, at::kDouble);
    oracle::randomize_constants(*network);
    if (seed % 3 == 0) network->normalization = parse_normalization("0.4,0.3");
    subject.network = network;
    subject.name = cat("seed ", seed, ", ", height, "x", width, ": ", network->description());
    subject.images = at::rand({2, 3, height, width}, at::kDouble);
    SCOPED_TRACE(subject.name);
    compare_everything(subject, random, errors);
  }
  errors.print("random networks");
}

// Biases and statistics are constants in denominators and live in numerators: a difference quotient of the
// heatmap itself would see both. The oracle holds the constants, so that its quotient is the derivative
// meant.
void compare_with_differences(const Subject& subject, const oracle::Settings& settings, Worst& worst) {
  TapeContext context;
  context.recording = true;
  context.statistics = subject.batch_statistics ? BatchStatistics::batch : BatchStatistics::running;
  Tape tape(std::move(context));
  const Value y = subject.network->forward(tape, subject.images);
  const at::Tensor weights = every_class(tape.output(y)).narrow(1, 0, 1);
  const at::Tensor maps = relevance(tape, y, LrpStart{weights}, engine_options(settings));
  const at::Tensor direction = at::randn(maps.sizes(), maps.options());
  const auto gradients = gradients_of(*subject.network, (maps * direction).sum());

  oracle::Constants constants;
  const auto functional = [&] {
    oracle::Graph graph(constants, subject.batch_statistics);
    const Value out = subject.on_oracle(graph, subject.images);
    return (graph.relevance(out, weights, settings).detach() * direction).sum().item<double>();
  };
  const double value = functional();
  EXPECT_NEAR((maps * direction).sum().item<double>(), value, 1e-10 * largest(maps));
  for (const auto& entry : subject.network->named_parameters()) {
    at::Tensor parameter = entry.value();
    const at::Tensor unit = at::randn_like(parameter), step = 1e-6 * unit;
    const auto at_step = [&](double times) {
      {
        const at::NoGradGuard no_grad;
        parameter.add_(step, times);
      }
      const double result = functional();
      const at::NoGradGuard no_grad;
      parameter.sub_(step, times);
      return result;
    };
    const double expected = (at_step(1) - at_step(-1)) / 2e-6;
    const at::Tensor products = gradients.at(entry.key()) * unit;
    // Relative to what the sum consists of; a gradient of nothing but rounding is compared with the value.
    const double scale = products.norm().item<double>() + 1e-3 * std::abs(value);
    const double error = std::abs(products.sum().item<double>() - expected) / scale;
    worst.add(subject.name + (settings.flex ? " flex " : " block ") + entry.key(), error);
    EXPECT_LE(error, 1e-5) << subject.name << (settings.flex ? " flex " : " block ") << entry.key()
                           << (subject.batch_statistics ? " train" : " eval");
  }
}

TEST(Oracle, ItsDifferenceQuotientsWithConstantsHeldAreTheEnginesGradients) {
  Worst worst;
  torch::manual_seed(5);
  auto options = model_options();
  options.set("growth-rate", "2");
  options.set("init-features", "4");
  options.set("block", "basic");
  options.set("widths", "2,3");
  options.set("layers", "3,M,4");
  options.set("batch-norm", "1");
  options.set("pool", "2,2");
  options.set("hidden", "5");
  for (const char* name : {"densenet", "resnet", "vgg"}) {
    options.set("blocks", std::string(name) == "resnet" ? "1,1" : "2,1");
    Subject subject = family(name, options, 2);
    subject.images = at::rand({2, 3, 16, 17}, at::kDouble);
    for (const bool train : {false, true})
      for (const bool flex : {false, true}) {
        subject.batch_statistics = train;
        oracle::Settings settings;
        settings.flex = flex;
        settings.epsilon = 0.1;
        compare_with_differences(subject, settings, worst);
      }
  }
  std::cout << "worst: " << worst.name() << " " << worst.value() << std::endl;
}

}  // namespace
}  // namespace isnet
