#include "model/network_guess.h"

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "model/weight_names.h"

namespace isnet {
namespace {

using Numbers = std::vector<std::int64_t>;

class Shapes {
 public:
  explicit Shapes(const NamedTensors& tensors) : tensors_(tensors) {}

  bool has(const std::string& name) const { return tensors_.contains(name); }
  /// An extent of a tensor; 0: there is no such tensor or dimension.
  std::int64_t extent(const std::string& name, std::int64_t dimension) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() || found->second.dim() <= dimension ? 0 : found->second.size(dimension);
  }
  /// How many of "BEFORE1AFTER", "BEFORE2AFTER", … there are, counted from `first`.
  std::int64_t count(const std::string& before, const std::string& after, std::int64_t first) const {
    std::int64_t number = 0;
    while (has(cat(before, first + number, after))) ++number;
    return number;
  }

 private:
  const NamedTensors& tensors_;
};

std::string list_of(const Numbers& numbers) {
  std::string text;
  for (const auto number : numbers) text += cat(text.empty() ? "" : ",", number);
  return text;
}

// The stem that isnet knows by this kernel; "" for the default.
std::optional<std::string> stem_of(std::int64_t kernel) {
  if (kernel == 7) return "";
  if (kernel == 3) return " --stem small";
  return {};
}

std::string dense_net(const Shapes& shapes) {
  const auto init = shapes.extent("features.conv0.weight", 0);
  const auto growth = shapes.extent("features.denseblock1.denselayer1.conv2.weight", 0);
  const auto stem = stem_of(shapes.extent("features.conv0.weight", 2));
  if (init == 0 || growth == 0 || !stem) return "";
  Numbers blocks;
  const auto layers = [&](std::size_t block) {
    return shapes.count(cat("features.denseblock", block, ".denselayer"), ".conv2.weight", 1);
  };
  while (layers(blocks.size() + 1) > 0) blocks.push_back(layers(blocks.size() + 1));
  struct Published {
    const char* name;
    Numbers blocks;
    std::int64_t growth, init;
  };
  for (const auto& known :
       {Published{"densenet121", {6, 12, 24, 16}, 32, 64}, Published{"densenet161", {6, 12, 36, 24}, 48, 96},
        Published{"densenet169", {6, 12, 32, 32}, 32, 64}, Published{"densenet201", {6, 12, 48, 32}, 32, 64}})
    if (known.blocks == blocks && known.growth == growth && known.init == init) return known.name + *stem;
  return cat("densenet --growth-rate ", growth, " --blocks ", list_of(blocks), " --init-features ", init, *stem);
}

std::string residual_net(const Shapes& shapes) {
  const auto stem = stem_of(shapes.extent("conv1.weight", 2));
  if (!shapes.has("layer1.0.conv1.weight") || !stem) return "";
  const bool bottleneck = shapes.has("layer1.0.conv3.weight");
  Numbers blocks, widths;
  const auto layers = [&](std::size_t stage) { return shapes.count(cat("layer", stage, "."), ".conv1.weight", 0); };
  while (layers(blocks.size() + 1) > 0) {
    const std::string block = cat("layer", blocks.size() + 1, ".0.");
    const auto planes = shapes.extent(block + "conv1.weight", 0);
    const auto out = shapes.extent(block + (bottleneck ? "conv3.weight" : "conv2.weight"), 0);
    // Groups and wide bottlenecks (ResNeXt, Wide ResNet) are none of ours.
    if (shapes.extent(block + "conv2.weight", 1) != planes || out != planes * (bottleneck ? 4 : 1)) return "";
    blocks.push_back(layers(blocks.size() + 1));
    widths.push_back(planes);
  }
  if (widths == Numbers{64, 128, 256, 512}) {
    const std::map<Numbers, const char*> basic{{{2, 2, 2, 2}, "resnet18"}, {{3, 4, 6, 3}, "resnet34"}};
    const std::map<Numbers, const char*> deep{
        {{3, 4, 6, 3}, "resnet50"}, {{3, 4, 23, 3}, "resnet101"}, {{3, 8, 36, 3}, "resnet152"}};
    const auto& known = bottleneck ? deep : basic;
    if (const auto found = known.find(blocks); found != known.end()) return found->second + *stem;
  }
  return cat("resnet --block ", bottleneck ? "bottleneck" : "basic", " --blocks ", list_of(blocks), " --widths ",
             list_of(widths), *stem);
}

// Convolutions are 2 (with batch norm 3) places apart; a pool takes one more.
std::string vgg(const Shapes& shapes) {
  if (shapes.extent("features.0.weight", 2) != 3 || !shapes.has("classifier.0.weight")) return "";
  const bool batch_norm = shapes.has("features.1.running_mean");
  std::string layers;
  for (int place = 0; place < 200; ++place) {
    const std::string name = cat("features.", place, ".weight");
    if (shapes.extent(name, 2) != 3) continue;
    const int step = batch_norm ? 3 : 2;
    layers += cat(layers.empty() ? "" : ",", shapes.extent(name, 0));
    if (shapes.extent(cat("features.", place + step, ".weight"), 2) != 3) layers += ",M";
  }
  const std::map<std::string, const char*> known{
      {"64,M,128,M,256,256,M,512,512,M,512,512,M", "vgg11"},
      {"64,64,M,128,128,M,256,256,M,512,512,M,512,512,M", "vgg13"},
      {"64,64,M,128,128,M,256,256,256,M,512,512,512,M,512,512,512,M", "vgg16"},
      {"64,64,M,128,128,M,256,256,256,256,M,512,512,512,512,M,512,512,512,512,M", "vgg19"}};
  const bool head = shapes.extent("classifier.0.weight", 1) == 512 * 7 * 7 &&
                    shapes.extent("classifier.3.weight", 0) == 4096;
  if (const auto found = known.find(layers); found != known.end() && head)
    return cat(found->second, batch_norm ? "_bn" : "");
  return cat("vgg --layers ", layers, batch_norm ? " --batch-norm 1" : "");
}

std::string vision_transformer(const Shapes& shapes) {
  const auto width = shapes.extent("conv_proj.weight", 0), patch = shapes.extent("conv_proj.weight", 2);
  const auto layers = shapes.count("encoder.layers.encoder_layer_", ".ln_1.weight", 0);
  if (width == 0 || layers == 0) return "";
  const auto hidden = shapes.extent("encoder.layers.encoder_layer_0.mlp.0.weight", 0);
  if (width == 768 && patch == 16 && layers == 12 && hidden == 3072) return "vit-b-16";
  return cat("vit --patch-size ", patch, " --hidden-dim ", width, " --encoder-layers ", layers, " --mlp-dim ",
             hidden);
}

std::string u_net(const Shapes& shapes) {
  if (!shapes.has("down_path.0.block.0.weight")) return "";
  std::int64_t wf = 0;
  while ((std::int64_t{2} << wf) <= shapes.extent("down_path.0.block.0.weight", 0)) ++wf;
  const auto depth = shapes.count("down_path.", ".block.0.weight", 0);
  return cat(shapes.has("last.weight") && !shapes.has("classification_head.block.2.weight") ? "unet" : "multitask-unet",
             " --depth ", depth, " --wf ", wf);
}

std::string guess(const NamedTensors& tensors) {
  const Shapes shapes(tensors);
  for (const auto kind : {dense_net, residual_net, vgg, vision_transformer, u_net})
    if (const std::string options = kind(shapes); !options.empty()) return "--network " + options;
  return "";
}

}  // namespace

std::string guessed_network(const NamedTensors& tensors) {
  std::string options = guess(tensors);
  for (const auto& prefix : name_prefixes(tensors)) {
    if (!options.empty()) break;
    options = guess(without_prefix(tensors, prefix));
  }
  return options;
}

}  // namespace isnet
