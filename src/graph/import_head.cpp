// The two ends of a classifier's graph: normalised pixels, and logits.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "graph/import_steps.h"

namespace isnet {
namespace {

// The node that alone reads a name; null: none, or several do.
GraphNode* only_reader(Graph& graph, const std::string& name) {
  GraphNode* reader = nullptr;
  for (auto& node : graph.nodes)
    for (const auto& input : node.inputs) {
      if (input != name) continue;
      if (reader) return nullptr;
      reader = &node;
    }
  return reader;
}

// One value, or one for each channel, that a node of this operation applies to `x`; empty: it does not.
std::vector<double> channel_values(const Graph& graph, const GraphNode* node, const std::string& x,
                                   const std::string& operation) {
  if (!node || node->operation != operation || node->input(0) != x) return {};
  const auto found = graph.tensors.find(node->input(1));
  if (found == graph.tensors.end()) return {};
  const auto& tensor = found->second;
  if (tensor.type != ElementType::f32 && tensor.type != ElementType::f64) return {};
  const std::vector<std::int64_t> three{3, 1, 1}, one_image{1, 3, 1, 1};
  const bool by_channel = tensor.shape == three || tensor.shape == one_image;
  return tensor.count() == 1 || by_channel ? numbers(tensor) : std::vector<double>{};
}

// Takes the reader of the input out, if it is such a node.
std::vector<double> take_out(Graph& graph, const std::string& operation) {
  GraphNode* node = only_reader(graph, graph.input);
  auto values = channel_values(graph, node, graph.input, operation);
  if (values.empty() || node->outputs[0] == graph.output) return {};
  const std::string behind = node->outputs[0];
  node->outputs.clear();
  drop_emptied(graph);
  read_instead(graph, behind, graph.input);
  return values;
}

// A float's shortest decimal is what its author wrote.
std::vector<double> decimal(std::vector<double> values) {
  for (double& value : values) value = shortest_decimal(static_cast<float>(value));
  return values;
}

}  // namespace

void take_out_normalization(ImportedGraph& imported) {
  Graph& graph = imported.graph;
  std::vector<double> mean = take_out(graph, "Sub"), deviation = take_out(graph, "Div");
  if (deviation.empty()) {
    deviation = take_out(graph, "Mul");
    for (double& value : deviation) value = 1 / value;
  }
  if (mean.empty() && deviation.empty()) return;
  if (mean.empty()) mean.assign(1, 0.0);
  if (deviation.empty()) deviation.assign(1, 1.0);
  for (auto* values : {&mean, &deviation})
    if (values->size() < std::max(mean.size(), deviation.size())) values->assign(3, values->front());
  for (const double value : deviation)
    if (!(value > 0)) fail(ErrorKind::data, "it divides its input by ", value, ", which is not above 0");
  imported.mean = decimal(mean);
  imported.std = decimal(deviation);
}

void find_head(ImportedGraph& imported) {
  Graph& graph = imported.graph;
  static const std::set<std::string> activations{"Softmax", "LogSoftmax", "Sigmoid"},
      passed{"Identity", "Flatten", "Reshape", "Squeeze", "Dropout",     "GlobalAveragePool", "AveragePool",
             "ReduceMean", "Relu", "Cast", "Softmax", "LogSoftmax", "Sigmoid"};
  if (GraphNode* last = writer_of(graph, graph.output); last && activations.count(last->operation)) {
    imported.notes.push_back(cat("the last ", last->operation, " is left out: classes are scored by logits"));
    const std::string scores = last->outputs[0], logits = last->input(0);
    last->outputs.clear();
    drop_emptied(graph);
    read_instead(graph, scores, logits);
  }
  GraphNode* head = writer_of(graph, graph.output);
  while (head && passed.count(head->operation)) head = writer_of(graph, head->input(0));
  if (!head || (head->operation != "Linear" && head->operation != "Conv") ||
      graph.tensors.count(head->input(1)) == 0)
    fail(ErrorKind::data, "it has no class head: its output ", quoted_name(graph.output), " is made by ",
         head ? head->text() : "its input", ", not by a linear layer or a convolution with a weight");
  const std::string weight = head->input(1), ending = ".weight";
  const bool plain = weight.size() > ending.size() && weight.ends_with(ending) &&
                     (head->input(2).empty() ||
                      head->input(2) == weight.substr(0, weight.size() - ending.size()) + ".bias");
  if (!plain) {
    const std::string name = free_name(graph, "head.weight");
    imported.notes.push_back(cat("the class head's weight ", quoted_name(weight), " is called ", name));
    graph.tensors[name] = graph.tensors.at(weight);
    head->inputs[1] = name;
    if (const std::string bias = head->input(2); !bias.empty()) {
      if (graph.tensors.count(bias) == 0) refuse(*head, "its bias is no tensor of the file");
      head->inputs[2] = name.substr(0, name.size() - ending.size()) + ".bias";
      graph.tensors[head->inputs[2]] = graph.tensors.at(bias);
    }
  }
  imported.head = head->input(1).substr(0, head->input(1).size() - ending.size());
  const auto& shape = graph.tensors.at(head->input(1)).shape;
  if (shape.empty() || shape[0] < 1) refuse(*head, "its weight has no rows");
  imported.classes = shape[0];
}

}  // namespace isnet
