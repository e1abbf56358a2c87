#include "graph/graph_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "graph/import.h"
#include "graph/onnx_file.h"
#include "models.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;

Graph small_graph() {
  ImportedGraph imported = import_graph(parse_onnx(small_model().SerializeAsString(), GraphValues::all));
  Graph graph = std::move(imported.graph);
  graph.metadata = {{head_metadata, imported.head}};  // as the text of a stored model has it
  for (auto& [name, tensor] : graph.tensors) tensor.bytes.clear();
  return graph;
}

TEST(GraphText, HoldsNodesShapesAndConstants) {
  Graph graph = small_graph();
  graph.nodes.back().inputs.push_back("bound");  // constants that no node reads are left out
  graph.constants["bound"] = {ElementType::i64, {2}, std::string(16, '\1')};
  const Graph read = graph_of_text(graph_text(graph));
  ASSERT_EQ(read.nodes.size(), graph.nodes.size());
  EXPECT_EQ(read.nodes.back().operation, "Linear");
  EXPECT_EQ(read.tensors.at("conv.weight").shape, (std::vector<std::int64_t>{4, 3, 3, 3}));
  EXPECT_TRUE(read.tensors.at("conv.weight").bytes.empty());
  EXPECT_EQ(read.constants.at("bound").bytes, std::string(16, '\1'));
  EXPECT_EQ(read.metadata.at(head_metadata), "fc");
}

TEST(GraphText, IsOneLineAndTheSameEachTime) {
  const std::string text = graph_text(small_graph());
  EXPECT_EQ(text.find_first_of("\n \r"), std::string::npos);
  EXPECT_EQ(text, graph_text(small_graph()));
}

TEST(GraphText, DamagedTextIsRefused) {
  const std::string text = graph_text(small_graph());
  for (std::size_t place = 0; place < text.size(); ++place) {
    std::string damaged = text;
    damaged[place] = damaged[place] == 'A' ? 'B' : 'A';
    try {
      graph_of_text(damaged);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
    }
  }
  EXPECT_NE(data_refusal([&] { graph_of_text(text.substr(0, text.size() - 4)); }), "accepted");
  EXPECT_NE(data_refusal([&] { graph_of_text("no graph"); }), "accepted");
}

}  // namespace
}  // namespace isnet
