#include "base/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace isnet::safetensors {
namespace {

constexpr std::uint64_t largest_header = 100'000'000;  // the limit of the reference implementation

std::uint64_t bytes_of(const std::string& dtype, const std::vector<std::int64_t>& shape) {
  std::uint64_t size = element_size(dtype);
  for (const auto extent : shape)
    if (__builtin_mul_overflow(size, static_cast<std::uint64_t>(extent), &size)) return ~std::uint64_t{0};
  return size;
}

struct Place {
  std::uint64_t begin, end;
  std::string name;
};

}  // namespace

std::size_t element_size(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL") return 1;
  return 0;
}

File::File(const std::filesystem::path& path) : File(read_file(path), path.string()) {}

File::File(std::string content, const std::string& source) : content_(std::move(content)) {
  const auto broken = [&](const auto&... what) {
    fail(ErrorKind::checkpoint, source, ": not a valid safetensors file: ", what...,
         " (the file is damaged or incomplete: use another one)");
  };
  if (content_.size() < 8) broken("it has ", content_.size(), " bytes, the header's length alone takes 8");
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, content_.data(), 8);
  if (header_size > largest_header || header_size > content_.size() - 8)
    broken("its header should have ", header_size, " bytes, the file has ", content_.size());
  const auto header = nlohmann::json::parse(content_.begin() + 8,
                                            content_.begin() + 8 + static_cast<std::ptrdiff_t>(header_size),
                                            nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) broken("its header is not a JSON object");
  const std::string_view data = std::string_view(content_).substr(8 + header_size);

  std::vector<Place> places;
  for (const auto& [name, entry] : header.items()) {
    try {
      if (name == "__metadata__") {
        for (const auto& [key, value] : entry.items()) metadata_[key] = value.template get<std::string>();
        continue;
      }
      TensorView view{
          entry.at("dtype").get<std::string>(), entry.at("shape").get<std::vector<std::int64_t>>(), {}};
      const auto offsets = entry.at("data_offsets").get<std::vector<std::uint64_t>>();
      if (offsets.size() != 2) broken("tensor '", name, "' needs two data_offsets");
      if (element_size(view.dtype) == 0) broken("tensor '", name, "' has the unknown type ", view.dtype);
      if (std::any_of(view.shape.begin(), view.shape.end(), [](auto extent) { return extent < 0; }))
        broken("tensor '", name, "' has a negative size");
      if (offsets[0] > offsets[1] || offsets[1] > data.size())
        broken("tensor '", name, "' lies at bytes ", offsets[0], " to ", offsets[1], " of ", data.size());
      if (bytes_of(view.dtype, view.shape) != offsets[1] - offsets[0])
        broken("tensor '", name, "' has ", offsets[1] - offsets[0],
               " bytes, its shape asks for another number");
      view.bytes = data.substr(offsets[0], offsets[1] - offsets[0]);
      tensors_.emplace(name, view);
      places.push_back({offsets[0], offsets[1], name});
    } catch (const nlohmann::json::exception& e) {
      broken("entry '", name, "': ", e.what());
    }
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::uint64_t end = 0;
  for (const auto& place : places) {
    if (place.begin != end) broken("a hole or an overlap before tensor '", place.name, "'");
    end = place.end;
  }
  if (end != data.size()) broken(data.size() - end, " bytes follow the last tensor");
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
