// Tensors of graphs and files as torch's.
#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "graph/graph_text.h"
#include "graph/import.h"
#include "graph/onnx_file.h"
#include "model/onnx/graph_network.h"

namespace isnet {
namespace {

struct TypePair {
  ElementType stored;
  at::ScalarType type;
};
constexpr TypePair types[] = {
    {ElementType::f32, at::kFloat}, {ElementType::f64, at::kDouble}, {ElementType::f16, at::kHalf},
    {ElementType::bf16, at::kBFloat16}, {ElementType::i64, at::kLong},   {ElementType::i32, at::kInt},
    {ElementType::i8, at::kChar},   {ElementType::u8, at::kByte},    {ElementType::boolean, at::kBool},
};

}  // namespace

at::Tensor tensor_of(const GraphTensor& stored) {
  for (const auto& pair : types) {
    if (pair.stored != stored.type) continue;
    at::Tensor tensor = at::empty(stored.shape, pair.type);
    if (!stored.bytes.empty()) std::memcpy(tensor.data_ptr(), stored.bytes.data(), stored.bytes.size());
    return tensor;
  }
  fail(ErrorKind::internal, "a graph's tensor has a type without a name");
}

GraphTensor graph_tensor_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
  for (const auto& pair : types)
    if (pair.type == host.scalar_type())
      return {pair.stored, host.sizes().vec(),
              std::string(static_cast<const char*>(host.const_data_ptr()), host.nbytes())};
  fail(ErrorKind::internal, "a graph holds no tensors of type ", at::toString(host.scalar_type()));
}

bool is_onnx_file(const std::string& path) {
  return std::filesystem::path(path).extension() == ".onnx";
}

OnnxModel read_onnx_model(const std::string& path) {
  try {
    ImportedGraph imported = import_graph(read_onnx(path));
    OnnxModel model;
    model.classes = imported.classes;
    model.notes = std::move(imported.notes);
    model.metadata = std::move(imported.graph.metadata);
    imported.graph.metadata = {{head_metadata, imported.head}};
    if (!imported.mean.empty()) model.normalization = Normalization{imported.mean, imported.std};
    for (auto& [name, tensor] : imported.graph.tensors) {
      model.tensors[name] = tensor_of(tensor);
      tensor.bytes.clear();
    }
    make_graph_network(imported.graph, imported.classes, 0);  // refuses what it cannot run
    model.graph = graph_text(imported.graph);
    return model;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data || std::string(e.what()).rfind(path, 0) == 0) throw;
    fail(ErrorKind::data, path, ": ", e.what());
  }
}

StoredWeights read_onnx_weights(const std::string& path) {
  OnnxModel model = read_onnx_model(path);
  StoredWeights stored;
  stored.tensors = std::move(model.tensors);
  stored.notes = std::move(model.notes);
  std::string& options = stored.metadata["isnet.options"];
  options = cat("network = onnx\nnum-classes = ", model.classes, "\ngraph = ", model.graph, "\n");
  if (model.normalization) options += cat("normalize = ", to_text(*model.normalization), "\n");
  for (const char* name : {"isnet.class_names", "isnet.task"})
    if (const auto found = model.metadata.find(name); found != model.metadata.end())
      stored.metadata[name] = found->second;
  return stored;
}

}  // namespace isnet
