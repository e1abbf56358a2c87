// Samples of one step, as plain memory of the host.
#pragma once

#include <cstdint>
#include <vector>

namespace isnet {

/// B samples of one rank. Owns its memory. Images and masks are in `images` and `masks`, or, where the loader
/// was asked for double precision, in `images64` and `masks64`; the other two are empty.
struct HostBatch {
  std::int64_t size = 0;  ///< B; may be 0 for a rank without a share in a short last batch
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t mask_channels = 0;  ///< Cm: 0 (no masks), 1, or K
  bool masks_per_class = false;    ///< masks mean B×K×1×H×W, not B×1×H×W

  std::vector<float> images;  ///< B×3×H×W
  std::vector<float> masks;   ///< B×Cm×H×W in [0, 1]
  std::vector<double> images64;
  std::vector<double> masks64;
  std::vector<std::int64_t> labels;   ///< B; empty unless each sample has one class
  std::vector<float> multi_labels;    ///< B×K zeros and ones; empty unless multi-label
  std::int64_t label_classes = 0;     ///< K of multi_labels, else 0
  std::vector<std::int64_t> ids;      ///< B global sample indices in the split
  std::vector<std::uint8_t> counted;  ///< B: 0 for a repeated sample that pads the batch, else 1
  std::uint64_t epoch = 0;
  std::int64_t step = 0;
};

}  // namespace isnet
