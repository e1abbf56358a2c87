// One forward pass of a graph (src/graph) on a tape: what operators see.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph/graph.h"
#include "model/lrp/tape.h"

namespace isnet {

/// What a name of the graph stands for: an activation on the tape, or a constant (a weight, or a size that follows
/// from the images' and is computed again in each pass).
struct GraphItem {
  /// Whether the other factor of a product takes this one for a constant gate, and not the other way round.
  enum class Gate { no, clipped, yes };

  Value value;
  at::Tensor constant;
  Gate gate = Gate::no;

  bool is_activation() const { return value.node >= 0; }
  static GraphItem of(Value value, Gate gate = Gate::no) { return {value, {}, gate}; }
  static GraphItem of(at::Tensor constant) { return {{}, std::move(constant), Gate::no}; }
};

/// Layers and constants of a graph, which passes share. Tensors of convolutions and batch norms are those of
/// `tensors`, or are registered modules'.
struct GraphLayers {
  std::map<std::string, at::Tensor> tensors;              ///< weights and constants by name
  std::map<const GraphNode*, torch::nn::Conv2d> convolutions;
  std::map<const GraphNode*, torch::nn::BatchNorm2d> batch_norms;
  std::string head_weight;
  double dropout = 0;                 ///< before the head
  std::int64_t exported_batch = -1;   ///< that constant sizes have in their first place; −1: unknown
};

/// The state of a pass. Errors of all methods: data, with the node.
class GraphPass {
 public:
  GraphPass(Tape& tape, const GraphLayers& layers) : tape_(tape), layers_(layers) {}

  Tape& tape() const { return tape_; }
  const GraphLayers& layers() const { return layers_; }

  void set(const std::string& name, GraphItem item) { items_[name] = std::move(item); }
  const GraphItem& item(const std::string& name) const;

  bool has(const GraphNode& node, std::size_t index) const { return !node.input(index).empty(); }
  const GraphItem& input(const GraphNode& node, std::size_t index) const;
  /// An input that has to be an activation.
  Value activation(const GraphNode& node, std::size_t index) const;
  /// The tensor of an input, whatever it is.
  at::Tensor tensor(const GraphNode& node, std::size_t index) const;
  /// An input that has to be a constant, in host memory; as integers; or the attribute of this name.
  at::Tensor constant(const GraphNode& node, std::size_t index) const;
  std::vector<std::int64_t> integers(const GraphNode& node, std::size_t index) const;
  std::vector<std::int64_t> integers(const GraphNode& node, std::size_t index,
                                     const std::string& attribute) const;
  /// Whether all inputs are constants.
  bool constant_inputs(const GraphNode& node) const;

  /// A step that moves values (Rearrangement).
  Value rearrange(const GraphNode& node, Value x, const std::function<at::Tensor(const at::Tensor&)>& forward,
                  const std::function<at::Tensor(const at::Tensor&)>& adjoint) const;
  /// x in another shape, sample by sample: `shape` without the batch.
  Value reshape(const GraphNode& node, Value x, const std::vector<std::int64_t>& shape) const;
  /// A step without a rule.
  Value without_rule(const GraphNode& node, at::Tensor output) const;

 private:
  Tape& tape_;
  const GraphLayers& layers_;
  std::unordered_map<std::string, GraphItem> items_;
};

/// Computes the outputs of a node.
using GraphOperator = std::function<std::vector<GraphItem>(GraphPass&, const GraphNode&)>;
using GraphOperators = std::map<std::string, GraphOperator>;

/// The operators that there are, by name.
const GraphOperators& graph_operators();

/// Each in its file: layers with weights, pools and activations; arithmetic; what changes shapes.
GraphOperators layer_operators();
GraphOperators arithmetic_operators();
GraphOperators shape_operators();

/// Whether a convolution's padding is the same on opposite sides and known beforehand: then its layer does it,
/// else a step before it.
bool pads_itself(const GraphNode& node);

/// The axis as a number from 0. Errors: data.
std::int64_t axis_of(const GraphNode& node, std::int64_t axis, std::int64_t dimensions);

}  // namespace isnet
