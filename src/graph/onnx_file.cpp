#include "graph/onnx_file.h"

#include <onnx/onnx_pb.h>

#include <limits>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/input_file.h"
#include "base/names.h"
#include "base/printable.h"
#include "graph/onnx_tensors.h"

namespace isnet {
namespace {

constexpr std::int64_t oldest_opset = 9, newest_opset = 25;

void check_name(const std::string& name, const char* what) {
  if (name.empty()) return;
  if (const auto refusal = name_refusal(NameKind::label, name); !refusal.empty())
    fail(ErrorKind::data, "the name of ", what, " is ", quoted_name(name), ": ", refusal);
}

// Reads one model.
class Parser {
 public:
  Parser(const onnx::ModelProto& model, const std::filesystem::path& folder, GraphValues values)
      : model_(model), source_(model.graph()), folder_(folder), values_(values) {}

  Graph parse() {
    set_opset();
    if (source_.sparse_initializer_size() > 0)
      fail(ErrorKind::data, "it has sparse tensors, which are not supported");
    set_input();
    set_output();
    add_nodes();
    add_tensors();
    for (const auto& entry : model_.metadata_props()) graph_.metadata[entry.key()] = entry.value();
    return std::move(graph_);
  }

 private:
  void set_opset() {
    graph_.opset = 0;
    for (const auto& import : model_.opset_import())
      if (import.domain().empty() || import.domain() == "ai.onnx") graph_.opset = import.version();
    if (graph_.opset < oldest_opset || graph_.opset > newest_opset)
      fail(ErrorKind::data, "its operators are those of opset ", graph_.opset, "; supported: ", oldest_opset,
           " to ", newest_opset);
  }

  // The input that is no initialiser: old files list both.
  void set_input() {
    std::set<std::string> initialisers;
    for (const auto& tensor : source_.initializer()) initialisers.insert(tensor.name());
    for (const auto& input : source_.input()) {
      if (initialisers.count(input.name())) continue;
      if (!graph_.input.empty())
        fail(ErrorKind::data, "it has several inputs (", quoted_name(graph_.input), ", ",
             quoted_name(input.name()), "); a classifier reads images alone");
      graph_.input = input.name();
      for (const auto& extent : input.type().tensor_type().shape().dim())
        graph_.input_shape.push_back(extent.has_dim_value() ? extent.dim_value() : -1);
    }
    if (graph_.input.empty()) fail(ErrorKind::data, "it has no input");
    check_name(graph_.input, "its input");
    if (graph_.input_shape.size() != 4)
      fail(ErrorKind::data, "its input ", quoted_name(graph_.input), " has ", graph_.input_shape.size(),
           " dimensions, images have 4: batch, channels, height, width");
    if (graph_.input_shape[1] != 3 && graph_.input_shape[1] != -1)
      fail(ErrorKind::data, "its input ", quoted_name(graph_.input), " has ", graph_.input_shape[1],
           " channels, images have 3");
  }

  void set_output() {
    if (source_.output_size() == 0) fail(ErrorKind::data, "it has no output");
    graph_.output = source_.output(0).name();
    check_name(graph_.output, "its output");
  }

  // Which nodes the output depends on, found from the end: what is needed has to be written further up.
  void add_nodes() {
    std::set<std::string> written{graph_.input};
    for (const auto& tensor : source_.initializer()) add_name(written, tensor.name());
    for (const auto& node : source_.node()) {
      for (const auto& input : node.input())
        if (!input.empty() && written.count(input) == 0)
          refuse(described(node), cat("it reads ", quoted_name(input),
                                      ", which nothing before it writes (a cycle, or nodes out of order)"));
      for (const auto& output : node.output())
        if (!output.empty()) add_name(written, output);
    }
    if (written.count(graph_.output) == 0 || graph_.output == graph_.input)
      fail(ErrorKind::data, "nothing writes its output ", quoted_name(graph_.output));
    std::vector<bool> used(static_cast<std::size_t>(source_.node_size()));
    needed_.insert(graph_.output);
    for (int i = source_.node_size() - 1; i >= 0; --i) {
      const auto& node = source_.node(i);
      for (const auto& output : node.output())
        if (!output.empty() && needed_.count(output)) used[static_cast<std::size_t>(i)] = true;
      if (used[static_cast<std::size_t>(i)]) needed_.insert(node.input().begin(), node.input().end());
    }
    for (int i = 0; i < source_.node_size(); ++i)
      if (used[static_cast<std::size_t>(i)]) graph_.nodes.push_back(checked(source_.node(i)));
    if (needed_.count(graph_.input) == 0)
      fail(ErrorKind::data, "its output ", quoted_name(graph_.output), " does not depend on the images");
  }

  static void add_name(std::set<std::string>& written, const std::string& name) {
    if (!written.insert(name).second)
      fail(ErrorKind::data, "two nodes or tensors write ", quoted_name(name));
  }

  static GraphNode described(const onnx::NodeProto& proto) {
    GraphNode node;
    node.operation = proto.op_type();
    node.name = proto.name();
    node.inputs.assign(proto.input().begin(), proto.input().end());
    node.outputs.assign(proto.output().begin(), proto.output().end());
    return node;
  }

  GraphNode checked(const onnx::NodeProto& proto) const {
    GraphNode node = described(proto);
    if (!proto.domain().empty() && proto.domain() != "ai.onnx")
      refuse(node, cat("an operator of the domain ", quoted_name(proto.domain()),
                       ", which is not ONNX's own; export the model without it"));
    check_name(node.name, "a node");
    for (const auto& output : node.outputs) check_name(output, "a node's output");
    for (const auto& attribute : proto.attribute()) add_attribute(node, attribute);
    return node;
  }

  void add_attribute(GraphNode& node, const onnx::AttributeProto& proto) const {
    switch (proto.type()) {
      case onnx::AttributeProto::FLOAT:
        node.attributes[proto.name()] = shortest_decimal(proto.f());
        return;
      case onnx::AttributeProto::INT:
        node.attributes[proto.name()] = std::int64_t{proto.i()};
        return;
      case onnx::AttributeProto::STRING:
        node.attributes[proto.name()] = proto.s();
        return;
      case onnx::AttributeProto::TENSOR:
        node.attributes[proto.name()] = graph_tensor(proto.t(), folder_, GraphValues::all);
        return;
      case onnx::AttributeProto::INTS:
        node.attributes[proto.name()] = std::vector<std::int64_t>(proto.ints().begin(), proto.ints().end());
        return;
      case onnx::AttributeProto::FLOATS: {
        std::vector<double> values;
        for (const float value : proto.floats()) values.push_back(shortest_decimal(value));
        node.attributes[proto.name()] = std::move(values);
        return;
      }
      case onnx::AttributeProto::GRAPH:
      case onnx::AttributeProto::GRAPHS:
        refuse(node, "control flow is not supported; export the model without branches and loops");
      default:
        refuse(node, cat("its attribute ", quoted_name(proto.name()), " has a type that is not supported"));
    }
  }

  void add_tensors() {
    for (const auto& proto : source_.initializer()) {
      if (needed_.count(proto.name()) == 0) continue;
      check_name(proto.name(), "a tensor");
      GraphTensor tensor = graph_tensor(proto, folder_, values_);
      const bool constant = values_ == GraphValues::constants && (!tensor.bytes.empty() || tensor.count() == 0);
      (constant ? graph_.constants : graph_.tensors)[proto.name()] = std::move(tensor);
    }
  }

  const onnx::ModelProto& model_;
  const onnx::GraphProto& source_;
  const std::filesystem::path& folder_;
  GraphValues values_;
  Graph graph_;
  std::set<std::string> needed_;
};

Graph parse(std::string_view content, const std::filesystem::path& folder, GraphValues values) {
  onnx::ModelProto model;
  if (content.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    fail(ErrorKind::data, "it is larger than 2 GB, which no ONNX file is");
  if (!model.ParseFromArray(content.data(), static_cast<int>(content.size())) || !model.has_graph() ||
      model.graph().node_size() == 0)
    fail(ErrorKind::data, "this is no ONNX file, or it is cut or damaged");
  return Parser(model, folder, values).parse();
}

onnx::NodeProto node_proto(const GraphNode& node) {
  onnx::NodeProto proto;
  proto.set_op_type(node.operation);
  proto.set_name(node.name);
  for (const auto& input : node.inputs) proto.add_input(input);
  for (const auto& output : node.outputs) proto.add_output(output);
  for (const auto& [name, value] : node.attributes) {
    auto& attribute = *proto.add_attribute();
    attribute.set_name(name);
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      attribute.set_type(onnx::AttributeProto::INT);
      attribute.set_i(*integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      attribute.set_type(onnx::AttributeProto::FLOAT);
      attribute.set_f(static_cast<float>(*real));
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      attribute.set_type(onnx::AttributeProto::STRING);
      attribute.set_s(*text);
    } else if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&value)) {
      attribute.set_type(onnx::AttributeProto::INTS);
      for (const auto one : *integers) attribute.add_ints(one);
    } else if (const auto* reals = std::get_if<std::vector<double>>(&value)) {
      attribute.set_type(onnx::AttributeProto::FLOATS);
      for (const auto one : *reals) attribute.add_floats(static_cast<float>(one));
    } else {
      attribute.set_type(onnx::AttributeProto::TENSOR);
      *attribute.mutable_t() = tensor_proto(std::get<GraphTensor>(value));
    }
  }
  return proto;
}

void describe(onnx::ValueInfoProto& info, const std::string& name, const std::vector<std::int64_t>& shape,
              const std::vector<std::string>& free_names) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  for (std::size_t i = 0; i < shape.size(); ++i) {
    auto& extent = *type.mutable_shape()->add_dim();
    if (shape[i] >= 0)
      extent.set_dim_value(shape[i]);
    else
      extent.set_dim_param(free_names[i]);
  }
}

}  // namespace

Graph read_onnx(const std::filesystem::path& path) {
  try {
    return parse(read_file(path), std::filesystem::absolute(path).parent_path(), GraphValues::all);
  } catch (const FileFailure&) {
    throw;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::data) throw;
    fail(ErrorKind::data, path.string(), ": ", e.what());
  }
}

Graph parse_onnx(std::string_view content, GraphValues values) {
  return parse(content, {}, values);
}

std::string serialized_onnx(const Graph& graph) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("isnet");
  model.add_opset_import()->set_version(graph.opset);
  auto& to = *model.mutable_graph();
  to.set_name("network");
  describe(*to.add_input(), graph.input, graph.input_shape, {"batch", "channels", "height", "width"});
  describe(*to.add_output(), graph.output, graph.output_shape, {"batch", "classes"});
  for (const auto& node : graph.nodes) *to.add_node() = node_proto(node);
  for (const auto* tensors : {&graph.tensors, &graph.constants})
    for (const auto& [name, tensor] : *tensors) {
      auto& proto = *to.add_initializer();
      proto = tensor_proto(tensor);
      proto.set_name(name);
    }
  for (const auto& [key, value] : graph.metadata) {
    auto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  return model.SerializeAsString();
}

}  // namespace isnet
