// A network as a graph of operators, as ONNX files hold it: plain values without protobuf and without torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace isnet {

/// Types of a graph's tensors. Files hold more; those are refused.
enum class ElementType { f32, f64, f16, bf16, i64, i32, i8, u8, boolean };

std::size_t bytes_of(ElementType type);
bool is_floating(ElementType type);

/// A tensor of a graph, row-major. A weight whose values are kept elsewhere has no bytes.
struct GraphTensor {
  ElementType type = ElementType::f32;
  std::vector<std::int64_t> shape;
  std::string bytes;

  /// Product of the shape. Errors: data (negative, or more than 2^40).
  std::int64_t count() const;
};

using GraphAttribute = std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>,
                                    std::vector<double>, GraphTensor>;

/// One operator. An input that is left out has an empty name.
struct GraphNode {
  std::string operation;  ///< "Conv", …
  std::string name;       ///< may be empty
  std::vector<std::string> inputs, outputs;
  std::map<std::string, GraphAttribute> attributes;

  /// For messages: "node 'conv1' (Conv)".
  std::string text() const;
  /// Name of an input; empty where there is none.
  const std::string& input(std::size_t index) const;
  bool has(const std::string& attribute) const { return attributes.count(attribute) > 0; }
  /// Attributes with the default of the operator. Errors: data (of another type).
  std::int64_t integer(const std::string& attribute, std::int64_t otherwise) const;
  double real(const std::string& attribute, double otherwise) const;
  std::string text_of(const std::string& attribute, const std::string& otherwise) const;
  std::vector<std::int64_t> integers(const std::string& attribute,
                                     std::vector<std::int64_t> otherwise = {}) const;

 private:
  template <typename Kind>
  const Kind* find(const std::string& attribute) const;
};

/// Nodes in the order of computation, each name written once; `output` depends on `input`.
struct Graph {
  std::int64_t opset = 17;  ///< version of the operators
  std::string input;
  std::vector<std::int64_t> input_shape;  ///< B, channels, height, width; −1: not fixed
  std::string output;
  std::vector<std::int64_t> output_shape;  ///< B, classes; −1: not fixed; for files that are written
  std::vector<GraphNode> nodes;
  std::map<std::string, GraphTensor> tensors;    ///< weights by name
  std::map<std::string, GraphTensor> constants;  ///< sizes, bounds and axes: part of what the graph computes
  std::map<std::string, std::string> metadata;
};

/// Values of a tensor as numbers. Errors: internal (a half-precision one).
std::vector<double> numbers(const GraphTensor& tensor);

/// The shortest decimal that is this float: 1e-5 as its author wrote it, not 9.99999974e-6.
double shortest_decimal(float value);

/// How many nodes read each name; the output counts as read.
std::map<std::string, int> readers(const Graph& graph);

/// Throws an error of kind data about a node.
[[noreturn]] void refuse(const GraphNode& node, const std::string& what);

}  // namespace isnet
