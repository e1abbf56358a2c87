// Tensors from files that Python's torch.save wrote, in both of its formats, without running anybody's code.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace isnet {

/// Whether a file begins as those of torch.save do (else it may be a safetensors file).
bool is_of_torch_save(std::string_view content);

/// Tensors of a file of torch.save, by their names.
struct StateDictionary {
  std::map<std::string, at::Tensor> tensors;  ///< in host memory; may share memory, and have any strides
  std::string key;                            ///< where in a checkpoint it was: "state_dict"; else empty
  std::vector<std::string> other_keys;        ///< where else it has weights, as "model_ema"
};

/// Reads a state dictionary, or a checkpoint that holds one under `state_dict`, `model_state_dict` or
/// `model`, else averaged weights under `state_dict_ema`, `model_ema`, `ema_state_dict`, `ema_model` or
/// `ema`, from the content of a .pth or .pt file: ZIP (torch from 1.6 on) or the format before it. Tensors of
/// the types that safetensors knows too. `source` is the file's name for messages. Errors: checkpoint (file,
/// place, what is wrong; a name of Python's that weights do not need).
StateDictionary read_state_dictionary(std::string_view content, const std::string& source);

}  // namespace isnet
