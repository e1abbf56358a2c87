// Objectives: what a step computes from a batch. Chosen by name (--objective).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/registry.h"
#include "model/batch.h"
#include "model/network.h"

namespace isnet {

/// The losses of a batch; scalars that are means over its samples (no number, for a batch of 0).
struct Losses {
  at::Tensor total;  ///< what is minimised; may be undefined for a batch of 0, which changes nothing then
  std::vector<std::pair<std::string, at::Tensor>> parts;  ///< for metrics: ("loss_classification", …), …
  at::Tensor logits;                                      ///< B×K; undefined: no images are classified
  /// Pixels by class of their mask (rows) and predicted class (columns), K'×K' (float64), of the samples that
  /// count; undefined: no pixels are classified. Dice and intersection over union are ratios of its sums.
  at::Tensor pixel_counts;
  /// In eval mode: sums that add up over batches and ranks (one dimension), which metrics of a
  /// split are made of that are no means over samples (Objective::summarise). Undefined: there are none.
  at::Tensor sums;
  /// Relevance values that are no finite numbers, and the samples that have them.
  std::int64_t nonfinite_values = 0, nonfinite_samples = 0;
  at::Tensor nonfinite_rows;  ///< these samples' places in the batch, on the CPU; undefined: none
};

/// Numbers with their names, in the order in which they are shown.
using NamedNumbers = std::vector<std::pair<std::string, double>>;
/// The number of this name in the list. Errors: internal (there is none).
double& number_of(NamedNumbers& numbers, const std::string& name);
/// Options by name, with their values as text.
using NamedTexts = std::map<std::string, std::string>;

/// The function that training minimises: the losses of a batch, and what of them changes from epoch to epoch.
class Objective {
 public:
  virtual ~Objective() = default;

  /// Runs the network on the batch, in the mode the network is in (train() or eval()).
  virtual Losses compute(Network& network, const Batch& batch) = 0;

  /// Whether batches must have masks.
  virtual bool needs_masks() const { return false; }

  /// Whether its losses divide by sums over the global batch (Batch::ranks): then every rank computes each
  /// step, also with a batch of 0 samples.
  virtual bool sums_over_ranks() const { return false; }

  /// Names of Losses::parts that reports show.
  virtual std::vector<std::string> loss_names() const {
    if (needs_masks()) return {"loss_classification", "loss_heatmap"};
    return {"loss_classification"};
  }

  /// Metrics of a whole split: replaces those of `means` (over its samples: "loss", its parts, …) that are
  /// made of `sums`, Losses::sums of all batches on all ranks together, so that they do not depend on how the
  /// split was cut; and may add some.
  virtual void summarise(NamedNumbers& means, const std::vector<double>& sums) const {
    static_cast<void>(means);
    static_cast<void>(sums);
  }

  /// Which logits of a network it judges: those of images, those of pixels.
  virtual bool needs_classes() const { return true; }
  virtual bool needs_pixels() const { return false; }

  /// By which the classification losses of single labels are weighted; empty: all alike. Who runs an
  /// objective over several batches that are one (of ranks, of a split) tells it their Batch::mean_weight.
  virtual std::vector<double> class_weights() const { return {}; }

  // What training changes of an objective. One that is not training is as at a training's end.

  /// Training is at this epoch from now on; also called in the middle of one that is resumed. Errors:
  /// checkpoint, where the epochs before should have left something that is not there.
  virtual void start_epoch(std::int64_t epoch) { static_cast<void>(epoch); }
  /// Whether the loss is defined in this epoch as at the end: only such epochs are ranked by val_loss.
  virtual bool comparable(std::int64_t epoch) const {
    static_cast<void>(epoch);
    return true;
  }
  /// Numbers that this rank has gathered in the epoch so far, equally many on every rank; checkpoints keep
  /// each rank's. Empty: nothing is gathered.
  virtual std::vector<double> gathered() const { return {}; }
  virtual void set_gathered(const std::vector<double>& numbers) { static_cast<void>(numbers); }
  /// At the end of an epoch in which something is gathered: the numbers of all ranks, by rank. The result
  /// depends on nothing else, so that it is the same on every rank. Errors: runtime.
  virtual void finish_epoch(const std::vector<std::vector<double>>& ranks) { static_cast<void>(ranks); }
  /// A validation has come to these metrics, the same on every rank; not one of a sanity check.
  virtual void validated(const NamedNumbers& metrics) { static_cast<void>(metrics); }
  /// Options that training has found; an objective made with them needs no training to be as this one.
  virtual NamedTexts found_options() const { return {}; }
  virtual void set_found_options(const NamedTexts& found) { static_cast<void>(found); }
  /// Values that change during training besides the losses, for metrics.csv.
  virtual NamedNumbers settings() const { return {}; }
};

/// Options that every objective may read: seed.
using ObjectiveFactory = std::function<std::unique_ptr<Objective>(const OptionValues&)>;

/// What an objective's strategy says of the objectives that it makes; see the functions of the same names.
template <>
struct Capabilities<ObjectiveFactory> {
  bool needs_masks = false;
  bool needs_classes = true;
  bool needs_pixels = false;
  /// It trains heatmaps: batch norms' statistics are re-estimated before validation, and there is dropout
  /// before the head, unless its defaults say otherwise.
  bool trains_heatmaps = true;
};

Registry<ObjectiveFactory>& objectives();

/// Refuses a network that does not yield what the objective `name` judges. Errors: usage, with the networks
/// that do.
void require_outputs(const Objective& objective, const std::string& name, const Network& network);
/// The same of strategies, before anything is made.
void require_outputs(const Capabilities<ObjectiveFactory>& needs, const std::string& name,
                     const Capabilities<NetworkFactory>& network);

/// Whether fused kernels are used for such images: not in double precision.
bool fuses(const at::Tensor& images);

/// The tape's context for this batch in the network's mode.
TapeContext context_for(const Network& network, const Batch& batch, std::uint64_t seed, bool recording);

}  // namespace isnet
