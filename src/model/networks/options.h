// Options that several families of networks share: one name, so one declaration.
#pragma once

#include <cstdint>
#include <utility>

#include "base/options.h"

namespace isnet {

/// --blocks: layers or blocks of each stage (densenet, resnet).
OptionSpec blocks_option();

/// --layers: layers as text (vgg, sequence); each family reads it in its own way.
OptionSpec layers_option();

/// --batch-norm: whether convolutions have one (vgg, U-Nets).
OptionSpec batch_norm_option();

/// --pool and --hidden: the adaptive average pool before a classifying head, and the head's hidden layers.
OptionSpec pool_option();
OptionSpec hidden_option();
/// Reads --pool: height and width. Errors: usage (not two numbers).
std::pair<std::int64_t, std::int64_t> pool_size(const OptionValues& options);

/// --stem: what reads the pixels (densenet, resnet).
OptionSpec stem_option();

/// imagenet: 7×7 with stride 2 and a max pool, which halve the image twice. small: 3×3 with stride 1, no
/// pool, for images of some 32 pixels a side. The parameters' names are the same.
enum class Stem { imagenet, small };
/// Reads --stem.
Stem stem_of(const OptionValues& options);

}  // namespace isnet
