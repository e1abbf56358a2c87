// Which heatmaps a step computes. Chosen by name (--heatmaps).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/registry.h"
#include "model/batch.h"
#include "model/lrp/walk.h"

namespace isnet {

/// The start of a walk, and which class each of the M maps explains: B×M (int64), −1: none alone; undefined
/// when the maps are those of all classes in order.
struct Selected {
  LrpStart start;
  at::Tensor classes;
  /// Kinds of maps that differ in the rule: that of each, for equal numbers of maps. Empty: the options'
  /// rule.
  std::vector<std::shared_ptr<const LayerRule>> rules = {};
  /// Maps show evidence about all classes, although they are named after one (the selective one): their mask
  /// is that of all classes together.
  bool about_all_classes = false;
};

/// relevance() for what was selected.
Heatmaps relevance(const Tape& tape, Value logits, const Selected& selected, const LrpOptions& options,
                   const std::vector<std::string>& layers = {});

/// Masks for the selected maps: as they are, or of one mask for each class (B×K×1×H×W) those of the maps'
/// classes, B×M×1×H×W; the largest value over the classes that a map is about, where these are several.
at::Tensor selected_masks(const at::Tensor& masks, const Selected& selected);

/// Which maps of a batch are computed: where the walk starts, and which classes the maps explain.
class HeatmapSelection {
 public:
  virtual ~HeatmapSelection() = default;
  /// Draws depend on (seed, batch.epoch, sample id) only.
  virtual Selected select(const Logits& logits, const Batch& batch, std::uint64_t seed) const = 0;
  /// How many kinds of maps there are: equal numbers of each, one kind behind the other, with cuts of its own
  /// (--cut, --tune-cut).
  virtual int groups() const { return 1; }
};

/// Makes a selection from the options that its strategy declares. Errors: usage.
using HeatmapSelectionFactory = std::function<std::unique_ptr<HeatmapSelection>(const OptionValues&)>;
Registry<HeatmapSelectionFactory>& heatmap_selections();
/// --heatmaps and the options of the selections.
OptionGroup heatmap_selection_group();

/// A start at one logit for each image. classes: B×M (int64).
LrpStart start_at(const at::Tensor& classes, const at::Tensor& logits);

}  // namespace isnet
