#include "model/network_guess.h"

#include <gmock/gmock.h>
#include <torch/nn/modules/linear.h>

#include "base/error.h"
#include "model/network.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;

NamedTensors tensors_of(const std::string& name, const std::map<std::string, std::string>& given = {}) {
  auto options = model_options();
  for (const auto& [option, value] : given) options.set(option, value);
  return named_tensors(*networks().at(name).make(options, 5));
}

TEST(NetworkGuess, NamesPublishedNetworks) {
  for (const char* name : {"densenet121", "densenet201", "resnet18", "resnet34", "resnet50"})
    EXPECT_EQ(guessed_network(tensors_of(name)), cat("--network ", name));
  EXPECT_EQ(guessed_network(tensors_of("resnet18", {{"stem", "small"}})), "--network resnet18 --stem small");
}

// Tensors without values: the published sizes take half a gigabyte.
TEST(NetworkGuess, NamesPublishedVggs) {
  for (const bool batch_norm : {false, true}) {
    NamedTensors tensors;
    std::int64_t in = 3, place = 0;
    for (const std::int64_t out : {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0}) {
      if (out > 0) {
        tensors[cat("features.", place, ".weight")] = at::empty({out, in, 3, 3});
        if (batch_norm) tensors[cat("features.", place + 1, ".running_mean")] = at::empty({out});
        if (batch_norm) tensors[cat("features.", place + 1, ".weight")] = at::empty({out});
        in = out;
      }
      place += out == 0 ? 1 : batch_norm ? 3 : 2;
    }
    tensors["classifier.0.weight"] = at::empty({1, 512 * 7 * 7});
    tensors["classifier.3.weight"] = at::empty({4096, 1});
    EXPECT_EQ(guessed_network(tensors), batch_norm ? "--network vgg11_bn" : "--network vgg11");
  }
}

TEST(NetworkGuess, NamesTheOptionsOfOtherSizes) {
  EXPECT_EQ(guessed_network(tensors_of(
                "densenet", {{"growth-rate", "4"}, {"blocks", "2,3"}, {"init-features", "6"}, {"stem", "small"}})),
            "--network densenet --growth-rate 4 --blocks 2,3 --init-features 6 --stem small");
  EXPECT_EQ(guessed_network(tensors_of("resnet", {{"block", "bottleneck"}, {"blocks", "1,2"}, {"widths", "4,8"}})),
            "--network resnet --block bottleneck --blocks 1,2 --widths 4,8");
  EXPECT_EQ(guessed_network(tensors_of("vgg", {{"layers", "8,M,16,16,M"}, {"hidden", "4"}})),
            "--network vgg --layers 8,M,16,16,M");
  EXPECT_EQ(guessed_network(tensors_of("vit", {{"patch-size", "8"},
                                               {"image-size", "16"},
                                               {"hidden-dim", "12"},
                                               {"encoder-layers", "2"},
                                               {"mlp-dim", "24"}})),
            "--network vit --patch-size 8 --hidden-dim 12 --encoder-layers 2 --mlp-dim 24");
  EXPECT_EQ(guessed_network(tensors_of("unet", {{"depth", "3"}, {"wf", "2"}})), "--network unet --depth 3 --wf 2");
}

TEST(NetworkGuess, SeesThroughPrefixesAndKnowsWhatItDoesNotKnow) {
  NamedTensors wrapped;
  for (const auto& [name, tensor] : tensors_of("resnet18")) wrapped["model.backbone." + name] = tensor;
  EXPECT_EQ(guessed_network(wrapped), "--network resnet18");
  EXPECT_EQ(guessed_network({{"layer.weight", at::empty({2, 2})}}), "");
  EXPECT_EQ(guessed_network({}), "");
}

TEST(NetworkGuess, IsInTheMessageOfWeightsThatDoNotFit) {
  torch::nn::Linear other(2, 3);
  EXPECT_THAT(refusal(ErrorKind::checkpoint, [&] { load_weights("w.pth", tensors_of("resnet18"), *other); }),
              ::testing::HasSubstr("they look like --network resnet18"));
}

}  // namespace
}  // namespace isnet
