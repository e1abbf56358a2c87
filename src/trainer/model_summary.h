// What a model consists of, as a table.
#pragma once

#include <string>

namespace torch::nn {
class Module;
}

namespace isnet {

/// The modules down to `depth` levels (1: the model's own children) with kind and number of parameters; then
/// how many parameters there are, how many of them are trained, and the bytes of parameters and buffers.
std::string model_summary(const torch::nn::Module& model, int depth);

}  // namespace isnet
