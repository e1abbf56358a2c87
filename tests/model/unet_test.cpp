// U-Nets beyond the golden vectors: sizes, names, refusals.
#include <gtest/gtest.h>
#include <torch/nn/module.h>

#include "small_unets.h"
#include "support/golden.h"

namespace isnet {
namespace {

using namespace isnet::testing;

TEST(Unet, HasThePublishedNumberOfParameters) {
  auto options = model_options();
  EXPECT_EQ(parameters(*networks().at("unet").make(options, 2)), 31'030'658);
  options.set("up-mode", "upsample");
  EXPECT_EQ(parameters(*networks().at("unet").make(options, 2)), 28'941'698);
}

TEST(Unet, YieldsLogitsOfTheSizeThatItAnnounces) {
  for (const char* padding : {"0", "1"})
    for (const char* mode : {"upconv", "upsample"}) {
      const auto network = make("unet", small_unet({{"padding", padding}, {"up-mode", mode}}));
      for (const std::int64_t side : {44, 45, 46, 47, 50}) {
        const at::Tensor logits = pixel_logits(*network, at::rand({1, 3, side, side + 3}, at::kDouble));
        EXPECT_EQ(logits.size(2), network->output_side(side));
        EXPECT_EQ(logits.size(3), network->output_side(side + 3));
      }
    }
}

TEST(Unet, KnowsThePublishedSizes) {
  auto options = model_options();
  options.set("wf", "0");
  EXPECT_EQ(networks().at("unet").make(options, 2)->output_side(572), 388);
  options.set("padding", "1");
  EXPECT_EQ(networks().at("unet").make(options, 2)->output_side(250), 240);
}

TEST(Unet, ReadsTheMeanOfTheChannelsOrAllOfThem) {
  const at::Tensor grey = at::rand({2, 1, 16, 20}, at::kDouble),
                   colours = at::rand({2, 3, 16, 20}, at::kDouble);
  const auto one = make("unet", small_unet());
  EXPECT_LE(relative_difference(pixel_logits(*one, grey.expand({2, 3, 16, 20})), pixel_logits(*one, grey)),
            1e-14);
  const auto three = make("unet", small_unet({{"in-channels", "3"}}));
  EXPECT_GT(relative_difference(pixel_logits(*three, colours.flip(1)), pixel_logits(*three, colours)), 1e-6);
}

TEST(Unet, RefusesImagesThatAreTooSmall) {
  const auto network = make("unet", small_unet({{"padding", "0"}}));
  EXPECT_EQ(network->output_side(43), 0);
  expect_refusal([&] { pixel_logits(*network, at::rand({1, 3, 44, 43}, at::kDouble)); }, ErrorKind::usage,
                 {"44×43", "--depth 3", "44 pixels a side"});
}

TEST(Unet, RefusesChannelsWithoutEnd) {
  expect_refusal([] { make("unet", small_unet({{"wf", "12"}, {"depth", "10"}})); }, ErrorKind::usage,
                 {"--wf"});
}

TEST(Unet, HasNoImageClassesAndSaysWhoHas) {
  const auto network = make("unet", small_unet());
  const auto options = model_options();
  for (const char* name : {"classifier", "isnet", "multitask"})
    expect_refusal([&] { require_outputs(*objectives().at(name).make(options), name, *network); },
                   ErrorKind::usage, {name, "densenet121", "multitask-unet"});
  const auto densenet = networks().at("densenet").make(options, 2);
  expect_refusal(
      [&] { require_outputs(*objectives().at("segmentation").make(options), "segmentation", *densenet); },
      ErrorKind::usage, {"allowed: multitask-unet, unet"});
  const auto both = make("multitask-unet", small_unet({{"hidden", "4,4"}}));
  for (const char* name : {"classifier", "isnet", "multitask", "segmentation"})
    EXPECT_NO_THROW(require_outputs(*objectives().at(name).make(options), name, *both));
}

TEST(MultitaskUnet, TrainsNothingThatOnlyMasksNeedWhereThereAreNone) {
  const auto network = make("multitask-unet", small_unet({{"hidden", "4,4"}}));
  network->classify_only();
  Tape tape(TapeContext{});
  tape.output(network->forward(tape, at::rand({2, 3, 16, 16}, at::kDouble))).sum().backward();
  for (const auto& entry : network->named_parameters())
    EXPECT_EQ(entry.value().requires_grad(), entry.value().grad().defined()) << entry.key();
}

TEST(MultitaskUnet, HasHeatmapsInBothFormsWithAndWithoutBatchNorm) {
  for (const char* norm : {"0", "1"})
    for (const LrpForm form : {LrpForm::block, LrpForm::flex}) {
      const auto options =
          small_unet({{"hidden", "32,32"}, {"wf", "3"}, {"batch-norm", norm}, {"padding", "0"}});
      const auto network = make("multitask-unet", options);
      TapeContext context;
      context.recording = true;
      Tape tape(std::move(context));
      LrpOptions lrp;
      lrp.form = form;
      const Value y = network->outputs(tape, at::rand({2, 3, 44, 45}, at::kDouble)).classes;
      const auto all =
          heatmap_selections().at("all").make(options)->select(logits_of(tape, y, lrp), Batch{}, 0);
      const at::Tensor heatmaps = relevance(tape, y, all, lrp).pixels;
      EXPECT_EQ(heatmaps.sizes(), (std::vector<std::int64_t>{2, 3, 3, 44, 45}));
      EXPECT_TRUE(heatmaps.isfinite().all().item<bool>());
      EXPECT_GT(largest(heatmaps), 0);
    }
}

TEST(MultitaskUnet, LosesItsBiasesWhereToldTo) {
  const auto network = make("multitask-unet", small_unet({{"hidden", "4,4"}, {"contracting-bias", "0"}}));
  const auto names = network->named_parameters();
  EXPECT_FALSE(names.contains("down_path.1.block.0.bias"));
  EXPECT_TRUE(names.contains("up_path.0.conv_block.block.0.bias"));
}

}  // namespace
}  // namespace isnet
