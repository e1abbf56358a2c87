// Which network tensors belong to, told by their names and shapes.
#pragma once

#include <string>

#include "model/weights.h"

namespace isnet {

/// Returns the options of the network whose tensors these look like: "--network resnet18", "--network densenet
/// --growth-rate 8 --blocks 4,4,4 --init-features 16 --stem small"; "" where they look like none. Knows
/// DenseNets, ResNets, VGGs, vision transformers and U-Nets, also behind a prefix (`model.`). The number of
/// classes does not matter.
std::string guessed_network(const NamedTensors& tensors);

}  // namespace isnet
