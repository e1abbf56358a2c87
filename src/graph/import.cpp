#include "graph/import.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "graph/import_steps.h"

namespace isnet {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

GraphTensor constant_of(const GraphNode& node) {
  const auto values_of = [](auto values, ElementType type, std::vector<std::int64_t> shape) {
    GraphTensor tensor{type, std::move(shape), {}};
    tensor.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
    return tensor;
  };
  if (const auto found = node.attributes.find("value"); found != node.attributes.end())
    if (const auto* tensor = std::get_if<GraphTensor>(&found->second)) return *tensor;
  if (node.has("value_int"))
    return values_of(std::vector<std::int64_t>{node.integer("value_int", 0)}, ElementType::i64, {});
  if (node.has("value_float"))
    return values_of(std::vector<double>{node.real("value_float", 0)}, ElementType::f64, {});
  if (node.has("value_ints")) {
    const auto values = node.integers("value_ints");
    return values_of(values, ElementType::i64, {static_cast<std::int64_t>(values.size())});
  }
  refuse(node, "a constant of this kind is not supported");
}

// Rows and columns of a matrix in exchanged places.
GraphTensor transposed(const GraphTensor& tensor) {
  const std::size_t size = bytes_of(tensor.type);
  const auto rows = static_cast<std::size_t>(tensor.shape[0]), columns = static_cast<std::size_t>(tensor.shape[1]);
  GraphTensor result{tensor.type, {tensor.shape[1], tensor.shape[0]}, std::string(tensor.bytes.size(), '\0')};
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c)
      std::copy_n(tensor.bytes.data() + (r * columns + c) * size, size, result.bytes.data() + (c * rows + r) * size);
  return result;
}

bool is_matrix(const Graph& graph, const std::string& name) {
  const auto found = graph.tensors.find(name);
  return found != graph.tensors.end() && found->second.shape.size() == 2 && is_floating(found->second.type);
}

// A transposition of a weight that only layers read: those take the weight as it is.
std::map<std::string, std::string> transposed_weights(Graph& graph) {
  std::map<std::string, std::string> weights;
  for (auto& node : graph.nodes) {
    if (node.operation != "Transpose" || !is_matrix(graph, node.input(0))) continue;
    const bool for_layers = std::all_of(graph.nodes.begin(), graph.nodes.end(), [&](const GraphNode& reader) {
      const auto& inputs = reader.inputs;
      return std::find(inputs.begin(), inputs.end(), node.outputs[0]) == inputs.end() ||
             ((reader.operation == "MatMul" || reader.operation == "Gemm") && reader.input(1) == node.outputs[0]);
    });
    if (for_layers) weights[node.outputs[0]] = node.input(0);
  }
  std::erase_if(graph.nodes, [&](const GraphNode& node) { return weights.count(node.outputs[0]) > 0; });
  return weights;
}

// MatMul and, right behind it, Add of a vector.
void take_bias(Graph& graph, GraphNode& layer, const std::map<std::string, int>& read) {
  if (read.at(layer.outputs[0]) != 1) return;
  for (auto& node : graph.nodes) {
    if (node.operation != "Add" || node.outputs.empty()) continue;
    for (const std::size_t side : {0U, 1U}) {
      const auto bias = graph.tensors.find(node.input(1 - side));
      if (node.input(side) != layer.outputs[0] || bias == graph.tensors.end() || bias->second.shape.size() != 1) continue;
      layer.inputs.push_back(bias->first);
      layer.outputs[0] = node.outputs[0];
      node.outputs.clear();
      return;
    }
  }
}

}  // namespace

void take_in_constants(Graph& graph) {
  for (auto& node : graph.nodes) {
    if (node.outputs.empty()) continue;
    if (node.operation == "Constant") {
      graph.tensors[node.outputs[0]] = constant_of(node);
      node.outputs.clear();
    } else if (node.operation == "Identity" && graph.tensors.count(node.input(0))) {
      graph.tensors[node.outputs[0]] = graph.tensors.at(node.input(0));
      node.outputs.clear();
    }
  }
  drop_emptied(graph);
}

void make_linear_layers(Graph& graph) {
  const auto unlike = transposed_weights(graph);
  const auto read = readers(graph);
  for (auto& node : graph.nodes) {
    const bool gemm = node.operation == "Gemm";
    if ((!gemm && node.operation != "MatMul") || node.outputs.empty()) continue;
    const auto alias = unlike.find(node.input(1));
    const bool turned = alias != unlike.end();
    const std::string weight = turned ? alias->second : node.input(1);
    if (!is_matrix(graph, weight)) {
      if (gemm) refuse(node, "its second input is no weight of the file");
      continue;  // a product of activations
    }
    if (gemm && (node.real("alpha", 1) != 1 || (!node.input(2).empty() && node.real("beta", 1) != 1) ||
                 node.integer("transA", 0) != 0))
      refuse(node, "alpha and beta other than 1, and transA, are not supported");
    const bool outputs_first = (gemm && node.integer("transB", 0) != 0) != turned;
    node.inputs[1] = weight;
    if (!outputs_first) {
      const bool alone = read.at(node.input(1)) == 1 || turned;
      const std::string name = alone ? weight : free_name(graph, weight + "_transposed");
      GraphTensor matrix = transposed(graph.tensors.at(weight));
      graph.tensors[name] = std::move(matrix);
      node.inputs[1] = name;
    }
    node.operation = "Linear";
    node.attributes.clear();
    if (!gemm) take_bias(graph, node, read);
  }
  drop_emptied(graph);
}

void name_batch_norms(Graph& graph) {
  static const std::vector<std::string> endings{".weight", ".bias", ".running_mean", ".running_var"};
  std::set<std::string> stems;
  for (auto& node : graph.nodes) {
    if (node.operation != "BatchNormalization") continue;
    if (node.inputs.size() != 5) refuse(node, "it has to have 5 inputs");
    const std::string& mean = node.inputs[3];
    std::string stem = ends_with(mean, endings[2]) ? mean.substr(0, mean.size() - endings[2].size()) : "norm";
    bool taken = stems.count(stem) > 0;
    for (std::size_t i = 0; i < endings.size(); ++i) {
      if (graph.tensors.count(node.inputs[i + 1]) == 0)
        refuse(node, "its scale and statistics have to be tensors of the file");
      taken = taken || (stem + endings[i] != node.inputs[i + 1] && graph.tensors.count(stem + endings[i]) > 0);
    }
    if (taken) {
      const std::string weight = free_name(graph, stem + endings[0]);
      stem = weight.substr(0, weight.size() - endings[0].size());
    }
    stems.insert(stem);
    for (std::size_t i = 0; i < endings.size(); ++i) {
      GraphTensor own = graph.tensors.at(node.inputs[i + 1]);
      node.inputs[i + 1] = stem + endings[i];
      graph.tensors[node.inputs[i + 1]] = std::move(own);
    }
  }
}

void part_constants(Graph& graph) {
  static const std::set<std::string> layers{"Conv", "BatchNormalization", "Linear", "PRelu"};
  std::set<std::string> of_layers, used;
  for (const auto& node : graph.nodes) {
    used.insert(node.inputs.begin(), node.inputs.end());
    if (layers.count(node.operation) && !node.inputs.empty())
      of_layers.insert(node.inputs.begin() + 1, node.inputs.end());
  }
  for (auto entry = graph.tensors.begin(); entry != graph.tensors.end();) {
    auto& [name, tensor] = *entry;
    const bool weight = is_floating(tensor.type) && (of_layers.count(name) || tensor.count() > 1);
    if (used.count(name) && weight) {
      ++entry;
      continue;
    }
    if (used.count(name)) graph.constants[name] = std::move(tensor);
    entry = graph.tensors.erase(entry);
  }
}

GraphNode* writer_of(Graph& graph, const std::string& name) {
  for (auto& node : graph.nodes)
    if (std::find(node.outputs.begin(), node.outputs.end(), name) != node.outputs.end()) return &node;
  return nullptr;
}

void drop_emptied(Graph& graph) {
  std::erase_if(graph.nodes, [](const GraphNode& node) { return node.outputs.empty(); });
}

void read_instead(Graph& graph, const std::string& from, const std::string& to) {
  for (auto& node : graph.nodes) std::replace(node.inputs.begin(), node.inputs.end(), from, to);
  if (graph.output == from) graph.output = to;
}

// The number stands before the last part: head_2.weight.
std::string free_name(const Graph& graph, const std::string& wanted) {
  const auto dot = std::min(wanted.rfind('.'), wanted.size());
  for (int number = 1;; ++number) {
    const std::string name = number == 1 ? wanted : cat(wanted.substr(0, dot), "_", number, wanted.substr(dot));
    if (graph.tensors.count(name) == 0) return name;
  }
}

ImportedGraph import_graph(Graph graph) {
  ImportedGraph imported;
  imported.graph = std::move(graph);
  take_in_constants(imported.graph);
  make_linear_layers(imported.graph);
  name_batch_norms(imported.graph);
  take_out_normalization(imported);
  find_head(imported);
  part_constants(imported.graph);
  imported.graph.metadata[head_metadata] = imported.head;
  return imported;
}

}  // namespace isnet
