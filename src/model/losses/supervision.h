// Heatmap losses of all supervised layers, joined to one: LRP deep supervision (Bassi, Decherchi & Cavalli,
// "Faster ISNet", arXiv 2401.08409). Without hidden layers it is the heatmap loss of the pixels.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "model/losses/cut_tuning.h"
#include "model/losses/heatmap_loss.h"
#include "model/lrp/walk.h"

namespace isnet {

/// The heatmap losses of the pixels and of each supervised hidden layer, each with cuts of its own.
class Supervision {
 public:
  /// --heatmap-loss and its options, --supervised-layers and its. `groups`: the maps of an image are that
  /// many kinds of equal number, one behind the other, each with cuts of its own (HeatmapSelection::groups).
  /// Errors: usage.
  Supervision(const OptionValues& options, int groups);

  /// Names of the hidden layers (Tape::mark).
  const std::vector<std::string>& layers() const { return layers_; }
  /// Pairs of cuts: one for each layer, the pixels first, and in it for each group.
  std::size_t places() const { return losses_.size(); }
  bool uses_cuts() const { return losses_.front()->uses_cuts(); }

  /// The joint loss, and with hidden layers the loss of each: "loss_heatmap_input", "loss_heatmap_<layer>".
  struct Judgement {
    at::Tensor total;
    std::vector<std::pair<std::string, at::Tensor>> parts;
  };
  /// masks, classes and across as in HeatmapLoss::compute; for a hidden layer a mask's channels are joined
  /// (its largest value counts) and it is resized. Errors: usage (--cut has another number of values than 1
  /// and num_classes), data.
  Judgement judge(const Heatmaps& heatmaps, const at::Tensor& masks, const at::Tensor& classes,
                  std::int64_t num_classes, const AcrossRanks* across = nullptr) const;

  /// Adds the heatmaps of the first `samples` images to the statistics that cuts are chosen from.
  void gather(CutTuning& tuning, const Heatmaps& heatmaps, std::int64_t samples) const;

  /// Names and values of the options that make these cuts (`places()` of them) those of a Supervision.
  std::map<std::string, std::string> options_of(const std::vector<Cuts>& cuts) const;
  /// Its cuts as named numbers, for metrics: "cut", "cut2", "cut_<layer>", …; the first ones, where they are
  /// given by class.
  std::vector<std::pair<std::string, double>> metrics() const;

 private:
  std::vector<std::string> layers_;
  std::size_t groups_;
  std::size_t cut_values_;
  double decay_;
  std::vector<Cuts> cuts_;                            // by layer, then group
  std::vector<std::unique_ptr<HeatmapLoss>> losses_;  // by layer, then group
};

/// The options of --supervised-layers, for objectives that have it.
std::vector<OptionSpec> supervision_options();

}  // namespace isnet
