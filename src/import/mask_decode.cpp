#include "import/mask_decode.h"

#include <algorithm>
#include <cstdint>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/files.h"
#include "import/decode.h"
#include "import/png_values.h"

namespace isnet {
namespace {

// One channel, where all three are the same.
void drop_equal_channels(Image& image) {
  if (image.channels != 3) return;
  const auto& values = image.values;
  for (std::size_t i = 0; i < values.size(); i += 3)
    if (values[i] != values[i + 1] || values[i] != values[i + 2]) return;
  for (std::size_t i = 0; i < values.size(); i += 3) image.values[i / 3] = values[i];
  image.values.resize(static_cast<std::size_t>(image.pixels()));
  image.channels = 1;
}

// Leaves the colours times their opacity; the opacity itself where no colour but black can be seen.
Image without_opacity(const PngValues& png) {
  const auto colours = static_cast<std::size_t>(png.channels - 1), all = colours + 1;
  Image image{png.height, png.width, static_cast<std::int64_t>(colours), png.white, {}};
  const auto pixels = static_cast<std::size_t>(image.pixels());
  bool black = true, opaque = true;
  for (std::size_t p = 0; p < pixels; ++p) {
    const auto* pixel = &png.values[p * all];
    opaque &= pixel[colours] == png.white;
    black &=
        pixel[colours] == 0 || std::all_of(pixel, pixel + colours, [](auto value) { return value == 0; });
  }
  if (black && !opaque) {
    image.channels = 1;
    for (std::size_t p = 0; p < pixels; ++p) image.values.push_back(png.values[p * all + colours]);
    return image;
  }
  const auto white = static_cast<std::uint64_t>(png.white);
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t c = 0; c < colours; ++c)
      image.values.push_back(static_cast<std::uint16_t>(
          (std::uint64_t{png.values[p * all + c]} * png.values[p * all + colours] + white / 2) / white));
  return image;
}

bool is_one_colour(const Image& image) {
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t i = channels; i < image.values.size(); ++i)
    if (image.values[i] != image.values[i - channels]) return false;
  return true;
}

// The opacity of a WebP file or the first page of a TIFF file, where it has one that differs between pixels.
std::optional<Image> opacity_of(std::string& bytes) {
  cv::Mat opacity;
  try {
    const cv::Mat view(1, static_cast<int>(bytes.size()), CV_8UC1, bytes.data());
    const cv::Mat pixels = cv::imdecode(view, cv::IMREAD_UNCHANGED);
    if (pixels.channels() != 4 || (pixels.depth() != CV_8U && pixels.depth() != CV_16U)) return std::nullopt;
    cv::extractChannel(pixels, opacity, 3);
  } catch (const cv::Exception&) {
    return std::nullopt;  // the colours could be read: they are the mask
  }
  Image image{opacity.rows, opacity.cols, 1, opacity.depth() == CV_8U ? 255 : 65535, {}};
  opacity.convertTo(opacity, CV_16U);
  image.values.assign(opacity.begin<std::uint16_t>(), opacity.end<std::uint16_t>());
  if (is_one_colour(image)) return std::nullopt;
  return image;
}

Image values_of(const std::filesystem::path& path, const PictureOptions& options) {
  std::error_code code;
  if (!std::filesystem::is_regular_file(path, code))
    fail(ErrorKind::data, path.string(),
         std::filesystem::exists(path, code) ? ": is not a file" : ": there is no such file");
  std::string bytes = read_file(path);
  if (has_palette_or_opacity(bytes) && options.page <= 1) {
    PngValues png = read_png(bytes, path.string(), options.limits);
    if (png.palette.empty()) {
      Image image = without_opacity(png);
      drop_equal_channels(image);
      return image;
    }
    Image image{png.height, png.width, 1, 255, std::move(png.values)};
    image.palette = std::move(png.palette);
    return image;
  }
  if (is_dicom(path))
    fail(ErrorKind::data, path.string(),
         ": is a DICOM file; masks are read from PNG, TIFF, BMP, PNM, WebP and JPEG");
  Image image = decode_image(path, options);
  drop_equal_channels(image);
  if (options.page <= 1 && is_one_colour(image))
    if (auto opacity = opacity_of(bytes)) return *std::move(opacity);
  return image;
}

}  // namespace

Image decode_mask(const std::filesystem::path& path, const PictureOptions& options) {
  Image mask = values_of(path, options);
  mask.source = path.string();
  return mask;
}

}  // namespace isnet
