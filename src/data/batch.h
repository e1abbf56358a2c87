// Samples of one step, as plain memory of the host.
#pragma once

#include <cstdint>
#include <vector>

#include "data/pixel_buffer.h"

namespace isnet {

/// B samples of one rank. Owns its memory. Images and masks are in `images` and `masks`; where the loader was
/// asked for double precision, in `images64` and `masks64`; where it was asked for values as stored, in
/// `images8` and `masks8`. The others are empty.
struct HostBatch {
  std::int64_t size = 0;  ///< B; may be 0 for a rank without a share in a short last batch
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t mask_channels = 0;  ///< Cm: 0 (no masks), 1, or K
  bool masks_per_class = false;    ///< masks mean B×K×1×H×W, not B×1×H×W

  PixelBuffer<float> images;  ///< B×3×H×W
  PixelBuffer<float> masks;   ///< B×Cm×H×W in [0, 1]
  PixelBuffer<double> images64;
  PixelBuffer<double> masks64;
  PixelBuffer<std::uint8_t>
      images8;  ///< B×Ch×H×W, value/255 is meant; Ch = 1: the same for all three channels
  PixelBuffer<std::uint8_t> masks8;   ///< B×Cm×H×W, value/255
  std::int64_t stored_channels = 0;   ///< Ch of images8, else 0
  std::vector<std::int64_t> labels;   ///< B; empty unless each sample has one class
  std::vector<float> multi_labels;    ///< B×K zeros and ones; empty unless multi-label
  std::int64_t label_classes = 0;     ///< K of multi_labels, else 0
  std::vector<std::int64_t> ids;      ///< B global sample indices in the split
  std::vector<std::uint8_t> counted;  ///< B: 0 for a repeated sample that pads the batch, else 1
  std::uint64_t epoch = 0;
  std::int64_t step = 0;   ///< the global batch that these are a share of
  std::int64_t share = 0;  ///< its number
};

}  // namespace isnet
