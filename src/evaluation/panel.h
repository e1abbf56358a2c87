// The picture of one explained sample: image, mask, and one heatmap for each class.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "evaluation/picture.h"
#include "evaluation/short_names.h"

namespace isnet {

/// The caption of a heatmap.
struct MapCaption {
  std::string class_name;
  double logit = 0;  ///< NaN: not shown, nor is a probability
  /// Softmax, or sigmoid where a sample may have several classes; NaN: not shown.
  double probability = 0;
  bool is_label = false;
  bool is_predicted = false;
};

/// Views; what they view must outlive the call.
struct PanelInput {
  std::string title;                ///< the sample's id
  NameShortener ids = {};           ///< shortens the title where it is too wide
  int height = 0;                   ///< H
  int width = 0;                    ///< W
  std::span<const float> image;     ///< 3×H×W in [0, 1]
  std::span<const float> mask;      ///< 1×H×W, or K×H×W with one mask for each map; empty: none
  std::span<const float> heatmaps;  ///< K×3×H×W; the sum over channels is shown
  std::vector<MapCaption> maps;     ///< K
};

/// How the cells of a panel are laid out.
struct PanelOptions {
  int cell_size = 200;  ///< small images are enlarged by a whole factor to at least this many pixels
  int columns = 12;     ///< cells in a row; further heatmaps go to further rows
};

/// Every heatmap is scaled by its own robust maximum (colour_scale.h), which stands under it, and carries the
/// outline of its mask. Errors: internal, if sizes do not fit each other.
Picture panel(const PanelInput& input, const PanelOptions& options = {});

/// Which heatmaps to show when there are more than `limit`: the classes with the largest logits, and the
/// label (if ≥ 0) in any case; in class order.
std::vector<std::int64_t> maps_to_show(std::span<const double> logits, std::int64_t label, std::size_t limit);

}  // namespace isnet
