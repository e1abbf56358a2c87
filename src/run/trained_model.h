// From options, checkpoints and weights files to networks: shared by the commands that run one. What the options
// are: model_options.h.
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
#include "trainer/checkpoint.h"

namespace isnet {

/// --dropout is "" until objective and network are known: 0.5 for ISNets, 0 for plain classifiers, AG-Sononet
/// and where published code has none. --layers @FILE becomes what the file says, so that a stored model does not
/// depend on the file; likewise --unet-options and --mask-threshold of a pipeline what --unet-weights says. Errors: usage, checkpoint.
void settle_defaults(OptionValues& options);

/// Whether --network is a DenseNet, whose transitions torchvision has without a ReLU.
bool is_dense_net(const OptionValues& options);
/// Settles --transition-relu for weights that isnet did not write, unless the user gave it, and logs it: 0, as in
/// torchvision, for files of Python's torch.save and for the sizes that torchvision has (densenet121, …), else 1.
/// `source`: their file, for messages. `torch_save`: such a file (StoredWeights).
void settle_foreign_weights(OptionValues& options, const std::string& source, bool torch_save);
/// Whether isnet wrote them: they have its options with them.
bool is_ours(const StoredWeights& weights);

/// Gives a pipeline's U-Net the weights of --unet-weights. Errors: usage (no pipeline), checkpoint.
void load_unet(const OptionValues& options, Network& network);

/// A network as the options say, in eval mode, initialised from --seed.
std::shared_ptr<Network> make_network(const OptionValues& options, std::int64_t num_classes,
                                      at::Device device, at::ScalarType dtype);

/// Says how weights were understood, and what of them does not fit. A report that load_weights accepted.
void announce_weights(const std::string& source, const WeightsReport& report);

/// A trained network, and the data set that fits it.
struct TrainedModel {
  std::shared_ptr<Network> network;
  std::unique_ptr<DataSet> data;  ///< null where it was not asked for
  at::ScalarType dtype = at::kFloat;
  std::vector<std::string> class_names;  ///< stored with the model, else the data set's; may be empty
  std::string task;                      ///< stored with the model, else the data set's; empty: not known
  std::string source;                    ///< the file's name
};
enum class DataNeed { required, optional };
/// Reads --checkpoint or --weights (options in it are adopted, the user's win), opens --data with as many
/// classes as the head has, and loads the tensors. Errors: usage (neither or both given), checkpoint, data.
TrainedModel load_trained_model(OptionValues& options, at::Device device, DataNeed need = DataNeed::required);

/// Reads a split in batches of --batch-size, each sample once, over all ranks. `limit_option`: that says how
/// many batches.
std::unique_ptr<Loader> split_loader(const std::shared_ptr<const SplitReader>& split,
                                     const OptionValues& options, bool shuffle,
                                     const Communicator& communicator, const std::string& limit_option = "");

/// Options that the training of a checkpoint found (--tune-cut).
NamedTexts found_options(const Checkpoint& checkpoint);

}  // namespace isnet
