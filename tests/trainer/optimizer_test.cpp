#include "trainer/optimizers/optimizer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <torch/nn.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "base/error.h"
#include "support/golden.h"
#include "support/temporary_folder.h"
#include "trainer/checkpoint.h"
#include "trainer/optimizers/gradient_clipping.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using Settings = std::vector<std::pair<std::string, std::string>>;

OptionValues options_of(const Settings& settings) {
  auto specs = optimizer_options();
  for (auto& spec : gradient_clipping_options()) specs.push_back(std::move(spec));
  OptionValues options(std::move(specs));
  for (const auto& [name, value] : settings) options.set(name, value);
  return options;
}

// "lr=0.1 momentum=0.9"
Settings words(const std::string& text) {
  Settings settings;
  std::istringstream parts(text);
  for (std::string part; parts >> part;)
    settings.emplace_back(part.substr(0, part.find('=')), part.substr(part.find('=') + 1));
  return settings;
}

NamedParameters parameters_of(const torch::nn::Module& module) {
  NamedParameters result;
  for (const auto& item : module.named_parameters()) result.emplace_back(item.key(), item.value());
  return result;
}

std::shared_ptr<torch::nn::SequentialImpl> network() {
  torch::manual_seed(5);
  auto module =
      torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(2, 3, 3)), torch::nn::BatchNorm2d(3),
                            torch::nn::Flatten(), torch::nn::Linear(12, 2));
  module->eval();
  return module.ptr();
}

void train(torch::nn::SequentialImpl& module, Optimizer& optimizer, int from, int to) {
  for (int step = from; step < to; ++step) {
    torch::manual_seed(static_cast<std::uint64_t>(step));
    optimizer.zero_grad();
    module.forward(at::rand({4, 2, 4, 4})).square().mean().backward();
    optimizer.set_learning_rate(0.01 + 0.001 * step);
    optimizer.step();
  }
}

class OptimizerState : public ::testing::TestWithParam<Settings> {};

TEST_P(OptimizerState, SavedAndLoadedContinuesBitwise) {
  const auto options = options_of(GetParam());
  const auto whole = network(), part = network(), resumed = network();
  const auto for_whole = make_optimizer(parameters_of(*whole), options);
  train(*whole, *for_whole, 0, 8);

  const testing::TemporaryFolder folder;
  {
    const auto for_part = make_optimizer(parameters_of(*part), options);
    train(*part, *for_part, 0, 4);
    Checkpoint checkpoint;
    for (const auto& [name, tensor] : for_part->state()) checkpoint.tensors["optimizer." + name] = tensor;
    for (const auto& [name, tensor] : parameters_of(*part)) checkpoint.tensors["model." + name] = tensor;
    save_checkpoint(folder / "a.ckpt", checkpoint);
  }
  const auto checkpoint = load_checkpoint(folder / "a.ckpt");
  const auto for_resumed = make_optimizer(parameters_of(*resumed), options);
  std::map<std::string, at::Tensor> state;
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, tensor] : parameters_of(*resumed)) tensor.copy_(checkpoint.tensors.at("model." + name));
    for (const auto& [name, tensor] : checkpoint.tensors)
      if (name.rfind("optimizer.", 0) == 0) state[name.substr(10)] = tensor;
  }
  for_resumed->load_state(state);
  train(*resumed, *for_resumed, 4, 8);
  for (std::size_t i = 0; i < whole->parameters().size(); ++i)
    EXPECT_TRUE(at::equal(whole->parameters()[i], resumed->parameters()[i])) << i;
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OptimizerState,
    ::testing::Values(
        Settings{{"momentum", "0"}}, Settings{{"momentum", "0.9"}},
        Settings{{"nesterov", "1"}, {"weight-decay", "0.01"}}, Settings{{"optimizer", "adam"}},
        Settings{{"optimizer", "adam"}, {"betas", "0.8,0.99"}, {"weight-decay", "0.1"}},
        Settings{{"optimizer", "adam"}, {"amsgrad", "1"}}, Settings{{"optimizer", "adamw"}},
        Settings{{"optimizer", "rmsprop"}},
        Settings{{"optimizer", "rmsprop"}, {"rmsprop-momentum", "0.9"}, {"rmsprop-centered", "1"}},
        Settings{
            {"lr-factors", "norms=0.1,3.*=2"}, {"weight-decay-exclude", "biases"}, {"weight-decay", "0.1"}}));

// Python's torch.optim, each with one group and with two that differ in rate and decay.
TEST(Optimizer, EveryKindFollowsThePythonTrajectoryStepByStep) {
  const hdf5::File golden = testing::golden_file("optimizers.h5");
  std::size_t kinds = 0;
  for (const auto& kind : golden.group_names()) {
    if (kind == "start" || kind == "gradients") continue;
    const hdf5::Group group = golden.group(kind);
    NamedParameters parameters;
    for (const char* name : {"weight", "bias"})
      parameters.emplace_back(name,
                              testing::golden_tensor(golden, cat("start/", name)).clone().requires_grad_());
    const auto optimizer =
        make_optimizer(parameters, options_of(words(group.attribute<std::string>("options"))));
    for (std::int64_t step = 0; step < 12; ++step) {
      for (auto& [name, parameter] : parameters)
        parameter.mutable_grad() = testing::golden_tensor(golden, cat("gradients/", name))[step].clone();
      optimizer->step();
      for (const auto& [name, parameter] : parameters)
        EXPECT_LT(testing::relative_difference(parameter.detach(), testing::golden_tensor(group, name)[step]),
                  1e-14)
            << kind << " " << name << " step " << step;
    }
    ++kinds;
  }
  EXPECT_EQ(kinds, 24u);
}

TEST(Optimizer, SgdWithMomentumIsTheFormula) {
  const at::Tensor parameter = at::tensor({1.0, -2.0}, at::kDouble).requires_grad_();
  const auto optimizer = make_optimizer(
      {{"w", parameter}}, options_of({{"lr", "0.5"}, {"momentum", "0.8"}, {"weight-decay", "0.1"}}));
  at::Tensor expected = parameter.detach().clone(), velocity;
  for (int step = 0; step < 3; ++step) {
    const at::Tensor gradient = at::tensor({0.3 * step, 1.0}, at::kDouble);
    parameter.mutable_grad() = gradient.clone();
    optimizer->step();
    const at::Tensor decayed = gradient + 0.1 * expected;
    velocity = velocity.defined() ? 0.8 * velocity + decayed : decayed;
    expected = expected - 0.5 * velocity;
    EXPECT_LT((parameter - expected).abs().max().item<double>(), 1e-15);
  }
}

TEST(Optimizer, AdamWTakesItsOwnDefaultDecay) {
  const at::Tensor parameter = at::tensor({1.0}, at::kDouble).requires_grad_();
  const auto optimizer =
      make_optimizer({{"w", parameter}}, options_of({{"optimizer", "adamw"}, {"lr", "0.1"}}));
  parameter.mutable_grad() = at::zeros({1}, at::kDouble);
  optimizer->step();
  EXPECT_DOUBLE_EQ(parameter.item<double>(), 1 - 0.1 * 0.01);
}

TEST(Optimizer, StateOfAnotherNetworkOrOptimiserIsRefusedByName) {
  const auto module = network();
  const auto refusal = [&](const std::string& name, const at::Tensor& tensor) {
    try {
      make_optimizer(parameters_of(*module), options_of({}))->load_state({{name, tensor}});
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::checkpoint);
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal("7.weight.momentum_buffer", at::ones({2})), HasSubstr("7.weight.momentum_buffer"));
  EXPECT_THAT(refusal("3.weight.exp_avg", at::ones({2, 12})), HasSubstr("3.weight.exp_avg"));
  EXPECT_THAT(refusal("3.weight.momentum_buffer", at::ones({2})), HasSubstr("another shape"));
  EXPECT_EQ(refusal("3.weight.momentum_buffer", at::ones({2, 12})), "accepted");
}

TEST(Optimizer, BadOptionsAreRefusedWithWhatIsAllowed) {
  const auto refusal = [](const Settings& settings) {
    try {
      make_optimizer({{"w", at::ones({1}).requires_grad_()}}, options_of(settings));
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::usage);
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal({{"optimizer", "sdg"}}),
              HasSubstr("'sdg' is not allowed (did you mean sgd?); allowed: adam|adamw|rmsprop|sgd"));
  EXPECT_THAT(refusal({{"momentum", "0"}, {"nesterov", "1"}}), HasSubstr("--momentum"));
  EXPECT_THAT(refusal({{"optimizer", "adam"}, {"betas", "0.9,1"}}), HasSubstr("--betas: '0.9,1'"));
  EXPECT_THAT(refusal({{"optimizer", "adam"}, {"betas", "0.9"}}), HasSubstr("two numbers"));
  EXPECT_THAT(refusal({{"nesterov", "1"}, {"dampening", "0.1"}}), HasSubstr("--dampening 0"));
}

std::vector<at::Tensor> with_gradients(const std::vector<at::Tensor>& gradients) {
  std::vector<at::Tensor> parameters;
  for (const auto& gradient : gradients) {
    parameters.push_back(at::zeros_like(gradient).requires_grad_());
    parameters.back().mutable_grad() = gradient.clone();
  }
  return parameters;
}

TEST(GradientClipping, ByNormIsTheFormulaOfClipGradNorm) {
  const std::vector<at::Tensor> gradients{at::tensor({3.0, 0.0}, at::kDouble),
                                          at::tensor({-4.0}, at::kDouble)};
  for (const double limit : {1.0, 4.9, 5.1}) {
    auto parameters = with_gradients(gradients);
    parameters.push_back(at::zeros({2}).requires_grad_());  // without a gradient
    EXPECT_DOUBLE_EQ(clip_gradients(parameters, {limit, ClipAlgorithm::norm}), 5.0);
    const double factor = std::min(1.0, limit / (5.0 + 1e-6));
    for (std::size_t i = 0; i < gradients.size(); ++i)
      EXPECT_LT((parameters[i].grad() - gradients[i] * factor).abs().max().item<double>(), 1e-15) << limit;
  }
}

TEST(GradientClipping, ByNormAgreesWithLibTorchInFloat32) {
  torch::manual_seed(1);
  const std::vector<at::Tensor> gradients{at::randn({30, 40}), at::randn({7})};
  auto ours = with_gradients(gradients), theirs = with_gradients(gradients);
  EXPECT_NEAR(clip_gradients(ours, {2.0, ClipAlgorithm::norm}),
              torch::nn::utils::clip_grad_norm_(theirs, 2.0), 1e-5);
  for (std::size_t i = 0; i < gradients.size(); ++i)
    EXPECT_TRUE(at::allclose(ours[i].grad(), theirs[i].grad()));
}

// Small and large ones, of both types, and of which some are not laid out as their numbers are counted.
TEST(GradientClipping, TheNormIsThatOfAllGradientsWhateverTheirSizesAndTypes) {
  torch::manual_seed(2);
  std::vector<at::Tensor> gradients;
  for (const at::ScalarType type : {at::kFloat, at::kDouble})
    for (const std::int64_t size : {0, 1, 15, 16, 17, 100, 16384, 16385, 40000})
      gradients.push_back(at::randn({size}, at::dtype(type)));
  gradients.push_back(at::randn({5, 7}).t());
  gradients.push_back(at::randn({6, 6}, at::kDouble).slice(1, 0, 6, 2));
  double squares = 0;
  for (const auto& gradient : gradients) squares += gradient.to(at::kDouble).square().sum().item<double>();
  EXPECT_NEAR(gradient_norm(with_gradients(gradients)), std::sqrt(squares), 1e-6 * std::sqrt(squares));
  for (const std::size_t i : {3u, 8u, 12u, 17u})
    for (const double wrong :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      auto spoilt = gradients;
      spoilt[i] = spoilt[i].clone();
      spoilt[i][-1] = wrong;
      EXPECT_FALSE(std::isfinite(gradient_norm(with_gradients(spoilt)))) << i;
    }
}

TEST(GradientClipping, ByValueLimitsEachElementAndReturnsTheNorm) {
  auto parameters = with_gradients({at::tensor({3.0, -0.5}, at::kDouble), at::tensor({-4.0}, at::kDouble)});
  EXPECT_NEAR(clip_gradients(parameters, {1.0, ClipAlgorithm::value}), std::sqrt(9 + 0.25 + 16), 1e-12);
  EXPECT_TRUE(at::equal(parameters[0].grad(), at::tensor({1.0, -0.5}, at::kDouble)));
  EXPECT_TRUE(at::equal(parameters[1].grad(), at::tensor({-1.0}, at::kDouble)));
}

TEST(GradientClipping, NoneLeavesGradientsAlone) {
  auto parameters = with_gradients({at::tensor({3.0, 4.0}, at::kDouble)});
  EXPECT_DOUBLE_EQ(clip_gradients(parameters, gradient_clipping(options_of({}))), 5.0);
  EXPECT_TRUE(at::equal(parameters[0].grad(), at::tensor({3.0, 4.0}, at::kDouble)));
  EXPECT_EQ(clip_gradients({at::zeros({2}).requires_grad_()}, {1.0}), 0.0);
}

}  // namespace
}  // namespace isnet
