// From the values in mask files to a region of interest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "import/image.h"

namespace isnet {

/// How values of mask files are read.
enum class MaskValues {
  checked,  ///< 0 and 255 (16 bit: 65535); others are refused
  stored,   ///< as they are: from a shard, where they were checked
  soft,     ///< shares of 255 (16 bit: 65535)
  binary,   ///< above the threshold: of interest
};

/// A value of class-coded masks: a number, or a colour.
struct MaskClass {
  bool is_colour = false;
  std::uint32_t value = 0;  ///< the number, or 0xRRGGBB
};

/// How mask_region() reads the values.
struct MaskReading {
  MaskValues values = MaskValues::checked;
  std::optional<std::int64_t>
      threshold;  ///< of `binary`, on the scale 0 … 255; none: 0, or the middle (lossy files)
  std::vector<MaskClass> classes;  ///< these values alone are of interest; empty: all that `values` says
  std::vector<MaskClass> ignored;  ///< void: counts as background
};

/// The mask in one channel of 0 … 255. Adds what has to be said of it to `notes`, the same words for all
/// masks. Errors: data: values that `reading` does not explain, with the options that do.
Image mask_region(const Image& mask, const MaskReading& reading, std::vector<std::string>& notes);

/// --mask-values, --mask-threshold, --mask-classes, --mask-ignore.
std::vector<OptionSpec> mask_value_options();
/// Reads them. `usual`: what "auto" means for the layout. Errors: usage.
MaskReading mask_reading(const OptionValues& options, MaskValues usual);

}  // namespace isnet
