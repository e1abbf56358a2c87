#include "model/networks/options.h"

#include "base/error.h"

namespace isnet {

OptionSpec blocks_option() {
  return integers_option("blocks", "",
                         "densenet: layers in each dense block (default 3,9,2); "
                         "resnet: blocks in each stage (default 2,2,2,2)",
                         1);
}

OptionSpec layers_option() {
  return text_option(
      "layers", "", "TEXT|@FILE",
      "vgg: channels of each convolution, and M for a 2x2 max pool (default 64,M,128,M); "
      "sequence: the layers (docs/networks.md), for example \"conv 16 3 pad 1, relu, avgpool global, "
      "flatten, linear\"");
}

OptionSpec batch_norm_option() {
  return switch_option("batch-norm", false, "vgg, U-Nets: add a batch norm for each 3x3 convolution");
}

OptionSpec pool_option() {
  return integers_option("pool", "7,7", "vgg, multitask-unet: height and width of the adaptive average pool",
                         1);
}

OptionSpec hidden_option() {
  return integers_option("hidden", "4096,4096", "vgg, multitask-unet: sizes of the hidden linear layers", 1);
}

std::pair<std::int64_t, std::int64_t> pool_size(const OptionValues& options) {
  const auto pool = options.integers("pool");
  if (pool.size() != 2) fail(ErrorKind::usage, "--pool: two numbers are needed, height and width");
  return {pool[0], pool[1]};
}

OptionSpec stem_option() {
  return choice_option(
      "stem", "imagenet",
      "densenet, resnet: first layers, for large images (7x7, stride 2, max pool) "
      "or small ones (3x3, no pool)",
      {"imagenet", "small"});
}

Stem stem_of(const OptionValues& options) {
  return options.text("stem") == "small" ? Stem::small : Stem::imagenet;
}

}  // namespace isnet
