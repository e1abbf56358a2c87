// The vision transformer: its size, its attention against a library's, its positions and its rollout.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/normalization.h>

#include "model/lrp/walk.h"
#include "model/weights.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using namespace isnet::testing;

OptionValues small_options() {
  auto options = model_options();
  options.set("image-size", "24");
  options.set("patch-size", "8");
  options.set("hidden-dim", "12");
  options.set("encoder-layers", "2");
  options.set("heads", "3");
  options.set("mlp-dim", "20");
  return options;
}

std::shared_ptr<Network> small_network() {
  at::manual_seed(2);
  auto network = networks().at("vit").make(small_options(), 4);
  network->place(at::kCPU, at::kDouble);
  const at::NoGradGuard no_grad;
  for (const auto& parameter : network->named_parameters())
    parameter.value().add_(at::randn_like(parameter.value()) * 0.2);
  return network;
}

TEST(Vit, HasAsManyParametersAsThePublishedNetworkAndItsNames) {
  const auto network = networks().at("vit-b-16").make(model_options(), 1000);
  std::int64_t count = 0;
  for (const auto& parameter : network->parameters()) count += parameter.numel();
  EXPECT_EQ(count, 86'567'656);
  const std::map<std::string, std::vector<std::int64_t>> shapes{
      {"class_token", {1, 1, 768}},
      {"conv_proj.weight", {768, 3, 16, 16}},
      {"encoder.pos_embedding", {1, 197, 768}},
      {"encoder.layers.encoder_layer_11.ln_1.weight", {768}},
      {"encoder.layers.encoder_layer_0.self_attention.in_proj_weight", {2304, 768}},
      {"encoder.layers.encoder_layer_0.self_attention.in_proj_bias", {2304}},
      {"encoder.layers.encoder_layer_0.self_attention.out_proj.weight", {768, 768}},
      {"encoder.layers.encoder_layer_0.mlp.0.weight", {3072, 768}},
      {"encoder.layers.encoder_layer_0.mlp.3.bias", {768}},
      {"encoder.ln.bias", {768}},
      {"heads.head.weight", {1000, 768}}};
  const auto parameters = network->named_parameters();
  for (const auto& [name, shape] : shapes) {
    ASSERT_TRUE(parameters.contains(name)) << name;
    EXPECT_EQ(parameters[name].sizes(), at::IntArrayRef(shape)) << name;
  }
  EXPECT_EQ(parameters.size(), 4u + 12 * 12 + 4);
}

// The forward pass written with the library's layers.
at::Tensor by_library(const Network& network, const at::Tensor& images, std::vector<at::Tensor>& maps) {
  const auto p = network.named_parameters();
  const auto norm = [&](const at::Tensor& z, const std::string& name) {
    return at::layer_norm(z, {12}, p[name + ".weight"], p[name + ".bias"], 1e-6);
  };
  at::Tensor u = at::conv2d(images, p["conv_proj.weight"], p["conv_proj.bias"], 8).flatten(2).transpose(1, 2);
  at::Tensor z =
      at::cat({p["class_token"].expand({images.size(0), 1, 12}), u}, 1) + p["encoder.pos_embedding"];
  for (int i = 0; i < 2; ++i) {
    const std::string layer = cat("encoder.layers.encoder_layer_", i, ".");
    torch::nn::MultiheadAttention attention(torch::nn::MultiheadAttentionOptions(12, 3));
    attention->to(at::kDouble);
    {
      const at::NoGradGuard no_grad;
      attention->in_proj_weight.copy_(p[layer + "self_attention.in_proj_weight"]);
      attention->in_proj_bias.copy_(p[layer + "self_attention.in_proj_bias"]);
      attention->out_proj->weight.copy_(p[layer + "self_attention.out_proj.weight"]);
      attention->out_proj->bias.copy_(p[layer + "self_attention.out_proj.bias"]);
    }
    const at::Tensor x = norm(z, layer + "ln_1").transpose(0, 1);
    auto [mixed, map] = attention->forward(x, x, x);
    maps.push_back(map.detach());
    z = z + mixed.transpose(0, 1);
    const at::Tensor wide =
        at::gelu(at::linear(norm(z, layer + "ln_2"), p[layer + "mlp.0.weight"], p[layer + "mlp.0.bias"]));
    z = z + at::linear(wide, p[layer + "mlp.3.weight"], p[layer + "mlp.3.bias"]);
  }
  return at::linear(norm(z, "encoder.ln").select(1, 0), p["heads.head.weight"], p["heads.head.bias"]);
}

TEST(Vit, ComputesWhatTheLibrarysLayersComputeRecordingOrNot) {
  const auto network = small_network();
  network->eval();
  const at::Tensor x = at::rand({2, 3, 24, 24}, at::kDouble);
  std::vector<at::Tensor> maps;
  const at::Tensor expected = by_library(*network, x, maps);
  EXPECT_LE(relative_difference(network->logits(x), expected), 1e-12);
  TapeContext context;
  context.recording = true;
  Tape tape(context);
  EXPECT_LE(relative_difference(tape.output(network->forward(tape, x)), expected), 1e-12);

  // Rollout by full matrix products.
  const at::Tensor eye = at::eye(10, at::kDouble);
  const at::Tensor product = at::matmul((maps[1] + eye) / 2, (maps[0] + eye) / 2);
  EXPECT_LE(relative_difference(product.sum(2), at::ones({2, 10}, at::kDouble)), 1e-12);
  const at::Tensor row = product.select(1, 0).narrow(1, 1, 9);
  const at::Tensor map = (row / row.amax(1, true)).view({2, 1, 3, 3});
  ASSERT_EQ(tape.shown().size(), 1u);
  EXPECT_EQ(tape.shown()[0].first, "rollout");
  EXPECT_LE(relative_difference(tape.shown()[0].second, at::upsample_bilinear2d(map, {24, 24}, false)),
            1e-12);
}

TEST(Vit, InterpolatesPositionsForOtherSizesAndRefusesOnesThatNoPatchFits) {
  const auto network = small_network();
  network->eval();
  EXPECT_EQ(network->logits(at::rand({2, 3, 40, 16}, at::kDouble)).sizes(), at::IntArrayRef({2, 4}));
  // A constant grid stays constant, so that black images of as many patches are alike.
  const at::NoGradGuard no_grad;
  auto positions = network->named_parameters()["encoder.pos_embedding"];
  positions.narrow(1, 1, 9).copy_(at::ones({1, 9, 12}, at::kDouble) * 0.3);
  const at::Tensor same = network->logits(at::zeros({1, 3, 24, 24}, at::kDouble));
  EXPECT_LE(relative_difference(network->logits(at::zeros({1, 3, 72, 8}, at::kDouble)), same), 1e-10);
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { network->logits(at::zeros({1, 3, 25, 24}, at::kDouble)); }),
              HasSubstr("patches are 8 pixels"));
}

TEST(Vit, TrainsByObjectivesThatNeedNoRules) {
  Batch batch;
  batch.images = at::rand({2, 3, 24, 24}, at::kDouble);
  batch.masks = at::zeros({2, 1, 24, 24}, at::kDouble);
  batch.masks.narrow(2, 4, 12).fill_(1);
  batch.labels = at::tensor({1, 3}, at::kLong);
  batch.ids = at::arange(2, at::kLong);
  for (const char* objective : {"classifier", "rrr", "gradient-x-input"}) {
    const auto network = small_network();
    network->train();
    const Losses losses = objectives().at(objective).make(model_options())->compute(*network, batch);
    losses.total.backward();
    for (const auto& parameter : network->named_parameters()) {
      ASSERT_TRUE(parameter.value().grad().defined()) << objective << " " << parameter.key();
      EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>())
          << objective << " " << parameter.key();
    }
  }
}

TEST(Vit, RelevanceIsRefusedWithWhatCanBeDone) {
  const auto network = small_network();
  Batch batch;
  batch.images = at::rand({2, 3, 24, 24}, at::kDouble);
  batch.masks = at::ones({2, 1, 24, 24}, at::kDouble);
  batch.labels = at::tensor({1, 3}, at::kLong);
  batch.ids = at::arange(2, at::kLong);
  const auto objective = objectives().at("isnet").make(model_options());
  const std::string message = refusal(ErrorKind::usage, [&] { objective->compute(*network, batch); });
  EXPECT_THAT(message, HasSubstr("transformer encoder"));
  EXPECT_THAT(message, HasSubstr("gradient-x-input"));
}

TEST(Vit, BadSizesAreRefused) {
  auto options = small_options();
  options.set("heads", "5");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { networks().at("vit").make(options, 2); }),
              HasSubstr("--heads: '5'"));
  options = small_options();
  options.set("image-size", "25");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { networks().at("vit").make(options, 2); }),
              HasSubstr("--image-size: '25'"));
}

// torchvision's names of hidden layers before 0.13.
TEST(Vit, ReadsWeightsWithTheOldNames) {
  const auto network = small_network();
  NamedTensors tensors = host_copies(named_tensors(*network)), old;
  for (const auto& [name, tensor] : tensors) {
    std::string renamed = name;
    for (const auto& [now, before] : {std::pair{"mlp.0.", "mlp.linear_1."}, {"mlp.3.", "mlp.linear_2."}})
      if (const auto place = renamed.find(now); place != std::string::npos)
        renamed.replace(place, std::string(now).size(), before);
    old[renamed] = tensor;
  }
  const TemporaryFolder folder;
  safetensors::write(folder / "old.safetensors", views_of(old), {});
  const auto other = small_network();
  {
    const at::NoGradGuard no_grad;
    for (const auto& parameter : other->parameters()) parameter.zero_();
  }
  const auto report = load_weights(folder / "old.safetensors", *other);
  EXPECT_TRUE(report.complete()) << report.text();
  const at::Tensor x = at::rand({1, 3, 24, 24}, at::kDouble);
  EXPECT_TRUE(at::equal(network->logits(x), other->logits(x)));
}

}  // namespace
}  // namespace isnet
