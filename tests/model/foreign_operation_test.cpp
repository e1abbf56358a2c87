// Networks whose operations the walk cannot pass, or spoils: refused or counted.
#include <gmock/gmock.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <functional>
#include <limits>

#include "model/lrp/walk.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

// A network as a plug-in may bring one: a step of its own between two layers.
class Foreign : public Network {
 public:
  using Step = std::function<Value(Tape&, Value)>;
  explicit Foreign(Step step) : step_(std::move(step)) {
    conv_ = register_module("stem", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3)));
    classifier_ = register_module("classifier", torch::nn::Linear(4, 2));
  }
  Value forward(Tape& tape, const at::Tensor& images) override {
    const Value x = step_(tape, tape.relu(tape.convolution(tape.input(images, normalization), conv_)));
    return tape.linear(tape.flatten(tape.adaptive_average_pool(x, 1, 1)), classifier_);
  }
  std::int64_t num_classes() const override { return 2; }
  std::string head_name() const override { return "classifier"; }

 private:
  Step step_;
  torch::nn::Conv2d conv_{nullptr};
  torch::nn::Linear classifier_{nullptr};
};

Batch small_batch(std::int64_t size) {
  Batch batch;
  batch.images = at::rand({size, 3, 9, 8});
  batch.masks = at::ones({size, 1, 9, 8});
  batch.masks.slice(3, 0, 3).zero_();
  batch.labels = at::arange(size, at::kLong) % 2;
  batch.ids = at::arange(size, at::kLong);
  return batch;
}

TEST(UnknownOperation, IsRefusedWithItsLayerAndItsName) {
  const auto step = [](bool named) {
    return [named](Tape& tape, Value x) {
      return tape.record(named ? std::make_unique<WithoutRule>("softplus") : nullptr, {x.node},
                         at::softplus(tape.output(x)));
    };
  };
  for (const bool named : {true, false}) {
    Foreign network(step(named));
    const std::string message = refusal(ErrorKind::usage, [&] {
      objectives().at("isnet").make(model_options())->compute(network, small_batch(1));
    });
    EXPECT_THAT(message, HasSubstr(named ? "softplus (behind layer stem)"
                                         : "operation without a name (behind layer stem)"));
    EXPECT_THAT(message, HasSubstr("no relevance rule"));
    const Losses losses =
        objectives().at("classifier").make(model_options())->compute(network, small_batch(1));
    EXPECT_TRUE(losses.total.isfinite().item<bool>()) << "a classifier needs no rules";
  }
}

TEST(UnknownOperation, AConvolutionThatTheTapeCannotTakeIsNamed) {
  struct Padded : Foreign {
    Padded() : Foreign([this](Tape& tape, Value x) { return tape.convolution(x, padded); }) {
      padded = register_module("block",
                               torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 4, 3).padding(torch::kSame)));
    }
    torch::nn::Conv2d padded{nullptr};
  } network;
  EXPECT_THAT(
      refusal(ErrorKind::usage,
              [&] { objectives().at("isnet").make(model_options())->compute(network, small_batch(1)); }),
      AllOf(HasSubstr("layer block: "), HasSubstr("padding 'same'")));
}

// Passes values on, and spoils the relevance of the second sample.
class Spoils : public Operation {
 public:
  std::string name() const override { return "spoiler"; }
  void relevance(Walk& walk, int node) const override {
    at::Tensor factor = at::ones_like(walk.output(node));
    factor[1][0][0][0] = std::numeric_limits<float>::infinity();
    walk.pass(walk.tape().node(node).inputs[0], walk.scaled(walk.total(node), factor), Walk::Gate::pending);
  }
};

TEST(NonFiniteRelevance, IsCountedByValueAndBySample) {
  Foreign network([](Tape& tape, Value x) {
    return tape.record(std::make_unique<Spoils>(), {x.node}, tape.output(x) + 1);
  });
  const Batch batch = small_batch(3);
  const auto objective = objectives().at("isnet").make(model_options());
  const Losses losses = objective->compute(network, batch);
  EXPECT_EQ(losses.nonfinite_samples, 1);
  EXPECT_GT(losses.nonfinite_values, 0);
  EXPECT_LE(losses.nonfinite_values, 2 * 3 * 9 * 8);
  EXPECT_TRUE(losses.total.isfinite().item<bool>()) << "the loss replaces them";
  Foreign sound([](Tape&, Value x) { return x; });
  EXPECT_EQ(objective->compute(sound, batch).nonfinite_values, 0);
}

}  // namespace
}  // namespace isnet
