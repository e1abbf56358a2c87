#include "base/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "base/input_file.h"
#include "base/json.h"
#include "base/names.h"
#include "base/printable.h"

namespace isnet::safetensors {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t largest_header = 100'000'000;  // the limit of the reference implementation
constexpr std::int64_t most_dimensions = 64;           // torch allows no more

std::uint64_t bytes_of(const std::string& dtype, const std::vector<std::int64_t>& shape) {
  std::uint64_t size = element_size(dtype);
  for (const auto extent : shape)
    if (__builtin_mul_overflow(size, static_cast<std::uint64_t>(extent), &size)) return ~std::uint64_t{0};
  return size;
}

template <typename... What>
[[noreturn]] void refuse(const std::string& source, const What&... what) {
  fail(ErrorKind::checkpoint, source, ": not a valid safetensors file: ", what...,
       " (the file is damaged or incomplete: use another one)");
}

// The header's length, checked against the file's.
std::uint64_t header_size_of(std::string_view beginning, std::uint64_t file_size, const std::string& source) {
  if (file_size < 8) refuse(source, "it has ", file_size, " bytes, the header's length alone takes 8");
  std::uint64_t size = 0;
  std::memcpy(&size, beginning.data(), 8);
  if (size > largest_header || size > file_size - 8)
    refuse(source, "its header should have ", size, " bytes, the file has ", file_size);
  return size;
}

// A file's first bytes: the header's length and the header.
std::string read_header(const InputFile& file) {
  const auto size = static_cast<std::uint64_t>(file.identity().size);
  std::string text(std::min<std::uint64_t>(size, 8), '\0');
  file.read_at(0, text.size(), text.data());
  text.resize(8 + header_size_of(text, size, file.path().string()));
  file.read_at(8, text.size() - 8, text.data() + 8);
  return text;
}

// What the header says of a tensor.
struct Entry {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  // of its bytes, behind the header
};

Entry entry_of(const std::string& name, const JsonFields<Json>& fields, std::uint64_t data_size,
               const std::string& source) {
  if (const auto refusal = name_refusal(NameKind::label, name); !refusal.empty())
    refuse(source, "the tensor name ", quoted_name(name), " is not allowed: ", refusal);
  constexpr auto any = std::numeric_limits<std::int64_t>::min();
  Entry entry{name, fields.text("dtype"), fields.integers("shape", any), 0, 0};
  if (std::any_of(entry.shape.begin(), entry.shape.end(), [](auto extent) { return extent < 0; }))
    refuse(source, "tensor '", name, "' has a negative size");
  const auto offsets = fields.integers("data_offsets", 0);
  if (offsets.size() != 2) refuse(source, "tensor '", name, "' needs two data_offsets");
  entry.begin = static_cast<std::uint64_t>(offsets[0]);
  entry.end = static_cast<std::uint64_t>(offsets[1]);
  if (element_size(entry.dtype) == 0)
    refuse(source, "tensor '", name, "' has the unknown type ", entry.dtype.substr(0, 20));
  if (std::ssize(entry.shape) > most_dimensions)
    refuse(source, "tensor '", name, "' has ", entry.shape.size(), " dimensions");
  if (entry.begin > entry.end || entry.end > data_size)
    refuse(source, "tensor '", name, "' lies at bytes ", entry.begin, " to ", entry.end, " of ", data_size);
  if (bytes_of(entry.dtype, entry.shape) != entry.end - entry.begin)
    refuse(source, "tensor '", name, "' has ", entry.end - entry.begin,
           " bytes, its shape requires another number");
  return entry;
}

void check_places(const std::vector<Entry>& entries, std::uint64_t data_size, const std::string& source) {
  std::uint64_t end = 0;
  for (const auto& entry : entries) {
    if (entry.begin != end) refuse(source, "a hole or an overlap before tensor '", entry.name, "'");
    end = entry.end;
  }
  if (end != data_size) refuse(source, data_size - end, " bytes follow the last tensor");
}

}  // namespace

struct File::Header {
  std::vector<Entry> entries;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
};

File::Header File::header_of(std::string_view text, std::uint64_t data_size, const std::string& source) {
  const JsonSource place{cat(source, ": not a valid safetensors file: its header"), ErrorKind::checkpoint,
                         " (the file is damaged or incomplete: use another one)"};
  const Json json = parse_json(text, place);
  const JsonFields fields(place, json);
  Header header;
  for (const auto& [name, value] : json.items()) {
    const auto object = fields.object(name);
    if (name != "__metadata__") {
      header.entries.push_back(entry_of(name, object, data_size, source));
      continue;
    }
    for (const auto& item : value.items()) header.metadata[item.key()] = object.text(item.key());
  }
  std::sort(header.entries.begin(), header.entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  check_places(header.entries, data_size, source);
  return header;
}

std::size_t element_size(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL") return 1;
  return 0;
}

File::File(const std::filesystem::path& path, Links links) {
  const InputFile file(path, links);
  const auto size = static_cast<std::uint64_t>(file.identity().size);
  content_ = read_header(file);
  const auto end = content_.size();
  const Header header = header_of(std::string_view(content_).substr(8), size - end, path.string());
  content_.resize(size);
  file.read_at(static_cast<std::int64_t>(end), size - end, content_.data() + end);
  adopt(header, end);
}

Description File::describe(const std::filesystem::path& path, Links links) {
  const InputFile file(path, links);
  const std::string text = read_header(file);
  const auto data_size = static_cast<std::uint64_t>(file.identity().size) - text.size();
  Header header = header_of(std::string_view(text).substr(8), data_size, path.string());
  Description description{{}, std::move(header.metadata)};
  for (auto& entry : header.entries)
    description.tensors.emplace(entry.name, TensorView{entry.dtype, entry.shape, {}});
  return description;
}

File::File(std::string content, const std::string& source) : content_(std::move(content)) {
  const auto end = 8 + header_size_of(content_, content_.size(), source);
  adopt(header_of(std::string_view(content_).substr(8, end - 8), content_.size() - end, source), end);
}

void File::adopt(const Header& header, std::uint64_t data) {
  metadata_ = header.metadata;
  for (const auto& entry : header.entries)
    tensors_.emplace(entry.name, TensorView{entry.dtype, entry.shape,
                                            std::string_view(content_).substr(data + entry.begin,
                                                                              entry.end - entry.begin)});
}

void write(const std::filesystem::path& path, const std::map<std::string, TensorView>& tensors,
           const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, view] : tensors) {
    if (bytes_of(view.dtype, view.shape) != view.bytes.size())
      fail(ErrorKind::internal, "tensor '", name, "': ", view.bytes.size(), " bytes do not fit its shape");
    header[name] = {
        {"dtype", view.dtype}, {"shape", view.shape}, {"data_offsets", {offset, offset + view.bytes.size()}}};
    offset += view.bytes.size();
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // tensors start at a multiple of 8
  std::string size(8, '\0');
  const std::uint64_t header_size = text.size();
  std::memcpy(size.data(), &header_size, 8);

  std::vector<std::string_view> parts{size, text};
  for (const auto& entry : tensors) parts.push_back(entry.second.bytes);
  write_file_atomically(path, parts);
}

}  // namespace isnet::safetensors
