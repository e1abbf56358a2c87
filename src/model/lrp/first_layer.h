// Rules of the layer that reads the pixels. Chosen by name (--first-layer).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "base/registry.h"
#include "model/lrp/walk.h"

namespace isnet {

/// A convolution that reads the pixels, with the batch norm fused into it and the ReLU behind it, if any.
struct FirstLayer {
  int input = -1;  ///< the pixels
  int convolution = -1;
  int batch_norm = -1;  ///< −1: none
  int linear = -1;      ///< the end of the fused linear layer: batch_norm, else convolution
  int tail = -1;        ///< the ReLU behind it, else `linear`
};

/// All first layers of a tape. Errors: usage, where the pixels are read by something else than a convolution.
std::vector<FirstLayer> find_first_layers(const Tape& tape, const std::vector<std::vector<int>>& readers);

/// Relevance at the layer's tail: coefficient ⊙ factor.
struct TailRelevance {
  at::Tensor coefficient;  ///< (B·M)×F×h×w
  at::Tensor factor;       ///< B×F×h×w; undefined: 1
  bool known = true;       ///< not where a batch norm or a ReLU is one of several readers of the convolution
};

/// How relevance passes from a first layer's tail to the pixels.
class FirstLayerRule {
 public:
  virtual ~FirstLayerRule() = default;
  /// Heatmap B×M×3×H×W from the relevance at the layer's tail, which is known.
  virtual at::Tensor relevance(const Walk& walk, const FirstLayer& layer,
                               const TailRelevance& tail) const = 0;
};

/// A factory may return null: then the general rule (ε) is used down to the pixels.
using FirstLayerRuleFactory = std::function<std::unique_ptr<FirstLayerRule>()>;
Registry<FirstLayerRuleFactory>& first_layer_rules();
/// --first-layer and the options of the rules.
OptionGroup first_layer_group();

}  // namespace isnet
