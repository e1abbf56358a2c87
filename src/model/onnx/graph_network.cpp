#include "model/onnx/graph_network.h"

#include <ATen/ATen.h>
#include <torch/nn/init.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "graph/graph_text.h"
#include "graph/import.h"
#include "model/onnx/graph_pass.h"

namespace isnet {
namespace {

std::string parent_of(const std::string& name) {
  const auto dot = name.rfind('.');
  return dot == std::string::npos ? std::string() : name.substr(0, dot);
}

std::string last_of(const std::string& name) {
  return name.substr(name.rfind('.') + 1);
}

// A module of torch's, called by a name with dots.
torch::nn::Module& container(torch::nn::Module& root, const std::string& path) {
  if (path.empty()) return root;
  torch::nn::Module& parent = container(root, parent_of(path));
  const std::string name = last_of(path);
  if (name.empty()) fail(ErrorKind::data, "a weight is called ", quoted_name(path), ", a name with an empty part");
  const auto children = parent.named_children();
  if (const auto* found = children.find(name)) return **found;
  return *parent.register_module(name, std::make_shared<torch::nn::Module>());
}

const std::vector<std::int64_t>& shape_of(const Graph& graph, const GraphNode& node, std::size_t index) {
  const auto found = graph.tensors.find(node.input(index));
  if (found == graph.tensors.end()) refuse(node, cat("its input ", index + 1, " has to be a weight of the file"));
  found->second.count();
  return found->second.shape;
}

class GraphNetwork : public Network {
 public:
  GraphNetwork(Graph graph, std::int64_t num_classes, double dropout)
      : graph_(std::move(graph)), num_classes_(num_classes) {
    const auto head = graph_.metadata.find(head_metadata);
    if (head == graph_.metadata.end() || graph_.tensors.count(head->second + ".weight") == 0)
      fail(ErrorKind::data, "the graph does not say which layer is its head");
    head_ = head->second;
    layers_.head_weight = head_ + ".weight";
    layers_.exported_batch = graph_.input_shape.empty() ? -1 : graph_.input_shape[0];
    layers_.dropout = dropout;
    check_operators();
    resize_head();
    add_batch_norms();
    add_weights();
    for (const auto& [name, tensor] : graph_.constants) layers_.tensors[name] = constant(tensor);
    add_convolutions();
    find_marks();
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    GraphPass pass(tape, layers_);
    for (const auto& [name, tensor] : layers_.tensors) pass.set(name, GraphItem::of(tensor));
    pass.set(graph_.input, GraphItem::of(tape.input(images, normalization)));
    for (const auto& node : graph_.nodes) run(pass, node);
    const GraphItem logits = pass.item(graph_.output);
    if (!logits.is_activation()) fail(ErrorKind::data, "the graph's output does not depend on the images");
    const auto sizes = tape.output(logits.value).sizes().vec();
    const bool flat = sizes.size() == 2, as_maps = sizes.size() == 4 && sizes[2] == 1 && sizes[3] == 1;
    if ((!flat && !as_maps) || sizes[1] != num_classes_)
      fail(ErrorKind::data, "the graph's output ", quoted_name(graph_.output), " is no batch of ", num_classes_,
           " logits: it has ", sizes.size(), " dimensions", sizes.size() > 1 ? cat(", ", sizes[1], " channels") : "");
    return flat ? logits.value : tape.flatten(logits.value);
  }

  std::int64_t num_classes() const override { return num_classes_; }
  std::string head_name() const override { return head_; }

  std::shared_ptr<Graph> with_weights() const {
    auto graph = std::make_shared<Graph>(graph_);
    const NamedTensors tensors = host_copies(named_tensors(*this));
    for (auto& [name, tensor] : graph->tensors) tensor = graph_tensor_of(tensors.at(name));
    return graph;
  }

 private:
  static at::Tensor constant(const GraphTensor& stored) {
    const at::Tensor tensor = tensor_of(stored);
    return tensor.is_floating_point() ? tensor.to(at::kDouble)
           : tensor.scalar_type() == at::kBool ? tensor
                                               : tensor.to(at::kLong);
  }

  void check_operators() const {
    for (const auto& node : graph_.nodes) {
      if (graph_operators().count(node.operation)) continue;
      std::string known;
      for (const auto& entry : graph_operators()) known += (known.empty() ? "" : ", ") + entry.first;
      refuse(node, cat("this operator is not supported; supported: ", known));
    }
  }

  // As many rows as there are classes.
  void resize_head() {
    for (const char* part : {".weight", ".bias"})
      if (const auto found = graph_.tensors.find(head_ + part); found != graph_.tensors.end()) {
        GraphTensor& tensor = found->second;
        if (tensor.shape.empty()) fail(ErrorKind::data, "the head's ", quoted_name(found->first), " has no rows");
        tensor.shape[0] = num_classes_;
      }
    for (auto& entry : graph_.tensors) entry.second.bytes.clear();
  }

  void add_batch_norms() {
    std::map<std::string, const GraphNode*> by_name;  // a module before those inside it
    for (const auto& node : graph_.nodes)
      if (node.operation == "BatchNormalization") {
        const std::string name = parent_of(node.input(1));
        if (name.empty() || !by_name.emplace(name, &node).second)
          refuse(node, cat("its tensors ", quoted_name(node.input(1)), ", … are those of another batch norm"));
      }
    for (const auto& [name, node] : by_name) {
      const auto& shape = shape_of(graph_, *node, 1);
      if (shape.size() != 1) refuse(*node, "its scale has to be a vector");
      for (const std::size_t i : {2U, 3U, 4U})
        if (shape_of(graph_, *node, i) != shape) refuse(*node, "its scale and statistics differ in size");
      const double momentum = 1 - node->real("momentum", 0.9);
      const auto options = torch::nn::BatchNorm2dOptions{shape[0]}
                               .eps(node->real("epsilon", 1e-5))
                               .momentum(std::round(momentum * 1e9) / 1e9);
      torch::nn::BatchNorm2d layer{options};
      container(*this, parent_of(name)).register_module(last_of(name), layer);
      layers_.batch_norms.emplace(node, layer);
      layers_.tensors[node->input(1)] = layer->weight;
      layers_.tensors[node->input(2)] = layer->bias;
      layers_.tensors[node->input(3)] = layer->running_mean;
      layers_.tensors[node->input(4)] = layer->running_var;
    }
  }

  void add_weights() {
    for (const auto& [name, stored] : graph_.tensors) {
      if (layers_.tensors.count(name)) continue;
      stored.count();
      at::Tensor weight = at::zeros(stored.shape, at::kFloat);
      if (name == layers_.head_weight && weight.dim() >= 2)
        torch::nn::init::kaiming_uniform_(weight, std::sqrt(5.0));
      else if (weight.dim() >= 2)
        torch::nn::init::kaiming_normal_(weight);
      layers_.tensors[name] = container(*this, parent_of(name)).register_parameter(last_of(name), weight);
    }
  }

  // Modules of torch's that share the registered weights.
  void add_convolutions() {
    for (const auto& node : graph_.nodes) {
      if (node.operation == "Linear" && shape_of(graph_, node, 1).size() != 2) refuse(node, "its weight is no matrix");
      if (node.operation != "Conv") continue;
      const auto& shape = shape_of(graph_, node, 1);
      if (shape.size() != 4) refuse(node, cat("its weight has ", shape.size(), " dimensions; supported: 4"));
      const auto pair = [&](const char* name, std::int64_t otherwise) {
        const auto values = node.integers(name, {otherwise, otherwise});
        if (values.size() != 2 || values[0] < 1 || values[1] < 1)
          refuse(node, cat("its attribute '", name, "' has to hold 2 numbers above 0"));
        return torch::ExpandingArray<2>({values[0], values[1]});
      };
      const auto pads = pads_itself(node) ? node.integers("pads", {0, 0, 0, 0}) : std::vector<std::int64_t>(4);
      const std::int64_t groups = node.integer("group", 1);
      if (groups < 1 || shape[0] % groups != 0) refuse(node, cat("its ", shape[0], " channels are not ", groups, " groups"));
      torch::nn::Conv2d layer(torch::nn::Conv2dOptions(1, 1, {1, 1})
                                  .stride(pair("strides", 1))
                                  .padding(torch::ExpandingArray<2>({pads[0], pads[1]}))
                                  .dilation(pair("dilations", 1))
                                  .bias(false));
      layer->options.groups(groups);
      layer->weight = layers_.tensors.at(node.input(1));
      if (!node.input(2).empty()) {
        shape_of(graph_, node, 2);
        layer->bias = layers_.tensors.at(node.input(2));
      }
      layers_.convolutions.emplace(&node, layer);
    }
  }

  // Heatmaps at hidden layers: of activations that the next layer reads as they are.
  void find_marks() {
    static const std::set<std::string> activations{"Relu",    "LeakyRelu",         "PRelu",        "Clip",
                                                   "MaxPool", "GlobalAveragePool", "AveragePool"},
        others{"BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Clip"};
    for (const auto& node : graph_.nodes)
      if (activations.count(node.operation) && !node.name.empty()) marked_.insert(&node);
    for (const auto& reader : graph_.nodes)
      if (others.count(reader.operation))
        std::erase_if(marked_, [&](const GraphNode* node) { return node->outputs[0] == reader.input(0); });
  }

  void run(GraphPass& pass, const GraphNode& node) const {
    try {
      std::vector<GraphItem> items = graph_operators().at(node.operation)(pass, node);
      for (std::size_t i = 0; i < items.size() && i < node.outputs.size(); ++i) {
        if (i == 0 && marked_.count(&node) && items[0].is_activation())
          pass.tape().mark(items[0].value, node.name);
        pass.set(node.outputs[i], std::move(items[i]));
      }
    } catch (const c10::Error& e) {
      refuse(node, e.what_without_backtrace());
    }
  }

  Graph graph_;
  std::int64_t num_classes_;
  std::string head_;
  GraphLayers layers_;
  std::set<const GraphNode*> marked_;
};

const Registration<NetworkFactory> onnx_network(
    networks(),
    {"onnx",
     "the classifier of an ONNX file",
     {text_option("model", "", "FILE.onnx", "onnx: the file, with its weights"),
      text_option("graph", "", "TEXT", "onnx: the graph of a stored model, which needs no file; set by --model")},
     [](const OptionValues& options, std::int64_t num_classes) {
       if (!options.has("graph"))
         fail(ErrorKind::usage, "--model: is required by --network onnx: the ONNX file of a classifier");
       return make_graph_network(graph_of_text(options.text("graph")), num_classes, options.real("dropout"));
     }});

}  // namespace

std::shared_ptr<Network> make_graph_network(const Graph& graph, std::int64_t num_classes, double dropout) {
  return std::make_shared<GraphNetwork>(graph, num_classes, dropout);
}

std::shared_ptr<Graph> graph_of(const Network& network) {
  const auto* of_graph = dynamic_cast<const GraphNetwork*>(&network);
  return of_graph ? of_graph->with_weights() : nullptr;
}

}  // namespace isnet
