// A network that runs a graph (src/graph): --network onnx.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "model/network.h"
#include "model/weights.h"

namespace isnet {

/// A classifier's graph as import_graph() leaves it, with or without the values of its weights: a network with
/// parameters and buffers under their names, initialised at random. `num_classes`: rows of its head, whatever the
/// graph's has. `dropout`: before the head, unless the graph has one there. Errors: data (node, operator: one that
/// is not supported; a weight that does not go with its node).
std::shared_ptr<Network> make_graph_network(const Graph& graph, std::int64_t num_classes, double dropout);

/// The graph of such a network, with its present weights and metadata `isnet.head`; null: another network.
std::shared_ptr<Graph> graph_of(const Network& network);

/// Whether a file's name is that of an ONNX file.
bool is_onnx_file(const std::string& path);

/// What an ONNX file holds.
struct OnnxModel {
  std::string graph;                               ///< as graph_text(), without the weights
  NamedTensors tensors;
  std::int64_t classes = 0;
  std::optional<Normalization> normalization;      ///< its own; taken out of the graph
  std::map<std::string, std::string> metadata;
  std::vector<std::string> notes;                  ///< what was changed, for people
};
/// Errors: data (file, node, operator), runtime.
OnnxModel read_onnx_model(const std::string& path);

/// Weights of an ONNX file, with the options that make its network as metadata, as isnet's own files have them.
/// Errors: data, runtime.
StoredWeights read_onnx_weights(const std::string& path);

/// A copy in host memory, and its inverse.
at::Tensor tensor_of(const GraphTensor& tensor);
GraphTensor graph_tensor_of(const at::Tensor& tensor);

}  // namespace isnet
