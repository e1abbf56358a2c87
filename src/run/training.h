// A training, from options to a fitted network in a run folder.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/options.h"
#include "distributed/communicator.h"
#include "run/data_facts.h"
#include "run/run_config.h"
#include "run/run_start.h"
#include "run/training_data.h"
#include "trainer/callbacks/model_checkpoint.h"
#include "trainer/run_folder.h"
#include "trainer/trainer.h"

namespace isnet {

class HeatmapImages;

/// The training of one rank: opens the data, settles the options (resolve()), makes the job, and fits it.
/// Every rank has one; its functions are collective.
class Training {
 public:
  /// `given`: the options of `isnet train`, --data and --output among them. `plugin_options`: names of those
  /// that plug-ins brought. Errors: usage, communication.
  Training(OptionValues given, World& world, std::vector<std::string> plugin_options = {});
  ~Training();
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  /// Trains, and leaves checkpoints and the best weights in --output. With --find-lr it tries learning rates
  /// instead, with --fast-dev-run it writes nothing. Returns the exit status: 0, or exit_status_stopped (to
  /// be started again with --resume last). Errors: usage, data, checkpoint, runtime, communication.
  int run();

 private:
  std::set<std::string> callback_options_of_plugins() const;
  void settle();
  void make_job();
  void add_validation();
  void refuse_other_data(const Checkpoint& checkpoint) const;
  bool is_trial() const { return given_.integer("fast-dev-run") > 0; }
  TrainerOptions trainer_options() const;
  std::shared_ptr<ModelCheckpoint> make_checkpoints() const;
  std::vector<std::shared_ptr<Callback>> all_callbacks(
      const std::shared_ptr<ModelCheckpoint>& checkpoints) const;
  int fit();
  void announce_job() const;

  OptionValues given_;  // the user's, and of a resumed run those that it had
  std::vector<std::string> plugin_options_;
  RunFolder folder_;
  at::Device device_;
  Communicator communicator_;
  RunStart start_;
  TrainingData data_;
  DataFacts facts_;
  std::optional<StoredModel> first_weights_, unet_;  // until the network has them
  std::optional<FoundCheckpoint> resumed_;
  std::optional<RunConfig> config_;
  std::shared_ptr<const SampleOrder> order_;  // of the split train
  std::unique_ptr<TrainingJob> job_;
  std::shared_ptr<HeatmapImages> images_;
};

}  // namespace isnet
