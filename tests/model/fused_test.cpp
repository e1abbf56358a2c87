// The fused kernels against the composite operations, and what their autograd functions promise.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/utils.h>

#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include "base/error.h"
#include "model/lrp/fused.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/network.h"
#include "support/golden.h"
#include "support/model.h"

namespace isnet {
namespace {

using namespace isnet::testing;

struct Threads {
  explicit Threads(int count) : before(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before); }
  int before;
};

// A small network of a family, with batch norms and biases that are not what they start as.
std::shared_ptr<Network> network_of(const std::string& family) {
  torch::manual_seed(5);
  auto options = model_options();
  options.set("growth-rate", "4");
  options.set("init-features", "6");
  options.set("widths", "6,8");
  options.set("hidden", "16");
  options.set("pool", "2,2");
  options.set("blocks", family == "densenet" ? "3,2" : "2,1");
  if (family == "vgg") {
    options.set("layers", "6,M,8,M");
    options.set("batch-norm", "1");
  }
  auto network = networks()
                     .at(family == "vgg-plain" ? "vgg" : family)
                     .make(
                         [&] {
                           if (family == "vgg-plain") options.set("layers", "6,M,8,M");
                           return options;
                         }(),
                         3);
  network->place(at::kCPU, at::kDouble);
  const at::NoGradGuard no_grad;
  for (auto& entry : network->named_parameters())
    if (entry.value().dim() == 1) entry.value().add_(at::randn_like(entry.value()) * 0.3);
  for (auto& entry : network->named_buffers())
    if (entry.key().ends_with("running_mean")) entry.value().normal_(0, 0.2);
  return network;
}

struct Outcome {
  at::Tensor logits, heatmaps;
  std::map<std::string, at::Tensor> gradients;
};

struct Setting {
  bool fused = true, training = true, bfloat16 = false;
  LrpOptions lrp = {};
};

Outcome outcome(Network& network, const at::Tensor& images, const Setting& setting) {
  network.zero_grad();
  TapeContext context;
  context.recording = true;
  context.fused = setting.fused;
  if (setting.bfloat16) context.multiplication = at::kBFloat16;
  context.statistics = setting.training ? BatchStatistics::batch : BatchStatistics::running;
  Tape tape(std::move(context));
  const Value y = network.forward(tape, images);
  const at::Tensor logits = tape.output(y);
  const std::int64_t classes = logits.size(1);
  const LrpStart start{at::eye(classes, logits.options()).expand({logits.size(0), classes, classes}), false};
  const at::Tensor heatmaps = relevance(tape, y, start, setting.lrp);
  const at::Tensor weights = at::sin(at::arange(heatmaps.numel(), heatmaps.options())).view(heatmaps.sizes());
  ((heatmaps * weights).sum() + logits.square().sum()).backward();
  Outcome result{logits.detach(), heatmaps.detach(), {}};
  for (const auto& entry : network.named_parameters())
    result.gradients[entry.key()] =
        entry.value().grad().defined() ? entry.value().grad().clone() : at::Tensor();
  return result;
}

// Largest difference of a gradient, relative to the largest value of any gradient.
double gradient_difference(const Outcome& a, const Outcome& b) {
  double largest = 0, worst = 0;
  for (const auto& [name, gradient] : b.gradients) {
    EXPECT_EQ(gradient.defined(), a.gradients.at(name).defined()) << name;
    if (gradient.defined()) largest = std::max(largest, gradient.abs().max().item<double>());
  }
  for (const auto& [name, gradient] : b.gradients)
    if (gradient.defined())
      worst = std::max(worst, (gradient - a.gradients.at(name)).abs().max().item<double>());
  return worst / largest;
}

class EveryFusedFamily : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryFusedFamily, EqualsCompositeOperationsInValueAndGradient) {
  const auto network = network_of(GetParam());
  const at::Tensor images = at::rand({3, 3, 37, 34}, at::kDouble);
  double maps = 0, gradients = 0;
  for (const bool training : {true, false})
    for (const auto form : {LrpForm::block, LrpForm::flex})
      for (const bool checkpoint : {false, true}) {
        Setting setting{true, training, false, {}};
        setting.lrp.form = form;
        setting.lrp.epsilon = 0.03;
        setting.lrp.checkpoint_activations = checkpoint;
        const Outcome fused = outcome(*network, images, setting);
        setting.fused = false;
        const Outcome composite = outcome(*network, images, setting);
        EXPECT_LE(relative_difference(fused.logits, composite.logits), 1e-11);
        maps = std::max(maps, relative_difference(fused.heatmaps, composite.heatmaps));
        gradients = std::max(gradients, gradient_difference(fused, composite));
      }
  std::printf("worst: heatmaps %g, gradients %g\n", maps, gradients);
  EXPECT_LE(maps, 1e-10);
  EXPECT_LE(gradients, 1e-10);
}

TEST_P(EveryFusedFamily, CheckpointedActivationsChangeNothing) {
  const auto network = network_of(GetParam());
  const at::Tensor images = at::rand({2, 3, 36, 33}, at::kDouble);
  Setting setting;
  const Outcome kept = outcome(*network, images, setting);
  setting.lrp.checkpoint_activations = true;
  const Outcome again = outcome(*network, images, setting);
  EXPECT_TRUE(at::equal(kept.heatmaps, again.heatmaps));
  for (const auto& [name, gradient] : kept.gradients)
    EXPECT_TRUE(at::equal(gradient, again.gradients.at(name))) << name;
}

TEST_P(EveryFusedFamily, IsTheSameOnAnyNumberOfThreads) {
  const auto network = network_of(GetParam());
  const at::Tensor images = at::rand({3, 3, 40, 40}, at::kDouble);
  const auto on = [&](int threads) {
    const Threads guard(threads);
    return outcome(*network, images, {});
  };
  const Outcome one = on(1), three = on(3);
  EXPECT_LE(relative_difference(three.heatmaps, one.heatmaps), 1e-11);
  EXPECT_LE(gradient_difference(three, one), 1e-11);
}

INSTANTIATE_TEST_SUITE_P(Families, EveryFusedFamily,
                         ::testing::Values("densenet", "resnet", "vgg", "vgg-plain"));

// at::parallel_for is compiled here, and runs serially without a word when OpenMP is missing.
TEST(Fused, LoopsRunOnSeveralThreads) {
  const Threads guard(3);
  std::mutex mutex;
  std::set<std::thread::id> ids;
  std::atomic<int> waiting{0};
  at::parallel_for(0, 3, 1, [&](std::int64_t, std::int64_t) {
    ++waiting;
    const std::scoped_lock lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(waiting, 3);
  EXPECT_EQ(ids.size(), 3u);
}

// float32 is compared with float64: the kernels of both types, rows and channels that fill no vector.
TEST(Fused, SinglePrecisionIsCloseToDouble) {
  const auto network = network_of("densenet");
  const at::Tensor images = at::rand({3, 3, 37, 34}, at::kDouble);
  const Outcome exact = outcome(*network, images, {});
  network->place(at::kCPU, at::kFloat);
  const Outcome single = outcome(*network, images.to(at::kFloat), {});
  EXPECT_LE(relative_difference(single.heatmaps.to(at::kDouble), exact.heatmaps), 1e-3);
}

TEST(Fused, MomentsAreThoseOfTwoPasses) {
  const at::Tensor x = at::randn({3, 37, 9, 7}, at::kDouble) * 2 + 1000;
  const auto found = fused::moments(x);
  EXPECT_LE((found.mean - x.mean(at::IntArrayRef{0, 2, 3})).abs().max().item<double>(), 1e-11);
  EXPECT_LE((found.variance - x.var(at::IntArrayRef{0, 2, 3}, /*unbiased=*/false)).abs().max().item<double>(),
            1e-11);
}

TEST(Fused, RefusesSecondDerivativesAndCompositeHasThem) {
  const auto network = network_of("densenet");
  const at::Tensor images = at::rand({2, 3, 20, 20}, at::kDouble).requires_grad_();
  for (const bool fused : {true, false}) {
    TapeContext context;
    context.fused = fused;
    Tape tape(std::move(context));
    const at::Tensor y = tape.output(network->forward(tape, images)).sum();
    const auto differentiate = [&] { return torch::autograd::grad({y}, {images}, {}, true, true)[0]; };
    if (fused)
      EXPECT_THROW(differentiate(), Error);
    else
      EXPECT_TRUE(differentiate().requires_grad());
  }
}

// Where the ReLU is closed there is no gate, and no pole at −ε either.
TEST(Fused, GradientsAreFiniteWhereTheInputIsMinusEpsilon) {
  for (const auto type : {at::kFloat, at::kDouble}) {
    const double epsilon = 0.03125;
    at::Tensor x =
        at::tensor({-epsilon, 0.5, -1.0, 0.0}, at::dtype(type)).view({1, 1, 2, 2}).requires_grad_();
    at::Tensor c = at::tensor({1.0, 2.0, 3.0, 4.0}, at::dtype(type)).view({1, 1, 2, 2}).requires_grad_();
    const auto rectifier = std::make_shared<fused::Rectifier>();
    const auto normalized = fused::normalize(x, rectifier);
    rectifier->epsilon = epsilon;
    fused::gate(c, normalized, rectifier, 1, {1}, {at::Tensor()})[0].sum().backward();
    // d/dz z/(z + ε) = ε/(z + ε)² where z > 0.
    const double slope = 2 * epsilon / ((0.5 + epsilon) * (0.5 + epsilon)), gate = 0.5 / (0.5 + epsilon);
    const auto expected = [&](double value) {
      return at::tensor({0.0, value, 0.0, 0.0}, at::dtype(type)).view({1, 1, 2, 2});
    };
    EXPECT_TRUE(at::allclose(x.grad(), expected(slope), 1e-5, 1e-7)) << x.grad();
    EXPECT_TRUE(at::allclose(c.grad(), expected(gate), 1e-5, 1e-7)) << c.grad();
  }
}

TEST(Fused, ANumberThatIsNoneReachesTheHeatmap) {
  const auto network = network_of("densenet");
  at::Tensor images = at::rand({1, 3, 24, 24}, at::kDouble);
  images[0][1][5][5] = std::numeric_limits<double>::quiet_NaN();
  Setting setting;
  setting.training = false;
  EXPECT_TRUE(outcome(*network, images, setting).heatmaps.isnan().any().item<bool>());
}

// Sanitizers keep freed memory; leaks are counted there.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
double resident_megabytes() {
  std::ifstream status("/proc/self/statm");
  double total = 0, resident = 0;
  status >> total >> resident;
  return resident * 4096 / 1e6;
}

// Nodes, hooks or saved tensors that held their own output would never die.
TEST(Fused, MemoryIsFlatOverAThousandSteps) {
  const auto network = network_of("densenet");
  const at::Tensor images = at::rand({2, 3, 20, 20}, at::kDouble);
  double after_warm_up = 0;
  for (int step = 0; step < 1000; ++step) {
    if (step == 300) after_warm_up = resident_megabytes();
    Setting setting;
    setting.lrp.checkpoint_activations = step % 2 == 0;
    if (step % 5 != 0) {
      outcome(*network, images, setting);
    } else {  // a step that ends in an exception half way
      setting.lrp.first_layer = "no such rule";
      EXPECT_THROW(outcome(*network, images, setting), Error);
    }
  }
  EXPECT_LE(resident_megabytes() - after_warm_up, 12);
}
#endif

// The stated distance of bf16-mixed (docs/lrp.md).
TEST(Bfloat16, HeatmapsStayCloseToThoseOfSinglePrecision) {
  const auto network = network_of("densenet");
  network->place(at::kCPU, at::kFloat);
  const at::Tensor images = at::rand({3, 3, 36, 36});
  Setting setting;
  setting.training = false;
  const Outcome exact = outcome(*network, images, setting);
  setting.bfloat16 = true;
  const Outcome mixed = outcome(*network, images, setting);
  EXPECT_EQ(mixed.heatmaps.scalar_type(), at::kFloat);
  EXPECT_EQ(mixed.logits.scalar_type(), at::kFloat);
  const double distance = ((mixed.heatmaps - exact.heatmaps).norm() / exact.heatmaps.norm()).item<double>();
  std::printf("relative distance of the maps %g\n", distance);
  EXPECT_GT(distance, 1e-5) << "nothing was computed in bfloat16";
  EXPECT_LE(distance, 0.1);
}

}  // namespace
}  // namespace isnet
