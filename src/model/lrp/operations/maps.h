// Operations of graphs (model/onnx) that are given as maps: rearrangements, pools, piecewise linear functions,
// constants added and multiplied.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "model/lrp/layer_rule.h"
#include "model/lrp/operation.h"

namespace isnet {

/// A linear map B×… → B×… without weights of its own, sample by sample.
using SampleMap = std::function<at::Tensor(const at::Tensor&)>;

/// Moves values and changes none: a transposition, a slice, padding. The adjoint moves them back, from (B·M)×….
class Rearrangement : public Operation {
 public:
  Rearrangement(std::string name, SampleMap forward, SampleMap adjoint)
      : name_(std::move(name)), forward_(std::move(forward)), adjoint_(std::move(adjoint)) {}
  std::string name() const override { return name_; }
  bool has_gradient() const override { return true; }
  bool has_gate() const override { return false; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;
  void share(LayerWalk& walk, int node) const override;

 private:
  std::string name_;
  SampleMap forward_, adjoint_;
};

/// A linear layer with fixed weights ≥ 0: pools and means.
class FixedPool : public Operation {
 public:
  FixedPool(std::string name, SampleMap forward, SampleMap adjoint)
      : name_(std::move(name)), forward_(std::move(forward)), adjoint_(std::move(adjoint)) {}
  std::string name() const override { return name_; }
  bool has_gradient() const override { return true; }
  void relevance(Walk& walk, int node) const override;
  std::optional<LinearLayer> linear_layer(const Walk& walk, int node) const override;

 private:
  std::string name_;
  SampleMap forward_, adjoint_;
};

/// f(z) = slope·z, where the slope depends on which piece z lies in: leaky ReLUs; and clipping, where the slope of
/// what is cut off is 0: that is a constant, whatever z is. Gates are those of a ReLU: slope·z/(z + ε·s(z)).
class PiecewiseLinear : public Operation {
 public:
  PiecewiseLinear(std::string name, at::Tensor slope) : name_(std::move(name)), slope_(std::move(slope)) {}
  std::string name() const override { return name_; }
  bool has_gradient() const override { return true; }
  bool has_gate() const override { return false; }
  void relevance(Walk& walk, int node) const override;

 private:
  std::string name_;
  at::Tensor slope_;  // B×…; live where it is learnt
};

/// x + b. b, of any shape that x's contains, is a bias: live, and constant in denominators.
class Shift : public Operation {
 public:
  explicit Shift(at::Tensor bias) : bias_(std::move(bias)) {}
  std::string name() const override { return "added constant"; }
  bool has_gradient() const override { return true; }
  bool fuses_with_batch_norm() const override { return false; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;

 private:
  at::Tensor bias_;
};

/// x·f, f without a batch: a diagonal layer with the weight f, which is live.
class Scaling : public Operation {
 public:
  explicit Scaling(at::Tensor factor) : factor_(std::move(factor)) {}
  std::string name() const override { return "constant factor"; }
  bool has_gradient() const override { return true; }
  bool fuses_with_batch_norm() const override { return false; }
  at::Tensor denominator(const Walk& walk, int node) const override;
  void relevance(Walk& walk, int node) const override;

 private:
  at::Tensor factor_;
};

}  // namespace isnet
