#include "run/explainer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "run/class_choice.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

const std::vector<std::string> names{"cat", "dog", "2"};

std::shared_ptr<Network> small_vgg() {
  at::manual_seed(3);
  auto options = model_options();
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"layers", "4,M,5,M"}, {"batch-norm", "0"}, {"pool", "2,2"}, {"hidden", "6"}})
    options.set(name, value);
  auto network = networks().at("vgg").make(options, 3);
  network->place(at::kCPU, at::kDouble);
  const at::NoGradGuard no_grad;
  for (auto& entry : network->named_parameters())
    if (entry.key().find("classifier") == 0) entry.value().mul_(20);
  network->eval();
  return network;
}

Batch batch_of(std::int64_t size) {
  Batch batch;
  batch.images = at::rand({size, 3, 16, 16}, at::kDouble);
  batch.labels = at::arange(size, at::kLong) % 3;
  batch.ids = at::arange(size, at::kLong);
  return batch;
}

Explained explained(Network& network, const Batch& batch, const std::string& method,
                    const std::string& of_class, std::int64_t integration_steps = 32) {
  const auto options = model_options();
  ExplainerOptions how;
  how.method = method;
  how.integration_steps = integration_steps;
  const at::NoGradGuard no_grad;
  return Explainer(network, select_classes(of_class, "class", names, false, options), options, how)
      .explain(batch);
}

TEST(IntegratedGradients, AddUpToTheDifferenceFromTheBlackImagesLogit) {
  const auto network = small_vgg();
  const Batch batch = batch_of(3);
  const at::Tensor maps = explained(*network, batch, "integrated-gradients", "1", 2000).heatmaps;
  const at::Tensor difference =
      network->logits(batch.images).select(1, 1) - network->logits(at::zeros_like(batch.images)).select(1, 1);
  EXPECT_TRUE(at::allclose(maps.sum({1, 2, 3, 4}), difference, 1e-2, 1e-4));
}

TEST(IntegratedGradients, OfOneStepAreGradientsInTheMiddleTimesPixels) {
  const auto network = small_vgg();
  const Batch batch = batch_of(2);
  Batch half = batch;
  half.images = batch.images / 2;
  const at::Tensor expected = 2 * explained(*network, half, "gradient-x-input", "0").heatmaps;
  EXPECT_TRUE(at::allclose(explained(*network, batch, "integrated-gradients", "0", 1).heatmaps, expected));
}

TEST(ClassChoice, NamesAClassByNameNumberOrRole) {
  const auto network = small_vgg();
  const Batch batch = batch_of(4);
  const auto classes = [&](const std::string& choice) {
    return explained(*network, batch, "lrp", choice).classes;
  };
  EXPECT_TRUE(classes("dog").eq(1).all().item<bool>());
  EXPECT_TRUE(classes("0").eq(0).all().item<bool>());
  EXPECT_TRUE(classes("2").eq(2).all().item<bool>()) << "a class may be called by a number";
  EXPECT_TRUE(at::equal(classes("label").view({-1}), batch.labels));
  const at::Tensor highest = network->logits(batch.images).argmax(1);
  EXPECT_TRUE(at::equal(classes("highest").view({-1}), highest));
  EXPECT_TRUE(at::equal(classes("predicted").view({-1}), highest));
  EXPECT_EQ(explained(*network, batch, "lrp", "all").heatmaps.size(1), 3);
  EXPECT_THAT(
      refusal(ErrorKind::usage, [&] { classes("bird"); }),
      HasSubstr("--class: 'bird' is not allowed; allowed: all, label, predicted, highest, a number from "
                "0 to 2, cat, dog, 2"));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { classes("3"); }), HasSubstr("'3' is not allowed"));
}

TEST(ClassChoice, OfSeveralLabelsJoinsWhatIsDecidedFor) {
  const at::Tensor logits = at::tensor({1., -1., 2., -1., -2., -3., -1., 5., -1.}, at::kDouble).view({3, 3});
  const auto selected = select_classes("predicted", "class", names, /*multi_label=*/true, model_options())
                            ->select(logits, {}, 0);
  const at::Tensor expected = at::tensor({1., 0., 1., 0., 0., 0., 0., 1., 0.}, at::kDouble).view({3, 1, 3});
  EXPECT_TRUE(at::equal(selected.start.coefficients, expected));
  EXPECT_TRUE(at::equal(selected.classes, at::tensor({-1, -1, 1}, at::kLong).view({3, 1})));
}

}  // namespace
}  // namespace isnet
