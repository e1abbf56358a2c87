#include "graph/onnx_tensors.h"

#include <charconv>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/input_file.h"
#include "base/printable.h"

namespace isnet {
namespace {

struct TypePair {
  ElementType type;
  int proto;
};
constexpr TypePair type_pairs[] = {
    {ElementType::f32, onnx::TensorProto::FLOAT},    {ElementType::f64, onnx::TensorProto::DOUBLE},
    {ElementType::f16, onnx::TensorProto::FLOAT16},  {ElementType::bf16, onnx::TensorProto::BFLOAT16},
    {ElementType::i64, onnx::TensorProto::INT64},    {ElementType::i32, onnx::TensorProto::INT32},
    {ElementType::i8, onnx::TensorProto::INT8},      {ElementType::u8, onnx::TensorProto::UINT8},
    {ElementType::boolean, onnx::TensorProto::BOOL},
};

[[noreturn]] void refuse_tensor(const onnx::TensorProto& proto, const std::string& what) {
  fail(ErrorKind::data, "tensor ", quoted_name(proto.name()), ": ", what);
}

ElementType element_type(const onnx::TensorProto& proto) {
  for (const auto& pair : type_pairs)
    if (pair.proto == proto.data_type()) return pair.type;
  refuse_tensor(proto, cat("its element type ", proto.data_type(),
                           " is not supported (supported: float and integer tensors of 8 to 64 bits)"));
}

// Values of a repeated field, each as `Stored`.
template <typename Stored, typename Field>
std::string bytes_of_values(const Field& field) {
  std::string bytes(static_cast<std::size_t>(field.size()) * sizeof(Stored), '\0');
  for (int i = 0; i < field.size(); ++i) {
    const auto value = static_cast<Stored>(field.Get(i));
    std::memcpy(bytes.data() + static_cast<std::size_t>(i) * sizeof(Stored), &value, sizeof(Stored));
  }
  return bytes;
}

std::string inline_bytes(const onnx::TensorProto& proto, ElementType type) {
  if (proto.has_raw_data()) return proto.raw_data();
  switch (type) {
    case ElementType::f32:
      return bytes_of_values<float>(proto.float_data());
    case ElementType::f64:
      return bytes_of_values<double>(proto.double_data());
    case ElementType::i64:
      return bytes_of_values<std::int64_t>(proto.int64_data());
    case ElementType::i32:
      return bytes_of_values<std::int32_t>(proto.int32_data());
    case ElementType::f16:
    case ElementType::bf16:
      return bytes_of_values<std::uint16_t>(proto.int32_data());
    case ElementType::i8:
    case ElementType::u8:
    case ElementType::boolean:
      return bytes_of_values<std::uint8_t>(proto.int32_data());
  }
  return {};
}

std::int64_t external_number(const onnx::TensorProto& proto, const std::string& key, std::int64_t otherwise) {
  for (const auto& entry : proto.external_data()) {
    if (entry.key() != key) continue;
    std::int64_t number = 0;
    const auto& text = entry.value();
    const auto end = text.data() + text.size();
    if (const auto [stop, code] = std::from_chars(text.data(), end, number);
        code != std::errc() || stop != end || number < 0)
      refuse_tensor(proto, cat("its external data have the ", key, " ", quoted_name(text)));
    return number;
  }
  return otherwise;
}

// A file of the same folder, whose name leads nowhere else.
std::string external_bytes(const onnx::TensorProto& proto, std::size_t size, const std::filesystem::path& folder) {
  std::string location;
  for (const auto& entry : proto.external_data())
    if (entry.key() == "location") location = entry.value();
  if (folder.empty() || location.empty())
    refuse_tensor(proto, "its values are in another file, which this one does not say or may not name");
  const std::filesystem::path relative = location, path = folder / relative;
  if (relative.is_absolute() || !is_inside(folder, path))
    refuse_tensor(proto, cat("its values are in ", quoted_name(location), ", which is not in the file's folder or "
                             "not there; allowed: a file beside the model"));
  const InputFile file(path);
  const std::int64_t offset = external_number(proto, "offset", 0);
  const auto wanted = static_cast<std::int64_t>(size);
  if (external_number(proto, "length", wanted) != wanted || offset > file.identity().size ||
      file.identity().size - offset < wanted)
    refuse_tensor(proto, cat(quoted_name(location), " does not hold its ", size, " bytes at ", offset));
  std::string bytes(size, '\0');
  file.read_at(offset, size, bytes.data());
  return bytes;
}

}  // namespace

GraphTensor graph_tensor(const onnx::TensorProto& proto, const std::filesystem::path& folder,
                         GraphValues values) {
  GraphTensor tensor;
  tensor.type = element_type(proto);
  if (proto.dims_size() > 8) refuse_tensor(proto, "it has more than 8 dimensions");
  tensor.shape.assign(proto.dims().begin(), proto.dims().end());
  std::size_t size = 0;
  try {
    size = static_cast<std::size_t>(tensor.count()) * bytes_of(tensor.type);
  } catch (const Error& e) {
    refuse_tensor(proto, e.what());
  }
  if (proto.data_location() == onnx::TensorProto::EXTERNAL)
    tensor.bytes = external_bytes(proto, size, folder);
  else
    tensor.bytes = inline_bytes(proto, tensor.type);
  if (values == GraphValues::constants && tensor.bytes.empty()) return tensor;
  if (tensor.bytes.size() != size)
    refuse_tensor(proto, cat("its shape needs ", size, " bytes, the file holds ", tensor.bytes.size()));
  return tensor;
}

onnx::TensorProto tensor_proto(const GraphTensor& tensor) {
  onnx::TensorProto proto;
  for (const auto& pair : type_pairs)
    if (pair.type == tensor.type) proto.set_data_type(pair.proto);
  for (const auto extent : tensor.shape) proto.add_dims(extent);
  if (!tensor.bytes.empty() || tensor.count() == 0) proto.set_raw_data(tensor.bytes);
  return proto;
}

}  // namespace isnet
