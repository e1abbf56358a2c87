// Pictures of samples as a page holds them: compressed, as data URLs.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

namespace isnet {

/// H×W pixels of one sample.
struct PictureSize {
  int height = 0, width = 0;
};

/// The longest side of pictures on a page: larger ones are averaged down.
inline constexpr int longest_picture_side = 320;

/// image: 3×H×W in [0, 1]. "data:image/webp;base64,…" (PNG where OpenCV was built without WebP). Errors:
/// runtime.
std::string image_url(std::span<const float> image, PictureSize size);

/// A heatmap in grey, which the page colours: {"picture": URL, "scale": the relevance that is shown as 255}.
/// 128 is no relevance, 1 is −scale; sums over channels, scaled by robust_maximum(). heatmap: 3×H×W. Errors:
/// runtime.
nlohmann::ordered_json heatmap_json(std::span<const float> heatmap, PictureSize size);

/// The border of a mask (≥ 0.5), H×W, as the path of an SVG of W×H units: "M3 4h5v6…". Corners of pixels,
/// each border once.
std::string outline_path(std::span<const float> mask, PictureSize size);

}  // namespace isnet
