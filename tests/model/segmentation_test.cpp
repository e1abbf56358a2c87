// Masks: their losses and scores, the threshold that is chosen for them, and networks that learn them.
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include <map>

#include "joined_ranks.h"
#include "model/losses/mask_threshold.h"
#include "model/losses/segmentation_loss.h"
#include "small_unets.h"
#include "support/golden.h"

namespace isnet {
namespace {

using namespace isnet::testing;

Batch mask_batch(const at::Tensor& masks) {
  Batch batch;
  batch.images = at::zeros({masks.size(0), 3, masks.size(-2), masks.size(-1)}, at::kDouble);
  batch.masks = masks;
  return batch;
}

at::Tensor loss_of(const std::vector<std::pair<std::string, std::string>>& chosen, const at::Tensor& logits,
                   const at::Tensor& classes) {
  auto options = model_options();
  for (const auto& [name, value] : chosen) options.set(name, value);
  return SegmentationLoss(options)(logits, classes, mask_batch(at::zeros({logits.size(0), 1, 4, 4})))
      .front()
      .second;
}

TEST(SegmentationLoss, CrossEntropyIsTorchsWithAndWithoutWeights) {
  const at::Tensor logits = at::randn({3, 2, 5, 4}, at::kDouble),
                   classes = at::randint(0, 2, {3, 5, 4}, at::kLong);
  EXPECT_LE(relative_difference(loss_of({}, logits, classes), at::cross_entropy_loss(logits, classes)),
            1e-15);
  EXPECT_LE(
      relative_difference(loss_of({{"mask-class-weights", "0.25,4"}}, logits, classes),
                          at::cross_entropy_loss(logits, classes, at::tensor({0.25, 4.0}, at::kDouble))),
      1e-14);
}

// The formula, image by image and class by class.
double literal_dice(const at::Tensor& logits, const at::Tensor& classes, std::int64_t first) {
  const at::Tensor q = at::softmax(logits, 1);
  double sum = 0;
  std::int64_t terms = 0;
  for (std::int64_t b = 0; b < q.size(0); ++b)
    for (std::int64_t k = first; k < q.size(1); ++k, ++terms) {
      const at::Tensor o = classes[b].eq(k).to(at::kDouble);
      const double both = (q[b][k] * o).sum().item<double>(), all = (q[b][k] + o).sum().item<double>();
      sum += (2 * both + 1) / (all + 1);
    }
  return 1 - sum / static_cast<double>(terms);
}

TEST(SegmentationLoss, DiceIsTheFormulaWithSumsOfEachImage) {
  const at::Tensor logits = at::randn({3, 3, 5, 4}, at::kDouble),
                   classes = at::randint(0, 3, {3, 5, 4}, at::kLong);
  const auto dice = loss_of({{"segmentation-loss", "dice"}}, logits, classes);
  EXPECT_NEAR(dice.item<double>(), literal_dice(logits, classes, 0), 1e-14);
  const auto front = loss_of({{"segmentation-loss", "dice"}, {"dice-foreground", "1"}}, logits, classes);
  EXPECT_NEAR(front.item<double>(), literal_dice(logits, classes, 1), 1e-14);
  const auto sum = loss_of({{"segmentation-loss", "sum"}}, logits, classes);
  EXPECT_NEAR(sum.item<double>(), (dice + loss_of({}, logits, classes)).item<double>(), 1e-14);
  // Equal shards: the mean of their losses is that of all.
  const auto shard = [&](std::int64_t i) {
    return loss_of({{"segmentation-loss", "dice"}}, logits.narrow(0, i, 1), classes.narrow(0, i, 1))
        .item<double>();
  };
  EXPECT_NEAR((shard(0) + shard(1) + shard(2)) / 3, dice.item<double>(), 1e-14);
}

// ∂L/∂q = −[2o(U + s) − (2I + s)]/(U + s)²/(B·K), through the softmax.
TEST(SegmentationLoss, DiceHasTheFormulasDerivative) {
  const at::Tensor logits = at::randn({2, 2, 4, 4}, at::kDouble).requires_grad_(true);
  const at::Tensor classes = at::randint(0, 2, {2, 4, 4}, at::kLong);
  loss_of({{"segmentation-loss", "dice"}}, logits, classes).backward();
  const at::Tensor free = logits.detach().clone().requires_grad_(true);
  const at::Tensor q = at::softmax(free, 1),
                   o = at::one_hot(classes, 2).permute({0, 3, 1, 2}).to(at::kDouble);
  const at::Tensor u = (q + o).sum({2, 3}, true).detach(), i = (q * o).sum({2, 3}, true).detach();
  q.backward(-(2 * o * (u + 1) - (2 * i + 1)) / (u + 1).square() / 4);
  EXPECT_LE(relative_difference(logits.grad(), free.grad()), 1e-13);
}

TEST(SegmentationLoss, RefusesWeightsThatDoNotFit) {
  const at::Tensor logits = at::randn({1, 2, 4, 4}), classes = at::zeros({1, 4, 4}, at::kLong);
  expect_refusal([&] { loss_of({{"mask-class-weights", "1,2,3"}}, logits, classes); }, ErrorKind::usage,
                 {"--mask-class-weights", "3 numbers for 2 classes"});
  expect_refusal(
      [&] { loss_of({{"mask-class-weights", "1,2"}, {"segmentation-loss", "dice"}}, logits, classes); },
      ErrorKind::usage, {"--mask-class-weights", "dice"});
  expect_refusal([&] { loss_of({{"mask-class-weights", "0,0"}}, logits, classes); }, ErrorKind::usage,
                 {"--mask-class-weights"});
  expect_refusal([&] { small_unet({{"mask-classes", "1"}}); }, ErrorKind::usage, {"--mask-classes", "2"});
}

TEST(PixelClasses, AreThoseOfTheMiddle) {
  at::Tensor mask = at::zeros({1, 1, 5, 6}, at::kDouble);
  mask[0][0][1][1] = 1;    // rows 1 … 4 and columns 1 … 4 of the middle 4×4: ⌊1/2⌋ = 0 above, 1 to the left
  mask[0][0][3][4] = 0.5;  // belongs to the region
  mask[0][0][2][2] = 0.49;
  const at::Tensor classes = pixel_classes(mask, 2, 4, 4);
  EXPECT_EQ(classes.sizes(), (std::vector<std::int64_t>{1, 4, 4}));
  EXPECT_EQ(classes.sum().item<std::int64_t>(), 2);
  EXPECT_EQ(classes[0][1][0].item<std::int64_t>(), 1);
  EXPECT_EQ(classes[0][3][3].item<std::int64_t>(), 1);
}

TEST(PixelClasses, OfSeveralMasksTheLargestWins) {
  at::Tensor masks = at::zeros({1, 2, 1, 1, 3}, at::kDouble);
  masks[0][0][0][0][1] = 0.7;
  masks[0][1][0][0][1] = 0.9;
  masks[0][0][0][0][2] = 1.0;
  EXPECT_TRUE(at::equal(pixel_classes(masks, 3, 1, 3).flatten(), at::tensor({0L, 2L, 1L})));
  expect_refusal([&] { pixel_classes(masks, 2, 1, 3); }, ErrorKind::usage, {"--mask-classes", "allowed: 3"});
}

TEST(PixelClasses, AreCountedByTruthAndPrediction) {
  const at::Tensor truth = at::tensor({0L, 0L, 1L, 1L, 1L}), predicted = at::tensor({0L, 1L, 1L, 1L, 0L});
  EXPECT_TRUE(at::equal(count_pixels(truth, predicted, 2),
                        at::tensor({1.0, 1.0, 1.0, 2.0}, at::kDouble).view({2, 2})));
}

TEST(Segmentation, JudgesASplitInPartsAsAWhole) {
  at::manual_seed(2);
  const auto network = make("unet", small_unet());
  const auto both = make("multitask-unet", small_unet({{"hidden", "4,4"}}));
  Batch batch = mask_batch(at::rand({5, 1, 16, 16}, at::kDouble).gt(0.7).to(at::kDouble));
  batch.masks[1].zero_();
  batch.images = at::rand({5, 3, 16, 16}, at::kDouble);
  batch.labels = at::tensor({0, 2, 1, 1, 0}, at::kLong);
  batch.ids = at::arange(5, at::kLong);
  for (const char* loss : {"cross-entropy", "sum"}) {
    auto options = model_options();
    options.set("segmentation-loss", loss);
    options.set("mask-class-weights", "0.3,5");
    for (const auto& sizes : {std::vector<std::int64_t>{1, 1, 3}, {4, 1}}) {
      expect_parts_have_the_losses_of_all(*objectives().at("segmentation").make(options), *network, batch,
                                          sizes);
      expect_parts_have_the_losses_of_all(*objectives().at("multitask").make(options), *both, batch, sizes);
    }
  }
}

// Thresholds of masks.

double iou_above(const at::Tensor& probabilities, const at::Tensor& classes, double threshold) {
  const at::Tensor chosen = probabilities.gt(threshold), region = classes.eq(1);
  return (chosen & region).sum().item<double>() / (chosen | region).sum().item<double>();
}

TEST(MaskThreshold, IsTheHundredthWithTheLargestIntersectionOverUnion) {
  at::manual_seed(5);
  for (const double shift : {-0.3, 0.0, 0.2})
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const at::Tensor classes = at::rand({3, 20, 20}).gt(0.6).to(at::kLong);
      const at::Tensor probabilities =
          (at::rand({3, 20, 20}, type) * 0.5 + 0.25 + classes * 0.2 + shift).clamp(0, 1);
      // In two batches.
      const MaskThreshold found =
          best_mask_threshold(count_by_threshold(probabilities[0], classes[0]) +
                              count_by_threshold(probabilities.narrow(0, 1, 2), classes.narrow(0, 1, 2)));
      double best = 0;
      for (int i = 1; i < 100; ++i) best = std::max(best, iou_above(probabilities, classes, i / 100.0));
      EXPECT_EQ(iou_above(probabilities, classes, found.value), best);
      EXPECT_NE(found.value, 0.5);
      EXPECT_TRUE(at::equal(found.pixel_counts,
                            count_pixels(classes, probabilities.gt(found.value).to(at::kLong), 2)));
    }
}

TEST(MaskThreshold, StaysInTheMiddleWhereAnyIsAsGood) {
  const at::Tensor classes = at::tensor({0L, 1L}), certain = at::tensor({0.0, 1.0}, at::kDouble);
  EXPECT_EQ(best_mask_threshold(count_by_threshold(certain, classes)).value, 0.5);
  EXPECT_EQ(best_mask_threshold(count_by_threshold(certain, at::zeros_like(classes))).value, 0.5);
}

// Logits of the region less those of the background.
at::Tensor difference(const at::Tensor& logits) {
  return logits.select(1, 1) - logits.select(1, 0);
}

TEST(Segmentation, ValidationsOfATrainingChooseTheThresholdThatScoresUseThen) {
  const auto network = make("unet", small_unet());
  auto options = model_options();
  options.set("tune-threshold", "1");
  Batch batch = mask_batch(at::zeros({2, 1, 16, 16}, at::kDouble));
  batch.images = at::rand({2, 3, 16, 16}, at::kDouble);
  batch.ids = at::arange(2, at::kLong);
  {  // probabilities of many sizes, half of them below 0.4
    const at::NoGradGuard no_grad;
    auto weight = network->named_parameters()["last.weight"], bias = network->named_parameters()["last.bias"];
    weight.mul_(1 / difference(pixel_logits(*network, batch.images)).std());
    bias[1] += std::log(0.4 / 0.6) - difference(pixel_logits(*network, batch.images)).median();
  }
  const at::Tensor p = at::softmax(pixel_logits(*network, batch.images), 1).select(1, 1);
  const double threshold = 0.37;
  ASSERT_LT(p.min().item<double>(), threshold - 0.05);
  ASSERT_GT(p.max().item<double>(), 0.55);
  batch.masks = p.gt(threshold).to(at::kDouble).unsqueeze(1);
  const auto objective = objectives().at("segmentation").make(options);
  EXPECT_FALSE(objective->compute(*network, batch).sums.defined());  // nothing is chosen by tests

  objective->start_epoch(0);
  NamedNumbers metrics{{"loss", 1}, {"loss_segmentation", 1}, {"dice_0", 0}, {"iou_0", 0}, {"dice_1", 0},
                       {"iou_1", 0}};
  const at::Tensor sums = objective->compute(*network, batch).sums;
  objective->summarise(metrics, {sums.data_ptr<double>(), sums.data_ptr<double>() + sums.numel()});
  EXPECT_EQ(number_of(metrics, "iou_1"), 1);
  EXPECT_EQ(number_of(metrics, "dice_0"), 1);
  const double chosen = number_of(metrics, "mask_threshold");  // perhaps another, with no pixel between
  EXPECT_TRUE(at::equal(p.gt(chosen), p.gt(threshold))) << chosen;
  EXPECT_LT(chosen, 0.5);
  EXPECT_TRUE(objective->found_options().empty());  // a sanity check chooses nothing
  objective->validated(metrics);
  const auto found = objective->found_options();
  EXPECT_EQ(found, (NamedTexts{{"mask-threshold", cat(chosen)}}));

  const auto later = objectives().at("segmentation").make(model_options());
  const auto wrong = [&] {
    const at::Tensor counts = later->compute(*network, batch).pixel_counts;
    return (counts[0][1] + counts[1][0]).item<double>();
  };
  EXPECT_GT(wrong(), 0);
  later->set_found_options(found);
  EXPECT_EQ(wrong(), 0);
}

// Nothing stands between the U-Net and the classifier but the product.
TEST(Pipeline, ClassifiesImagesTimesTheirMaskOrItsProbability) {
  const at::Tensor images = at::rand({2, 3, 16, 16}, at::kDouble);
  for (const bool soft : {false, true})
    for (const bool clips : {false, true}) {
      if (clips && !soft) continue;
      auto options = model_options();
      for (const auto& [name, value] :
           std::map<std::string, std::string>{{"classifier", "densenet"},
                                              {"growth-rate", "4"},
                                              {"blocks", "1,1"},
                                              {"init-features", "4"},
                                              {"unet-options", "depth=3 wf=1 padding=1"},
                                              {"mask-threshold", "0.4"},
                                              {"mask-form", soft ? "soft" : "hard"}})
        options.set(name, value);
      if (clips) options.set("mask-clip-low", "0.3");
      if (clips) options.set("mask-clip-high", "0.45");
      const auto network = make("pipeline", options);
      ASSERT_EQ(network->children().size(), 2u);
      const auto unet = std::dynamic_pointer_cast<Network>(network->named_children()["unet"]);
      const auto classifier = std::dynamic_pointer_cast<Network>(network->named_children()["classifier"]);
      {
        const at::NoGradGuard no_grad;
        auto weight = unet->named_parameters()["last.weight"], bias = unet->named_parameters()["last.bias"];
        weight.mul_(1 / difference(pixel_logits(*unet, images)).std());
        bias[1] += std::log(0.4 / 0.6) - difference(pixel_logits(*unet, images)).median();
      }
      const at::Tensor p = at::softmax(pixel_logits(*unet, images), 1).narrow(1, 1, 1);
      at::Tensor mask = soft ? p : p.gt(0.4).to(at::kDouble);
      if (clips) mask = at::where(p.le(0.3), 0.0, at::where(p.ge(0.45), 1.0, p));
      ASSERT_GT(mask.std().item<double>(), 0.05);
      EXPECT_LE(relative_difference(network->logits(images), classifier->logits(images * mask)), 1e-12);
    }
}

TEST(Segmentation, RefusesToTuneOneThresholdForSeveralMasks) {
  auto options = model_options();
  options.set("tune-threshold", "1");
  options.set("mask-classes", "3");
  for (const char* name : {"segmentation", "multitask"})
    expect_refusal([&] { objectives().at(name).make(options); }, ErrorKind::usage,
                   {"--tune-threshold", "--mask-classes 3", "allowed"});
}

TEST(Segmentation, NeedsMasks) {
  const auto network = make("unet", small_unet());
  Batch batch = mask_batch(at::ones({1, 1, 16, 16}, at::kDouble));
  batch.masks = at::Tensor();
  batch.ids = at::zeros({1}, at::kLong);
  expect_refusal([&] { objectives().at("segmentation").make(model_options())->compute(*network, batch); },
                 ErrorKind::data, {"no masks", "--objective segmentation"});
}

TEST(Segmentation, LearnsAMask) {
  const auto network = make("unet", small_unet({{"wf", "3"}, {"batch-norm", "1"}}));
  network->train();
  const auto objective = objectives().at("segmentation").make(model_options());
  Batch batch = mask_batch(at::zeros({2, 1, 16, 16}, at::kDouble));
  batch.masks.narrow(2, 4, 8).narrow(3, 4, 6).fill_(1);
  batch.images = batch.masks.expand({2, 3, 16, 16}) * 0.5 + at::rand({2, 3, 16, 16}, at::kDouble) * 0.3;
  batch.ids = at::arange(2, at::kLong);
  double first = 0;
  at::Tensor counts;
  for (int step = 0; step < 80; ++step) {
    const Losses losses = objective->compute(*network, batch);
    if (step == 0) first = losses.total.item<double>();
    losses.total.backward();
    counts = losses.pixel_counts;
    const at::NoGradGuard no_grad;
    for (auto& parameter : network->parameters()) {
      parameter.sub_(parameter.grad() * 0.3);
      parameter.mutable_grad() = at::Tensor();
    }
  }
  EXPECT_LT(objective->compute(*network, batch).total.item<double>(), first / 4);
  EXPECT_EQ(counts.sum().item<double>(), 2 * 16 * 16);
  EXPECT_GT(2 * counts[1][1].item<double>() / (counts.sum(0)[1] + counts.sum(1)[1]).item<double>(), 0.9);
}

}  // namespace
}  // namespace isnet
