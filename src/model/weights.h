// Weights of a network in files, by the names that torchvision gives parameters and buffers, so that Python
// reads and writes them without us: safetensors, and what Python's torch.save writes.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/safetensors.h"

namespace torch::nn {
class Module;
}

namespace isnet {

/// Tensors by name, in the order of the names.
using NamedTensors = std::map<std::string, at::Tensor>;

/// Parameters and buffers of a module by their full names, e.g. `features.norm0.running_mean`; not copies.
NamedTensors named_tensors(const torch::nn::Module& module);

/// Contiguous copies in host memory, as files need them; tensors that are so already are shared, not copied.
NamedTensors host_copies(const NamedTensors& tensors);

/// The safetensors name of a tensor's type ("F32", …). Errors: internal (a type that the format does not
/// know).
std::string safetensors_type(const at::Tensor& tensor);
/// Views of contiguous host tensors for safetensors::write; the tensors have to outlive them.
std::map<std::string, safetensors::TensorView> views_of(const NamedTensors& tensors);
/// A copy of a stored tensor in host memory. Errors: checkpoint (a type that torch does not know).
at::Tensor tensor_of(const safetensors::TensorView& view);

/// Writes parameters and buffers atomically. Errors: runtime.
void save_weights(const std::filesystem::path& path, const torch::nn::Module& module,
                  const std::map<std::string, std::string>& metadata = {});

/// Weights as a file holds them.
struct StoredWeights {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata;  ///< of a safetensors file
  std::vector<std::string> notes;               ///< how the file was understood, for people; empty: as it is
  bool torch_save = false;                      ///< of a file of Python's torch.save
};

/// Reads a safetensors file, or a state dictionary of Python's torch.save (pickle/state_dictionary.h). Names
/// of files that isnet did not write are made plain: prefixes that all have in common (`module.`, `model.`,
/// `_orig_mod.`: wrappers of Python) are dropped (load_weights drops others), and torchvision's old names of
/// DenseNet layers (`denselayer1.norm.1`) and of transformers' (`mlp.linear_1`) become those of today
/// (`denselayer1.norm1`, `mlp.0`). Errors: checkpoint (file, place, what is wrong; a checkpoint of isnet),
/// runtime (reading).
StoredWeights read_weights(const std::filesystem::path& path);

/// Deviations that load_weights() accepts besides files that fit in full.
struct LoadWeightsOptions {
  /// Name of the classifying layer (`classifier`, `fc`): its tensors may be missing or of another shape, and
  /// keep their values then. Empty: every tensor has to fit.
  std::string changed_head;
};

/// The differences between a file and a module.
struct WeightsReport {
  std::vector<std::string> missing;             ///< in the module, not in the file
  std::vector<std::string> superfluous;         ///< in the file, not in the module
  std::vector<std::string> mis_shaped;          ///< in both: "name: 10×64 in the file, 4×64 in the network"
  std::map<std::string, std::string> metadata;  ///< of the file
  std::vector<std::string> notes;               ///< how the file was understood (StoredWeights)

  bool complete() const { return missing.empty() && superfluous.empty() && mis_shaped.empty(); }
  std::string text() const;
  /// Whether nothing is amiss but counters of batch norms (`num_batches_tracked`), which change no result.
  bool lacks_only_counters() const;
};

/// Copies the file's tensors into the module, converting between floating types. Nothing is changed when
/// something does not fit. `num_batches_tracked` may be missing (files of other programs leave it out). A
/// prefix without which the names are the module's is dropped (weight_names.h).
/// Errors: checkpoint (file, and the tensors that are missing, superfluous or of another shape; several
/// prefixes that fit), runtime.
WeightsReport load_weights(const std::filesystem::path& path, torch::nn::Module& module,
                           const LoadWeightsOptions& options = {});
/// The same of a file that was read before, whose notes come first in the report. `source`: its name for messages.
WeightsReport load_weights(const std::string& source, const StoredWeights& stored, torch::nn::Module& module,
                           const LoadWeightsOptions& options = {});
/// The same from tensors in memory; `source` stands for the file in messages.
WeightsReport load_weights(const std::string& source, const NamedTensors& tensors, torch::nn::Module& module,
                           const LoadWeightsOptions& options = {});

}  // namespace isnet
