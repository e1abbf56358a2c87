// What a run is: all options in force, settled once from what the user gave, the files that the run begins
// from, and its data.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/network.h"
#include "run/data_facts.h"
#include "run/run_start.h"
#include "run/stored_model.h"
#include "trainer/options.h"

namespace isnet {

/// The files that a run begins from; null: there is none. They have to live for as long as resolve() runs.
struct StoredFacts {
  const StoredModel* model = nullptr;        ///< a trained model that is used: its options are adopted
  const StoredModel* weights = nullptr;      ///< weights that a training starts from
  const StoredModel* unet = nullptr;         ///< the U-Net of a pipeline that is trained
  const FoundCheckpoint* resumed = nullptr;  ///< the checkpoint of a training that goes on
};

/// The model of a run.
struct ModelConfig {
  std::string network, objective;       ///< names of strategies
  std::optional<std::int64_t> classes;  ///< of images; nothing: it classifies none, or nothing says how many
  Normalization normalization;          ///< of the images
  at::ScalarType dtype = at::kFloat;    ///< of weights, images and losses
  at::ScalarType multiplication = at::ScalarType::Undefined;  ///< of convolutions; Undefined: dtype
  std::uint64_t seed = 0;                                     ///< of initialisation
};

/// The settled options of a run. A value that never changes; copies share nothing. Made by resolve().
class RunConfig {
 public:
  /// All options in force: what options.ini, checkpoints and the comparison of ranks hold.
  const OptionValues& options() const { return options_; }
  const ModelConfig& model() const { return model_; }
  /// Settings of the fit loop, without device and order of samples; nothing for a run that does not train.
  const std::optional<TrainerOptions>& trainer() const { return trainer_; }

  /// Says what was decided without being asked for: sentences for the log.
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// Says whose fault an error of the model's options is.
  const Blame& blame() const { return blame_; }

  /// Returns the run with options that its training has found (found_options()).
  RunConfig with(const std::map<std::string, std::string>& found) const;

 private:
  friend RunConfig resolve(const OptionValues&, const DataFacts&, const StoredFacts&, std::int64_t);
  explicit RunConfig(OptionValues options) : options_(std::move(options)) {}

  void adopt_model(const StoredModel& model);
  void adopt_weights(const StoredModel& weights);
  void suggest_normalization(const StoredModel& weights);
  void adopt_convention(const StoredModel& weights);
  void adopt_unet(const StoredModel* unet);
  void take_from_data(const DataFacts& data);
  void take_defaults(bool resumed);
  void settle_model(const StoredModel* stored);
  void settle_training(const DataFacts& data);
  void settle_resume(const FoundCheckpoint& resumed, std::int64_t ranks);

  OptionValues options_;
  ModelConfig model_;
  std::optional<TrainerOptions> trainer_;
  std::vector<std::string> notes_, warnings_;
  Blame blame_;
};

/// Settles the options of a run. What the user gave (OptionValues::given) takes precedence over what files
/// say, that over what the data decide, and that over defaults of strategies and of the options themselves:
///
/// - The options of a trained model come from its file, what tells weights apart that have equal shapes from
/// the
///   file of first weights, the shape of a pipeline's U-Net from the file of the U-Net.
/// - The data decide --num-classes, weights of "balanced" classes, and which class is a network's normal one.
/// - The network's and then the objective's defaults hold for --dropout and the like; --layers @FILE becomes
/// what the
///   file says, so that a stored model does not depend on it.
/// - A resumed run keeps its options and batches (resume_options.h).
///
/// Touches no rank and writes nothing. `ranks`: of this run. Errors: usage (options that contradict each
/// other, the data or the checkpoint: option, value, what is allowed), data (what the data lack), checkpoint
/// (what files say).
RunConfig resolve(const OptionValues& given, const DataFacts& data = {}, const StoredFacts& stored = {},
                  std::int64_t ranks = 1);

/// Refuses data without masks for the objective `name`. Errors: data.
void require_masks(const DataFacts& data, const std::string& name);

}  // namespace isnet
