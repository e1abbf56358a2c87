// From options, checkpoints and weights files to networks: shared by the commands that run one. What the
// options are: model_options.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/data_set.h"
#include "data/loader.h"
#include "distributed/communicator.h"
#include "model/network.h"
#include "model/objectives/objective.h"
#include "model/weights.h"
#include "run/run_config.h"
#include "run/stored_model.h"

namespace isnet {

/// Gives the U-Net `name` that a pipeline is made around its weights. Errors: checkpoint.
void load_unet(const StoredModel& stored, Network& network, const std::string& name);

/// Makes the run's network, in eval mode, initialised from its seed. Errors: usage.
std::shared_ptr<Network> make_network(const RunConfig& config, at::Device device);

/// Says how weights were understood, and what of them does not fit. A report that load_weights accepted.
void announce_weights(const std::string& source, const WeightsReport& report);

/// Logs the notes and warnings of a run's options.
void announce(const RunConfig& config);

/// A trained network, and the data set that fits it.
struct TrainedModel {
  RunConfig config;  ///< the options in force, those of the model's file adopted
  std::shared_ptr<Network> network = {};
  std::unique_ptr<DataSet> data = {};  ///< null where it was not asked for
  at::ScalarType dtype = at::kFloat;
  std::vector<std::string> class_names = {};  ///< stored with the model, else the data set's; may be empty
  std::string task = {};    ///< stored with the model, else the data set's; empty: not known
  std::string source = {};  ///< the file's name
};
enum class DataNeed { required, optional };
/// Reads --checkpoint or --weights (options in it are adopted, the user's win), opens --data with as many
/// classes as the head has, and loads the tensors. Errors: usage (neither or both given), checkpoint, data.
TrainedModel load_trained_model(const OptionValues& options, at::Device device,
                                DataNeed need = DataNeed::required);

/// Reads a split in batches of --batch-size, each sample once, over all ranks. `limit_option`: that says how
/// many batches.
std::unique_ptr<Loader> split_loader(const std::shared_ptr<const SplitReader>& split,
                                     const OptionValues& options, bool shuffle,
                                     const Communicator& communicator, const std::string& limit_option = "");

}  // namespace isnet
