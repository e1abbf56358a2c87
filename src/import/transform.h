// From a decoded picture to the pixels of a shard: colour, contrast, size, depth; and masks of the same
// shape.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "import/image.h"
#include "import/mask_values.h"

namespace isnet {

/// How a picture of another shape gets the size asked for.
enum class Fit {
  crop,     ///< scaled until it covers the size, the middle is kept
  pad,      ///< scaled until it lies inside, black around it
  stretch,  ///< height and width scaled apart
};

/// How contrast is evened out: not, over the whole picture, or tile by tile with a limit (CLAHE).
enum class Equalisation { none, histogram, clahe };

/// The source of masks: those of the layout, if it brings any (`any`) or in any case (`own`); the object
/// in the picture; or nowhere.
enum class MaskSource { any, own, object, none };

/// How transformed() makes pixels of a shard; lengths in pixels.
struct TransformOptions {
  std::int64_t channels = 1;  ///< 1: grey; 3: colour (a grey picture three times)
  std::int64_t white = 255;   ///< of the result: 255 (8 bit) or 65535 (16 bit)
  std::int64_t height = 0;    ///< 0 (and width 0): as it is
  std::int64_t width = 0;
  Fit fit = Fit::stretch;
  std::int64_t pad_to = 0;  ///< side length to which pictures are padded without scaling; 0: not
  Equalisation equalisation = Equalisation::none;
  double clahe_clip = 2;
  std::int64_t clahe_tiles = 8;
  MaskSource mask_source = MaskSource::any;
  MaskReading mask_reading{};  ///< of mask files
  bool join_masks = false;     ///< of several mask files make one mask, of all that is of interest in any
  std::int64_t mask_threshold = 0;  ///< object masks: on the scale 0 … 255
  std::int64_t mask_dilation = 0;   ///< pixels; object masks only
  bool dark_objects = false;        ///< object masks: pixels at or below the threshold
};

/// Pixels as a shard stores them.
struct Pixels {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint16_t> image;  ///< Ch×H×W, 0 … white
  std::vector<std::uint8_t> masks;   ///< Cm×H×W
  std::vector<std::string> notes;    ///< what is to be said of the masks once, the same words for all samples
};

/// Grey or colour → equalised → scaled (by area where it shrinks, else bilinear) → padded or cut → depth.
/// Masks take the same way with the nearest pixel's value, so that no value comes up that was not there.
/// `masks`: none, one for each mask channel, or the parts of one, of the image's proportions. Thread-safe,
/// and the same bits wherever it runs. Errors: data (a mask of other proportions, values that mask_reading
/// does not explain), usage (a picture larger than pad_to).
Pixels transformed(const Image& image, const std::vector<Image>& masks, const TransformOptions& options);

/// The options of --size, --fit, --pad-to, --colour, --depth, --equalise, --mask, …
std::vector<OptionSpec> image_options();
/// Reads them. `channels`, `mask` and `values`: what "auto" means for the layout. Errors: usage.
TransformOptions transform_options(const OptionValues& options, std::int64_t channels, MaskSource mask,
                                   MaskValues values = MaskValues::checked);

}  // namespace isnet
