// From a graph as exporters write it to one as a network runs it.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace isnet {

/// A classifier's graph. Its weights are in `graph.tensors`: layers with a weight of outputs × inputs are of the
/// operation Linear (inputs: x, weight, and a bias where there is one), batch norms have tensors of their own,
/// which are called NAME.weight, NAME.bias, NAME.running_mean and NAME.running_var. Everything else that the graph
/// holds is in `graph.constants`.
struct ImportedGraph {
  Graph graph;
  std::string head;                 ///< the classifying layer: its weight is HEAD.weight
  std::int64_t classes = 0;
  std::vector<double> mean, std;    ///< the input's normalisation, taken out of the graph; empty: none
  std::vector<std::string> notes;   ///< what was changed, for people
};

/// Errors: data (node or tensor, and what is wrong: no class head, a weight that is no tensor of the file).
ImportedGraph import_graph(Graph graph);

/// Metadata of a graph that say its head and classes: they are stored with it.
inline constexpr const char* head_metadata = "isnet.head";

}  // namespace isnet
