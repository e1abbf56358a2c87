#include "import/transform.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "base/error.h"
#include "data/object_mask.h"

namespace isnet {
namespace {

cv::Mat matrix_of(const Image& image) {
  cv::Mat view(static_cast<int>(image.height), static_cast<int>(image.width),
               CV_MAKETYPE(CV_16U, static_cast<int>(image.channels)),
               const_cast<std::uint16_t*>(image.values.data()));
  cv::Mat result;
  view.convertTo(result, image.white == 255 ? CV_8U : CV_16U);
  return result;
}

int depth_maximum(const cv::Mat& matrix) {
  return matrix.depth() == CV_8U ? 255 : 65535;
}

// cv::equalizeHist for 8 and 16 bit alike.
template <typename Value>
void equalise_plane(cv::Mat& plane) {
  const auto white = static_cast<std::size_t>(depth_maximum(plane));
  std::vector<std::int64_t> counts(white + 1, 0);
  for (int y = 0; y < plane.rows; ++y)
    for (int x = 0; x < plane.cols; ++x) ++counts[plane.at<Value>(y, x)];
  const auto first = static_cast<std::size_t>(
      std::find_if(counts.begin(), counts.end(), [](auto n) { return n > 0; }) - counts.begin());
  const std::int64_t above = static_cast<std::int64_t>(plane.total()) - counts[first];
  if (above == 0) return;  // one value only
  std::vector<Value> table(white + 1, 0);
  std::int64_t sum = 0;
  for (std::size_t i = first + 1; i <= white; ++i) {
    sum += counts[i];
    table[i] = static_cast<Value>(
        std::lrint(static_cast<float>(sum) * (static_cast<float>(white) / static_cast<float>(above))));
  }
  for (int y = 0; y < plane.rows; ++y)
    for (int x = 0; x < plane.cols; ++x) plane.at<Value>(y, x) = table[plane.at<Value>(y, x)];
}

void equalise_grey(cv::Mat& plane, const TransformOptions& options) {
  if (options.equalisation == Equalisation::clahe) {
    const int tiles = static_cast<int>(options.clahe_tiles);
    cv::createCLAHE(options.clahe_clip, {tiles, tiles})->apply(plane, plane);
  } else if (plane.depth() == CV_8U) {
    equalise_plane<std::uint8_t>(plane);
  } else {
    equalise_plane<std::uint16_t>(plane);
  }
}

// Of a colour picture the brightness alone.
void equalise(cv::Mat& picture, const TransformOptions& options) {
  if (options.equalisation == Equalisation::none) return;
  if (picture.channels() == 1) {
    equalise_grey(picture, options);
    return;
  }
  cv::Mat parts;
  cv::cvtColor(picture, parts, cv::COLOR_RGB2YCrCb);
  std::vector<cv::Mat> planes;
  cv::split(parts, planes);
  equalise_grey(planes[0], options);
  cv::merge(planes, parts);
  cv::cvtColor(parts, picture, cv::COLOR_YCrCb2RGB);
}

// Where the picture comes to lie: scaled to `scaled`, then moved by `offset` into a frame of `framed`.
struct Placement {
  cv::Size scaled;
  cv::Size framed;
  cv::Point offset;  // of the scaled picture in the frame; negative: cut off
};

Placement placement(const Image& image, const TransformOptions& options) {
  const auto height = static_cast<int>(image.height), width = static_cast<int>(image.width);
  Placement place{{width, height}, {width, height}, {0, 0}};
  if (options.pad_to > 0) {
    const auto side = static_cast<int>(options.pad_to);
    if (height > side || width > side)
      fail(ErrorKind::usage, "--pad-to: ", side, " is less than the images' ", height, "×", width,
           "; --size scales them");
    place.framed = {side, side};
  } else if (options.height > 0) {
    place.framed = {static_cast<int>(options.width), static_cast<int>(options.height)};
    place.scaled = place.framed;
    const double down = static_cast<double>(options.height) / height,
                 across = static_cast<double>(options.width) / width;
    if (options.fit != Fit::stretch) {
      const double scale = options.fit == Fit::crop ? std::max(down, across) : std::min(down, across);
      const auto side = [&](int of, int asked, double own) {
        return own == scale ? asked : std::max(1, static_cast<int>(std::lround(of * scale)));
      };
      place.scaled = {side(width, place.framed.width, across), side(height, place.framed.height, down)};
    }
  }
  // An odd pixel more goes to the lower right.
  const auto half = [](int room) { return room >= 0 ? room / 2 : -(-room / 2); };
  place.offset = {half(place.framed.width - place.scaled.width),
                  half(place.framed.height - place.scaled.height)};
  return place;
}

cv::Mat placed(const cv::Mat& picture, const Placement& place, int interpolation) {
  cv::Mat scaled = picture;
  if (picture.size() != place.scaled) cv::resize(picture, scaled, place.scaled, 0, 0, interpolation);
  if (place.scaled == place.framed) return scaled;
  cv::Mat frame = cv::Mat::zeros(place.framed, picture.type());
  const cv::Rect all({0, 0}, place.framed), there(place.offset, place.scaled);
  const cv::Rect common = all & there;
  scaled(common - place.offset).copyTo(frame(common));
  return frame;
}

int image_interpolation(const cv::Mat& picture, const Placement& place) {
  const bool shrinks = static_cast<double>(place.scaled.area()) < static_cast<double>(picture.total());
  return shrinks ? cv::INTER_AREA : cv::INTER_LINEAR;
}

// Ch×H×W on the scale asked for.
std::vector<std::uint16_t> planar(const cv::Mat& picture, std::int64_t white) {
  std::vector<cv::Mat> planes;
  cv::split(picture, planes);
  std::vector<std::uint16_t> values;
  values.reserve(picture.total() * planes.size());
  const bool wider = picture.depth() == CV_8U && white == 65535,
             narrower = picture.depth() == CV_16U && white == 255;
  for (auto& plane : planes) {
    plane.convertTo(plane, CV_16U);
    for (int y = 0; y < plane.rows; ++y)
      for (int x = 0; x < plane.cols; ++x) {
        const std::uint32_t value = plane.at<std::uint16_t>(y, x);
        values.push_back(static_cast<std::uint16_t>(wider      ? value * 257
                                                    : narrower ? (value + 128) / 257
                                                               : value));
      }
  }
  return values;
}

void check_proportions(const Image& mask, const Image& image) {
  const double width =
      static_cast<double>(image.width) * static_cast<double>(mask.height) / static_cast<double>(image.height);
  if (std::abs(width - static_cast<double>(mask.width)) > 1)
    fail(ErrorKind::data, "a mask of ", mask.height, "×", mask.width, " for an image of ", image.height, "×",
         image.width, ": the proportions differ");
}

void add_mask(const Image& mask, const Image& image, const Placement& place, const TransformOptions& options,
              Pixels& result) {
  check_proportions(mask, image);
  const Image region = mask_region(mask, options.mask_reading, result.notes);
  const auto values = planar(placed(matrix_of(region), place, cv::INTER_NEAREST_EXACT), region.white);
  auto& masks = result.masks;
  if (!options.join_masks || masks.empty()) {
    masks.insert(masks.end(), values.begin(), values.end());
    return;
  }
  for (std::size_t i = 0; i < masks.size(); ++i)
    masks[i] = std::max(masks[i], static_cast<std::uint8_t>(values[i]));
}

std::vector<std::uint8_t> mask_of_object(const Pixels& pixels, const TransformOptions& options) {
  const auto count = static_cast<std::size_t>(pixels.height * pixels.width);
  std::vector<std::uint16_t> grey(pixels.image.begin(),
                                  pixels.image.begin() + static_cast<std::ptrdiff_t>(count));
  if (options.channels == 3)
    for (std::size_t i = 0; i < count; ++i)
      grey[i] = static_cast<std::uint16_t>((299u * pixels.image[i] + 587u * pixels.image[count + i] +
                                            114u * pixels.image[2 * count + i] + 500u) /
                                           1000u);
  const auto threshold = static_cast<std::uint16_t>(options.mask_threshold * (options.white / 255));
  return object_mask(grey, pixels.height, pixels.width, threshold, options.mask_dilation,
                     options.dark_objects);
}

}  // namespace

Pixels transformed(const Image& image, const std::vector<Image>& masks, const TransformOptions& options) {
  cv::Mat picture = matrix_of(image);
  if (options.channels == 1 && picture.channels() == 3) cv::cvtColor(picture, picture, cv::COLOR_RGB2GRAY);
  equalise(picture, options);
  const Placement place = placement(image, options);
  picture = placed(picture, place, image_interpolation(picture, place));
  Pixels result{picture.rows, picture.cols, planar(picture, options.white), {}, {}};
  if (options.channels == 3 && picture.channels() == 1) {
    const auto grey = result.image;
    for (int copy = 0; copy < 2; ++copy) result.image.insert(result.image.end(), grey.begin(), grey.end());
  }
  if (options.mask_source == MaskSource::object) result.masks = mask_of_object(result, options);
  if (options.mask_source == MaskSource::own || options.mask_source == MaskSource::any)
    for (const auto& mask : masks) add_mask(mask, image, place, options, result);
  return result;
}

std::vector<OptionSpec> image_options() {
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<OptionSpec> specs{
      integers_option("size", "",
                      "Height and width of the stored images; one number sets both (default: unchanged)", 1),
      choice_option("fit", "stretch",
                    "How to scale images to --size: scale and cut (crop), "
                    "scale and add black borders (pad), or change the proportions (stretch)",
                    {"crop", "pad", "stretch"}),
      integer_option("pad-to", "0", "Add black borders up to N×N pixels, without scaling; 0: none", 0, 65535),
      choice_option("colour", "auto",
                    "Channels of the stored images (auto: grey for idx and dicom, else rgb)",
                    {"auto", "grey", "rgb"}),
      choice_option("depth", "8", "Bits of a stored value", {"8", "16"}),
      choice_option("equalise", "none",
                    "Equalise the histogram of grey values, of the whole image or locally (clahe)",
                    {"none", "histogram", "clahe"}),
      real_option("clahe-clip", "2", "CLAHE: limit of the contrast", 0, inf, true),
      integer_option("clahe-tiles", "8", "CLAHE: number of tiles in each direction", 1, 256),
      choice_option(
          "mask", "auto",
          "Region of interest: mask files, the object's pixels, "
          "or no masks (auto: mask files where there are any; the object for idx)",
          {"auto", "files", "object", "none"}),
      choice_option("mask-object", "bright",
                    "Whether the object's pixels are above the threshold (bright) or not (dark)",
                    {"bright", "dark"}),
      integer_option("mask-dilation", "1", "Widen the object's mask by N pixels", 0, 1000)};
  for (auto& more : mask_value_options()) specs.push_back(std::move(more));
  return specs;
}

TransformOptions transform_options(const OptionValues& values, std::int64_t channels, MaskSource mask,
                                   MaskValues mask_values) {
  TransformOptions options;
  const std::string &colour = values.text("colour"), &source = values.text("mask");
  options.channels = colour == "auto" ? channels : colour == "grey" ? 1 : 3;
  options.white = values.integer("depth") == 16 ? 65535 : 255;
  if (values.has("size")) {
    const auto size = values.integers("size");
    if (size.size() > 2 || size.front() > 65535 || size.back() > 65535)
      fail(ErrorKind::usage, "--size: '", values.text("size"),
           "' is not allowed; allowed: N, or H,W, each up to 65535");
    options.height = size.front();
    options.width = size.back();
  }
  const std::string& fit = values.text("fit");
  options.fit = fit == "crop" ? Fit::crop : fit == "pad" ? Fit::pad : Fit::stretch;
  options.pad_to = values.integer("pad-to");
  if (options.pad_to > 0 && options.height > 0)
    fail(ErrorKind::usage, "--pad-to and --size exclude each other; --fit pad scales and pads");
  const std::string& equalise = values.text("equalise");
  options.equalisation = equalise == "histogram" ? Equalisation::histogram
                         : equalise == "clahe"   ? Equalisation::clahe
                                                 : Equalisation::none;
  options.clahe_clip = values.real("clahe-clip");
  options.clahe_tiles = values.integer("clahe-tiles");
  options.mask_source = source == "auto"     ? mask
                        : source == "files"  ? MaskSource::own
                        : source == "object" ? MaskSource::object
                                             : MaskSource::none;
  options.mask_reading = mask_reading(values, mask_values);
  options.mask_threshold = values.integer("mask-threshold");
  options.dark_objects = values.text("mask-object") == "dark";
  options.mask_dilation = values.integer("mask-dilation");
  return options;
}

}  // namespace isnet
