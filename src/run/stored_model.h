// A trained model as a file holds it: its tensors, and what was stored with them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/weights.h"
#include "run/stored_options.h"
#include "trainer/checkpoint.h"

namespace isnet {

/// A network's tensors, and what was stored with them.
struct StoredModel {
  StoredWeights weights;
  StoredOptions options;                 ///< with those that training found in force
  std::vector<std::string> class_names;  ///< may be empty
  std::string task;                      ///< task_name() of the data; "" where nothing says it
  bool ours = true;                      ///< isnet wrote it

  const std::string& source() const { return options.source(); }  ///< the file
};

/// Reads a checkpoint. `use_average`: whether the averaged weights are taken where there are any; nothing: as
/// its run did. Errors: checkpoint, data, runtime, as load_checkpoint().
StoredModel read_checkpoint_model(const std::string& file, std::optional<bool> use_average = {});

/// Reads a file of weights. Errors: checkpoint, runtime, as read_weights().
StoredModel read_weights_model(const std::string& file);

/// Reads a checkpoint (*.ckpt) or a file of weights.
StoredModel read_stored_model(const std::string& file, std::optional<bool> use_average = {});

/// Returns the number of classes of images that the model knows: as its options say, else by the rows of its
/// classifying layer's weight, which may be behind a prefix. `network`: what it is taken for; its layer is
/// looked for first. Errors: checkpoint (no classifying layer of any known network).
std::int64_t classes_of(const StoredModel& model, const std::string& network);

/// Options that the training of a checkpoint found (--tune-cut), by name.
std::map<std::string, std::string> found_options(const Checkpoint& checkpoint);

}  // namespace isnet
