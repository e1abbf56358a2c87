#include "graph/graph.h"

#include <charconv>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"

namespace isnet {

std::size_t bytes_of(ElementType type) {
  switch (type) {
    case ElementType::f64:
    case ElementType::i64:
      return 8;
    case ElementType::f32:
    case ElementType::i32:
      return 4;
    case ElementType::f16:
    case ElementType::bf16:
      return 2;
    case ElementType::i8:
    case ElementType::u8:
    case ElementType::boolean:
      return 1;
  }
  return 1;
}

bool is_floating(ElementType type) {
  return type == ElementType::f32 || type == ElementType::f64 || type == ElementType::f16 ||
         type == ElementType::bf16;
}

std::int64_t GraphTensor::count() const {
  constexpr std::int64_t most = std::int64_t{1} << 40;
  std::int64_t product = 1;
  for (const auto extent : shape) {
    if (extent < 0 || extent > most || (extent > 0 && product > most / extent))
      fail(ErrorKind::data, extent < 0 ? "its shape is negative" : "its shape is too large");
    product *= extent;
  }
  return product;
}

namespace {

template <typename Stored>
std::vector<double> converted(const std::string& bytes) {
  std::vector<double> result;
  for (std::size_t at = 0; at + sizeof(Stored) <= bytes.size(); at += sizeof(Stored)) {
    Stored value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    result.push_back(static_cast<double>(value));
  }
  return result;
}

}  // namespace

std::vector<double> numbers(const GraphTensor& tensor) {
  switch (tensor.type) {
    case ElementType::f32:
      return converted<float>(tensor.bytes);
    case ElementType::f64:
      return converted<double>(tensor.bytes);
    case ElementType::i64:
      return converted<std::int64_t>(tensor.bytes);
    case ElementType::i32:
      return converted<std::int32_t>(tensor.bytes);
    case ElementType::i8:
      return converted<std::int8_t>(tensor.bytes);
    case ElementType::u8:
    case ElementType::boolean:
      return converted<std::uint8_t>(tensor.bytes);
    case ElementType::f16:
    case ElementType::bf16:
      break;
  }
  fail(ErrorKind::internal, "half-precision values of a graph are asked for as numbers");
}

double shortest_decimal(float value) {
  char text[32];
  const auto* end = std::to_chars(text, text + sizeof text, value).ptr;
  double result = 0;
  return std::from_chars(text, end, result).ec == std::errc() ? result : static_cast<double>(value);
}

std::map<std::string, int> readers(const Graph& graph) {
  std::map<std::string, int> count{{graph.output, 1}};
  for (const auto& node : graph.nodes)
    for (const auto& input : node.inputs)
      if (!input.empty()) ++count[input];
  return count;
}

std::string GraphNode::text() const {
  const std::string& shown = name.empty() && !outputs.empty() ? outputs.front() : name;
  return cat("node '", printable(shown), "' (", printable(operation), ")");
}

void refuse(const GraphNode& node, const std::string& what) {
  fail(ErrorKind::data, node.text(), ": ", what);
}

const std::string& GraphNode::input(std::size_t index) const {
  static const std::string none;
  return index < inputs.size() ? inputs[index] : none;
}

template <typename Kind>
const Kind* GraphNode::find(const std::string& attribute) const {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return nullptr;
  const auto* value = std::get_if<Kind>(&found->second);
  if (!value) refuse(*this, cat("its attribute '", attribute, "' has another type than the operator says"));
  return value;
}

std::int64_t GraphNode::integer(const std::string& attribute, std::int64_t otherwise) const {
  const auto* value = find<std::int64_t>(attribute);
  return value ? *value : otherwise;
}

double GraphNode::real(const std::string& attribute, double otherwise) const {
  const auto* value = find<double>(attribute);
  return value ? *value : otherwise;
}

std::string GraphNode::text_of(const std::string& attribute, const std::string& otherwise) const {
  const auto* value = find<std::string>(attribute);
  return value ? *value : otherwise;
}

std::vector<std::int64_t> GraphNode::integers(const std::string& attribute,
                                              std::vector<std::int64_t> otherwise) const {
  const auto* value = find<std::vector<std::int64_t>>(attribute);
  return value ? *value : otherwise;
}

}  // namespace isnet
