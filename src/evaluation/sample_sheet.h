// Many samples on one sheet: their images with the outlines of their masks.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "evaluation/picture.h"

namespace isnet {

/// A sample as it is to be shown on a sheet.
struct SheetSample {
  std::string id = {};                  ///< written below it, shortened where it is too wide; empty: none
  std::vector<std::string> lines = {};  ///< written below the id
  int height = 0;                  ///< H
  int width = 0;                   ///< W
  std::vector<float> image;        ///< 3×H×W in [0, 1]
  std::vector<float> masks;        ///< Cm×H×W; empty: none. Each gets its outline
};

/// How the cells of a sheet are laid out.
struct SheetOptions {
  int columns = 8;
  int cell_size = 128;  ///< images are enlarged, or made smaller, by a whole factor towards this many pixels
};

/// Errors: internal (no samples, sizes that do not fit each other).
Picture sample_sheet(std::span<const SheetSample> samples, const SheetOptions& options = {});

}  // namespace isnet
