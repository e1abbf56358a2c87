// A graph without its weights as one line of text, so that it can be an option of a stored model.
#pragma once

#include <string>

#include "graph/graph.h"

namespace isnet {

/// Nodes, constants and the shapes of all tensors without bytes: an ONNX model, compressed, in base 64.
std::string graph_text(const Graph& graph);

/// Reads such a text. Errors: data (no such text; what parse_onnx() refuses; larger than any real graph).
Graph graph_of_text(const std::string& text);

}  // namespace isnet
