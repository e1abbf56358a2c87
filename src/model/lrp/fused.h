// Autograd functions over the channels-last kernels: what a batch norm, its ReLU and their gate need, in one
// pass over memory each, for all maps at once. Their backward passes are written by hand and have no second
// derivative: a backward pass with create_graph through them is refused (TapeContext::fused turns them off).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace isnet {
class AcrossRanks;
}

namespace isnet::fused {

/// Whether the kernels take it: 4 dimensions, float or double, in host memory.
bool supports(const at::Tensor& x);

/// Mean and biased variance of each channel of x (B×F×H×W): F, double, constants; of `count` values each (0
/// for a batch of 0, whose moments are zeros).
struct Moments {
  at::Tensor mean, variance;
  double count = 0;
};
/// Statistics of the batch x on this rank.
Moments moments(const at::Tensor& x);

/// Values that the forward pass of a batch norm with its ReLU, or of a ReLU alone, shares with their gate.
struct Rectifier {
  at::Tensor weight, bias;             ///< γ, β: F, live. Undefined: a ReLU alone
  at::Tensor input_bias;               ///< live bias of the convolution before it, if it has one: F
  at::Tensor mean, inverse_deviation;  ///< F, constants
  bool batch_statistics = false;       ///< they are functions of x: the backward pass goes through them
  std::shared_ptr<const AcrossRanks> across;  ///< of all ranks' x; null: of this rank's
  double count = 0;                           ///< with `across`: values of all ranks in a channel
  double variance_epsilon = 0;  ///< is in inverse_deviation: 1/sqrt(variance + it)
  bool relu = true;
  double epsilon = 0;  ///< of the gate; the walk sets it. 0: no gate yet
  at::Tensor scale;    ///< γ/σ: F, constant; set by normalize(). Undefined for a ReLU alone
};

/// The output, and a token by which gates send their gradient to it: an empty tensor of the output's shape.
struct Normalized {
  at::Tensor output, token;
};
/// relu(γ/σ·(x − μ) + β) of the concatenation of parts (B×…×H×W) along channels, channels last.
Normalized normalize(at::TensorList parts, const std::shared_ptr<Rectifier>& of);

/// How a coefficient was computed, to compute it again in the backward pass instead of keeping it.
struct Origin {
  at::Tensor from, weight;
  std::function<at::Tensor(const at::Tensor& from, const at::Tensor& weight)> compute;
};

/// c·γ/σ·a/(z' + ε), cut into slices of the given widths; c: (B·M)×F×H×W, a: B×F×H×W. Where a slice of
/// `sums` is defined, it is added to in place, and must not be used elsewhere.
/// Gradients: by c, and by a, γ and x through the token (spec section 4: β, μ, σ constant in the
/// denominator).
std::vector<at::Tensor> gate(const at::Tensor& c, const Normalized& normalized,
                             const std::shared_ptr<Rectifier>& of, std::int64_t maps,
                             const std::vector<std::int64_t>& widths, const std::vector<at::Tensor>& sums,
                             Origin recompute = {});

/// c ⊙ factor for each of the M maps; c: (B·M)×F×H×W, factor: B×F×H×W.
at::Tensor scaled(const at::Tensor& c, const at::Tensor& factor, std::int64_t maps);

/// Max pooling's transpose: c ((B·M)×F×h×w) to the winners (indices B×F×h×w into H·W), added where they
/// coincide.
at::Tensor to_winners(const at::Tensor& c, const at::Tensor& indices, std::int64_t maps, std::int64_t height,
                      std::int64_t width);

}  // namespace isnet::fused
