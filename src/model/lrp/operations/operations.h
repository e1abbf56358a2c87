// The operations that the walk knows, as classes; each is made by a method of Tape of its name.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "model/lrp/fused.h"
#include "model/lrp/layer_rule.h"
#include "model/lrp/operation.h"
#include "model/lrp/tape.h"

namespace isnet {

/// The pixels, normalised; `low` and `high` (1×3×1×1) are 0 and 1 after normalisation.
class Input : public Operation {
 public:
  Input(at::Tensor low, at::Tensor high) : low(std::move(low)), high(std::move(high)) {}
  std::string name() const override { return "input"; }
  bool has_gradient() const override { return true; }
  bool has_gate() const override { return false; }
  void relevance(Walk&, int) const override {}
  at::Tensor low, high;
};

/// A 2-D convolution, B×F×H×W → B×K×h×w. weight: K×F/groups×kernel, live.
class Convolution : public Operation {
 public:
  explicit Convolution(const torch::nn::Conv2dImpl& layer);
  std::string name() const override { return "convolution"; }
  bool has_gradient() const override { return true; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;
  std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const override;

  /// The convolution's geometry with other weights, and a bias if one is given.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& weights, const at::Tensor& constant = {}) const;
  /// Its transpose: from the output's shape back to height × width.
  at::Tensor transpose(const at::Tensor& c, const at::Tensor& weights, std::int64_t height,
                       std::int64_t width) const;

  at::Tensor weight, bias;  // bias may be undefined
  std::vector<std::int64_t> stride, padding, dilation;
  std::int64_t groups;
  // In which it multiplies, if not in that of its input; what comes out is as precise as what went in.
  at::ScalarType multiplication = at::ScalarType::Undefined;
};

/// Inputs: one; or after fusing with a ReLU, the parts of a concatenation.
class BatchNorm : public Operation {
 public:
  explicit BatchNorm(fused::Rectifier layer);
  std::string name() const override { return "batch norm"; }
  bool has_gradient() const override { return true; }
  bool fuses_with_batch_norm() const override { return false; }
  at::Tensor compute(const Tape& tape, int node) const override;
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;
  void share(LayerWalk& walk, int node) const override;

  /// γ/σ·(u − μ) + β with β, μ and σ constant.
  at::Tensor constant_form(const Walk& walk, int node) const;
  at::Tensor scale() const;                  ///< γ/σ, F; γ live
  fused::Rectifier layer;                    // everything live
  at::Tensor bias, mean, inverse_deviation;  // constants

 protected:
  void pass_to_parts(Walk& walk, int node, const at::Tensor& coefficient) const;
  void pass_gradient(Walk& walk, int node, const at::Tensor& gradient) const;
};

/// A batch norm and its ReLU in one step, with their gate: output = relu(…).
class BatchNormRelu : public BatchNorm {
 public:
  BatchNormRelu(const BatchNorm& norm, std::shared_ptr<fused::Rectifier> rectifier,
                fused::Normalized normalized);
  std::string name() const override { return "batch norm with ReLU"; }
  bool has_gate() const override { return false; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;

 private:
  std::shared_ptr<fused::Rectifier> rectifier_;
  fused::Normalized normalized_;
};

/// max(x, 0), with its gate; by the fused kernel where a rectifier is given.
class Relu : public Operation {
 public:
  Relu() = default;
  Relu(std::shared_ptr<fused::Rectifier> rectifier, fused::Normalized normalized)
      : rectifier_(std::move(rectifier)), normalized_(std::move(normalized)) {}
  std::string name() const override { return "ReLU"; }
  bool has_gradient() const override { return true; }
  bool has_gate() const override { return false; }
  void relevance(Walk& walk, int node) const override;
  void share(LayerWalk& walk, int node) const override;

 private:
  std::shared_ptr<fused::Rectifier> rectifier_;  // null: composite
  fused::Normalized normalized_;
};

/// Passes what arrived at `node` through its ReLU's gate to all inputs by the fused kernel; false where it
/// does not apply: another ε than before on this tape, constants that the kernel does not know.
bool pass_fused_gate(Walk& walk, int node, const std::shared_ptr<fused::Rectifier>& rectifier,
                     const fused::Normalized& normalized);

/// A fully connected layer, B×F → B×K. weight: K×F, live.
class Linear : public Operation {
 public:
  Linear(at::Tensor weight, at::Tensor bias) : weight(std::move(weight)), bias(std::move(bias)) {}
  std::string name() const override { return "linear layer"; }
  bool has_gradient() const override { return true; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;
  std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const override;
  at::Tensor weight, bias;
};

/// Maxima over windows; relevance goes to the winners.
class MaxPool : public Operation {
 public:
  explicit MaxPool(at::Tensor indices) : indices(std::move(indices)) {}
  std::string name() const override { return "max pool"; }
  bool has_gradient() const override { return true; }
  void relevance(Walk& walk, int node) const override;
  std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const override;
  at::Tensor indices;  // B×F×h×w into H·W

 private:
  at::Tensor to_winners(const Walk& walk, const at::Tensor& c, const at::Tensor& x) const;
};

/// Means over windows of kernel × kernel pixels.
class AveragePool : public Operation {
 public:
  AveragePool(std::int64_t kernel, std::int64_t stride) : kernel(kernel), stride(stride) {}
  std::string name() const override { return "average pool"; }
  bool has_gradient() const override { return true; }
  void relevance(Walk& walk, int node) const override;
  std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const override;
  std::int64_t kernel, stride;

 private:
  at::Tensor spread(const at::Tensor& c, const at::Tensor& x) const;
};

/// Means over parts of the map, one for each pixel of the output.
class AdaptiveAveragePool : public Operation {
 public:
  std::string name() const override { return "adaptive average pool"; }
  bool has_gradient() const override { return true; }
  void relevance(Walk& walk, int node) const override;
  std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const override;

 private:
  static at::Tensor spread(const at::Tensor& c, const at::Tensor& x);
};

/// B×F×h×w → B×(F·h·w).
class Flatten : public Operation {
 public:
  std::string name() const override { return "flatten"; }
  bool has_gradient() const override { return true; }
  bool has_gate() const override { return false; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;
  void share(LayerWalk& walk, int node) const override;
};

/// Maps of equal size, joined along channels.
class Concatenation : public Operation {
 public:
  explicit Concatenation(std::vector<int> parts) : parts(std::move(parts)) {}
  std::string name() const override { return "concatenation"; }
  bool has_gradient() const override { return true; }
  bool has_gate() const override { return false; }
  at::Tensor compute(const Tape& tape, int node) const override;
  std::vector<int> parts;  // of concatenations among the inputs, their parts
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;
  void share(LayerWalk& walk, int node) const override;
};

/// The sum of two branches of equal shape.
class Addition : public Operation {
 public:
  std::string name() const override { return "addition"; }
  bool has_gradient() const override { return true; }
  bool fuses_with_batch_norm() const override { return false; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;
  std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const override;
  void share(LayerWalk& walk, int node) const override;
};

/// A factor for each activation. Relevance passes it unchanged, so that the coefficient is multiplied by it.
class Dropout : public Operation {
 public:
  explicit Dropout(at::Tensor factor) : factor(std::move(factor)) {}
  std::string name() const override { return "dropout"; }
  bool has_gradient() const override { return true; }
  bool fuses_with_batch_norm() const override { return false; }
  bool has_gate() const override { return false; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;
  void share(LayerWalk& walk, int node) const override;
  at::Tensor factor;  // 0 or 1/(1 − p); undefined: nothing is dropped
};

/// x ⊙ attention, which is constant for relevance and live for its gradient.
class Attention : public Dropout {
 public:
  explicit Attention(at::Tensor attention) : Dropout(std::move(attention)) {}
  std::string name() const override { return "attention"; }
  bool has_gradient() const override { return false; }  // its map depends on x too
};

/// The sum over the pixels of each channel.
class SpatialSum : public Operation {
 public:
  std::string name() const override { return "sum over space"; }
  bool has_gradient() const override { return true; }
  void relevance(Walk& walk, int node) const override;
  std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const override;
};

}  // namespace isnet
