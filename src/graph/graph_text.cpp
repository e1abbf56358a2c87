#include "graph/graph_text.h"

#include <openssl/evp.h>
#include <zlib.h>

#include "base/error.h"
#include "graph/onnx_file.h"

namespace isnet {
namespace {

constexpr std::size_t largest_graph = 16 << 20;  // bytes of the serialised model
constexpr std::size_t longest_text = 900'000;    // an option's value has a limit

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

[[noreturn]] void refuse_text() {
  fail(ErrorKind::data, "the text of the graph is damaged");
}

}  // namespace

std::string graph_text(const Graph& graph) {
  const std::string model = serialized_onnx(graph);
  uLongf size = compressBound(static_cast<uLong>(model.size()));
  std::string packed(size, '\0');
  if (model.size() > largest_graph ||
      compress2(bytes_of(packed), &size, bytes_of(model), static_cast<uLong>(model.size()), 9) != Z_OK)
    fail(ErrorKind::data, "the graph's nodes and constants take ", model.size(), " bytes; allowed: ",
         largest_graph);
  packed.resize(size);
  std::string text(4 * ((packed.size() + 2) / 3) + 1, '\0');
  text.resize(static_cast<std::size_t>(
      EVP_EncodeBlock(bytes_of(text), bytes_of(packed), static_cast<int>(packed.size()))));
  if (text.size() > longest_text)
    fail(ErrorKind::data, "the graph's nodes and constants take ", text.size(),
         " bytes once they are compressed; allowed: ", longest_text);
  return text;
}

Graph graph_of_text(const std::string& text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > longest_text) refuse_text();
  std::string packed(text.size() / 4 * 3 + 1, '\0');
  const int decoded = EVP_DecodeBlock(bytes_of(packed), bytes_of(text), static_cast<int>(text.size()));
  if (decoded < 0) refuse_text();
  std::string model(largest_graph, '\0');
  uLongf size = largest_graph;  // bytes behind the end of the stream are zeros of the last block
  if (uncompress(bytes_of(model), &size, bytes_of(packed), static_cast<uLong>(decoded)) != Z_OK)
    refuse_text();
  return parse_onnx({model.data(), size}, GraphValues::constants);
}

}  // namespace isnet
