// Steps of import_graph(), each over the whole graph.
#pragma once

#include <string>
#include <vector>

#include "graph/import.h"

namespace isnet {

/// Constant nodes and names for tensors become tensors: an exporter that found two equal ones made one of them.
void take_in_constants(Graph& graph);
/// Gemm and MatMul with a weight become Linear, with the weight as outputs × inputs.
void make_linear_layers(Graph& graph);
/// Each batch norm gets tensors of its own, by one name.
void name_batch_norms(Graph& graph);
/// Subtraction and division by constants right behind the input.
void take_out_normalization(ImportedGraph& imported);
/// The layer that makes the logits; a softmax or sigmoid behind it is left out.
void find_head(ImportedGraph& imported);
/// What is no weight goes to the constants.
void part_constants(Graph& graph);

/// The node that writes a name; null: none does.
GraphNode* writer_of(Graph& graph, const std::string& name);
/// Removes the nodes without outputs.
void drop_emptied(Graph& graph);
/// Everybody who read `from` reads `to`.
void read_instead(Graph& graph, const std::string& from, const std::string& to);
/// A name that no tensor has yet: `wanted`, or that with a number.
std::string free_name(const Graph& graph, const std::string& wanted);

}  // namespace isnet
