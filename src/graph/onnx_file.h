// ONNX files: read with limits and checks, and written. Protobuf and ONNX's schema stay inside.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "graph/graph.h"

namespace isnet {

/// Whether the tensors of a serialised graph have their values with them.
enum class GraphValues {
  all,       ///< as ONNX wants it
  constants  ///< some have a shape alone, which no other reader of ONNX accepts
};

/// Reads a file. Only what the first output depends on is kept. Tensors in other files of the same folder
/// (external data) are read; elsewhere they are refused. Errors: data (file; node and operator, or tensor; what
/// is wrong: cut, no ONNX, cycles, operators of other domains, control flow, sparse tensors, sizes that the data
/// do not have), runtime.
Graph read_onnx(const std::filesystem::path& path);

/// The same of a file's content without external data. Errors: data.
Graph parse_onnx(std::string_view content, GraphValues values);

/// An ONNX model. Tensors without bytes get a shape alone.
std::string serialized_onnx(const Graph& graph);

}  // namespace isnet
