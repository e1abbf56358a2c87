#include "model/weights.h"

#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <regex>

#include "base/error.h"
#include "base/files.h"
#include "base/input_file.h"
#include "model/network_guess.h"
#include "model/onnx/graph_network.h"
#include "model/pickle/state_dictionary.h"
#include "model/weight_names.h"

namespace isnet {
namespace {

// A scalar and a vector of one element are the same to us: some writers know no scalars.
bool same_shape(const at::Tensor& stored, const at::Tensor& own) {
  return stored.sizes() == own.sizes() || (stored.numel() == 1 && own.numel() == 1);
}

struct TypeName {
  at::ScalarType type;
  const char* name;
};
constexpr TypeName type_names[] = {
    {at::kDouble, "F64"}, {at::kFloat, "F32"}, {at::kHalf, "F16"},  {at::kBFloat16, "BF16"},
    {at::kLong, "I64"},   {at::kInt, "I32"},   {at::kShort, "I16"}, {at::kChar, "I8"},
    {at::kByte, "U8"},    {at::kBool, "BOOL"},
};

std::string shape_text(at::IntArrayRef shape) {
  if (shape.empty()) return "a scalar";
  std::string text;
  for (const auto extent : shape) text += cat(text.empty() ? "" : "×", extent);
  return text;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool is_counter(const std::string& name) {
  return ends_with(name, "num_batches_tracked");
}

// Under another name, whole or not at all: two names must not become one.
void rename(NamedTensors& tensors, const std::function<std::string(const std::string&)>& renamed) {
  NamedTensors result;
  for (auto& [name, tensor] : tensors) result.emplace(renamed(name), tensor);
  if (result.size() == tensors.size()) tensors = std::move(result);
}

// torchvision's names of transformers' hidden layers, before and since 0.13.
void make_transformer_names_plain(StoredWeights& stored) {
  static const std::regex old_layer(R"((.*encoder_layer_\d+\.mlp\.)linear_([12])(\..*))");
  const auto plain = [](const std::string& name) {
    std::smatch parts;
    if (!std::regex_match(name, parts, old_layer)) return name;
    return parts[1].str() + (parts[2] == "1" ? "0" : "3") + parts[3].str();
  };
  const auto old = std::count_if(stored.tensors.begin(), stored.tensors.end(),
                                 [&](const auto& entry) { return plain(entry.first) != entry.first; });
  if (old == 0) return;
  rename(stored.tensors, plain);
  stored.notes.push_back(
      cat(old, " names of hidden layers are torchvision's old ones (mlp.linear_1 for mlp.0)"));
}

void make_names_plain(StoredWeights& stored) {
  for (bool found = true; found;) {
    found = false;
    for (const std::string prefix : {"module.", "model.", "_orig_mod."}) {
      const bool common = !stored.tensors.empty() &&
                          std::all_of(stored.tensors.begin(), stored.tensors.end(), [&](const auto& entry) {
                            return entry.first.size() > prefix.size() && entry.first.rfind(prefix, 0) == 0;
                          });
      if (!common) continue;
      rename(stored.tensors, [&](const std::string& name) { return name.substr(prefix.size()); });
      stored.notes.push_back(cat("the prefix '", prefix, "' of all names is dropped"));
      found = true;
    }
  }
  make_transformer_names_plain(stored);
  static const std::regex old_layer(R"((.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*))");
  const auto is_old = [](const auto& entry) { return std::regex_match(entry.first, old_layer); };
  const auto old = std::count_if(stored.tensors.begin(), stored.tensors.end(), is_old);
  if (old == 0) return;
  rename(stored.tensors, [](const std::string& name) { return std::regex_replace(name, old_layer, "$1$2"); });
  stored.notes.push_back(cat(old, " names of dense layers are torchvision's old ones (norm.1 for norm1)"));
}

std::string beginning_of(const std::filesystem::path& path) {
  const InputFile file(path);
  std::string bytes(static_cast<std::size_t>(std::min<std::int64_t>(file.identity().size, 16)), '\0');
  file.read_at(0, bytes.size(), bytes.data());
  return bytes;
}

WeightsReport compare(const NamedTensors& stored, const NamedTensors& wanted) {
  WeightsReport report;
  for (const auto& [name, tensor] : wanted) {
    const auto found = stored.find(name);
    if (found == stored.end())
      report.missing.push_back(name);
    else if (!same_shape(found->second, tensor))
      report.mis_shaped.push_back(cat(name, ": ", shape_text(found->second.sizes()), " in the file, ",
                                      shape_text(tensor.sizes()), " in the network"));
  }
  for (const auto& entry : stored)
    if (wanted.count(entry.first) == 0) report.superfluous.push_back(entry.first);
  return report;
}

// What of the report is an error with these options.
WeightsReport objections(const WeightsReport& report, const LoadWeightsOptions& options) {
  const auto in_head = [&](const std::string& text) {
    return !options.changed_head.empty() && text.rfind(options.changed_head + ".", 0) == 0;
  };
  WeightsReport result;
  for (const auto& name : report.missing)
    if (!in_head(name) && !is_counter(name)) result.missing.push_back(name);
  for (const auto& name : report.superfluous)
    if (!in_head(name)) result.superfluous.push_back(name);
  for (const auto& text : report.mis_shaped)
    if (!in_head(text)) result.mis_shaped.push_back(text);
  return result;
}

}  // namespace

NamedTensors named_tensors(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters())
    if (item.value().defined()) tensors[item.key()] = item.value();
  for (const auto& item : module.named_buffers())
    if (item.value().defined()) tensors[item.key()] = item.value();
  return tensors;
}

NamedTensors host_copies(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies[name] = tensor.detach().to(at::kCPU).contiguous();
  return copies;
}

std::string safetensors_type(const at::Tensor& tensor) {
  for (const auto& one : type_names)
    if (one.type == tensor.scalar_type()) return one.name;
  fail(ErrorKind::internal, "safetensors files hold no tensors of type ", at::toString(tensor.scalar_type()));
}

std::map<std::string, safetensors::TensorView> views_of(const NamedTensors& tensors) {
  std::map<std::string, safetensors::TensorView> views;
  for (const auto& [name, tensor] : tensors)
    views[name] = {safetensors_type(tensor),
                   tensor.sizes().vec(),
                   {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()}};
  return views;
}

at::Tensor tensor_of(const safetensors::TensorView& view) {
  for (const auto& one : type_names) {
    if (view.dtype != one.name) continue;
    at::Tensor tensor = at::empty(view.shape, one.type);
    if (!view.bytes.empty()) std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
    return tensor;
  }
  fail(ErrorKind::checkpoint, "tensors of type ", view.dtype, " cannot be read");
}

void save_weights(const std::filesystem::path& path, const torch::nn::Module& module,
                  const std::map<std::string, std::string>& metadata) {
  const auto tensors = host_copies(named_tensors(module));
  safetensors::write(path, views_of(tensors), metadata);
}

std::string WeightsReport::text() const {
  std::string text;
  const auto add = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) text += cat(text.empty() ? "" : "; ", what, ": ", listed_names(names));
  };
  add("missing", missing);
  add("of another shape", mis_shaped);
  add("superfluous", superfluous);
  return text;
}

bool WeightsReport::lacks_only_counters() const {
  return superfluous.empty() && mis_shaped.empty() && std::all_of(missing.begin(), missing.end(), is_counter);
}

StoredWeights read_weights(const std::filesystem::path& path) {
  if (is_onnx_file(path.string())) return read_onnx_weights(path.string());
  StoredWeights stored;
  if (is_of_torch_save(beginning_of(path))) {
    stored.torch_save = true;
    const std::string content = read_file(path);
    StateDictionary dictionary = read_state_dictionary(content, path.string());
    stored.tensors = std::move(dictionary.tensors);
    if (!dictionary.key.empty())
      stored.notes.push_back(cat("the weights are those under '", dictionary.key, "'",
                                 dictionary.other_keys.empty()
                                     ? std::string()
                                     : cat("; left over: ", listed_names(dictionary.other_keys))));
  } else {
    const safetensors::File file(path);
    stored.metadata = file.metadata();
    if (const auto format = stored.metadata.find("format");
        format != stored.metadata.end() && format->second == "isnet-checkpoint")
      fail(ErrorKind::checkpoint, path.string(),
           ": a checkpoint of isnet, not weights: give it to --checkpoint (isnet train: to --resume), or "
           "write its weights with isnet export");
    for (const auto& [name, view] : file.tensors()) {
      try {
        stored.tensors[name] = tensor_of(view);
      } catch (const Error& e) {
        fail(e.kind(), path.string(), ": tensor '", name, "': ", e.what());
      }
    }
  }
  if (stored.metadata.count("isnet.options") == 0) make_names_plain(stored);
  return stored;
}

WeightsReport load_weights(const std::filesystem::path& path, torch::nn::Module& module,
                           const LoadWeightsOptions& options) {
  return load_weights(path.string(), read_weights(path), module, options);
}

WeightsReport load_weights(const std::string& source, const StoredWeights& stored, torch::nn::Module& module,
                           const LoadWeightsOptions& options) {
  WeightsReport report = load_weights(source, stored.tensors, module, options);
  report.metadata = stored.metadata;
  report.notes.insert(report.notes.begin(), stored.notes.begin(), stored.notes.end());
  return report;
}

WeightsReport load_weights(const std::string& source, const NamedTensors& stored, torch::nn::Module& module,
                           const LoadWeightsOptions& options) {
  const NamedTensors wanted = named_tensors(module);
  const auto [tensors, note] = fitting_tensors(source, stored, [&](const NamedTensors& some) {
    const WeightsReport wrong = objections(compare(some, wanted), options);
    return Fit{wrong.missing.empty() && wrong.mis_shaped.empty(), wrong.superfluous.empty()};
  });
  WeightsReport report = compare(tensors, wanted);
  if (!note.empty()) report.notes.push_back(note);
  if (const auto wrong = objections(report, options); !wrong.complete()) {
    const std::string guess = guessed_network(tensors);
    fail(ErrorKind::checkpoint, source, ": these are not the weights of this network: ", wrong.text(),
         guess.empty() ? " (choose the network and its options as they were when the file was written)"
                       : cat(" (they look like ", guess, ")"));
  }
  for (const auto& [name, tensor] : wanted) {
    const auto found = tensors.find(name);
    if (found == tensors.end() || !same_shape(found->second, tensor)) continue;
    if (found->second.is_floating_point() != tensor.is_floating_point())
      fail(ErrorKind::checkpoint, source, ": tensor '", name, "' has the type ",
           safetensors_type(found->second), ", the network needs ", safetensors_type(tensor));
  }
  for (const auto& [name, tensor] : wanted) {
    const auto found = tensors.find(name);
    if (found != tensors.end() && found->second.sizes() == tensor.sizes())
      tensor.detach().copy_(found->second);
  }
  return report;
}

}  // namespace isnet
