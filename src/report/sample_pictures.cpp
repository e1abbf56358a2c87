#include "report/sample_pictures.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "base/error.h"
#include "evaluation/colour_scale.h"
#include "report/page.h"

namespace isnet {
namespace {

// Smaller pictures are compressed without loss.
constexpr int lossless_side = 96;
constexpr int quality = 82;

// At most longest_picture_side pixels a side.
cv::Mat fitted(const cv::Mat& picture) {
  const int side = std::max(picture.rows, picture.cols);
  if (side <= longest_picture_side) return picture;
  const double factor = static_cast<double>(longest_picture_side) / side;
  cv::Mat small;
  cv::resize(picture, small, {}, factor, factor, cv::INTER_AREA);
  return small;
}

std::string url_of(const cv::Mat& picture) {
  const bool webp = cv::haveImageWriter("picture.webp");
  const bool lossless = std::max(picture.rows, picture.cols) <= lossless_side;
  std::vector<int> parameters;
  if (webp) parameters = {cv::IMWRITE_WEBP_QUALITY, lossless ? 101 : quality};
  std::vector<unsigned char> encoded;
  if (!cv::imencode(webp ? ".webp" : ".png", picture, encoded, parameters))
    fail(ErrorKind::runtime, "cannot encode a picture of ", picture.cols, "×", picture.rows, " pixels");
  return cat("data:image/", webp ? "webp" : "png", ";base64,",
             base64({reinterpret_cast<const char*>(encoded.data()), encoded.size()}));
}

float within_one(float value) {
  return std::isfinite(value) ? std::clamp(value, 0.0f, 1.0f) : 0.0f;
}

// Whether pixels lie inside of a mask; outside of the picture nothing does.
class Inside {
 public:
  Inside(std::span<const float> mask, PictureSize size) : mask_(mask), size_(size) {}

  bool operator()(int x, int y) const {
    return x >= 0 && y >= 0 && x < size_.width && y < size_.height &&
           mask_[static_cast<std::size_t>(y) * static_cast<std::size_t>(size_.width) +
                 static_cast<std::size_t>(x)] >= 0.5f;
  }

 private:
  std::span<const float> mask_;
  PictureSize size_;
};

// Runs of borders between neighbouring rows (or columns): "M x y h length".
template <typename Borders, typename Append>
void add_runs(int lines, int length, const Borders& borders, const Append& append) {
  for (int line = 0; line <= lines; ++line)
    for (int begin = 0; begin < length;) {
      int end = begin;
      while (end < length && borders(line, end)) ++end;
      if (end > begin) append(line, begin, end - begin);
      begin = std::max(end, begin + 1);
    }
}

}  // namespace

std::string image_url(std::span<const float> image, PictureSize size) {
  cv::Mat picture(size.height, size.width, CV_8UC3);
  const std::size_t pixels = image.size() / 3;
  for (std::size_t i = 0; i < pixels; ++i) {
    auto* pixel = picture.data + 3 * i;
    for (std::size_t channel = 0; channel < 3; ++channel)  // OpenCV's order is blue, green, red
      pixel[2 - channel] =
          static_cast<unsigned char>(std::lround(255 * within_one(image[channel * pixels + i])));
  }
  return url_of(fitted(picture));
}

nlohmann::ordered_json heatmap_json(std::span<const float> heatmap, PictureSize size) {
  std::vector<float> sums = sum_of_channels(heatmap, 3);
  for (float& sum : sums)
    if (!std::isfinite(sum)) sum = 0;
  cv::Mat map = fitted(cv::Mat(size.height, size.width, CV_32F, sums.data()));
  if (!map.isContinuous()) map = map.clone();
  const double scale = robust_maximum({map.ptr<float>(), map.total()});
  cv::Mat grey(map.rows, map.cols, CV_8U);
  for (std::size_t i = 0; i < map.total(); ++i)
    grey.data[i] = static_cast<unsigned char>(
        128 + std::lround(127 * std::clamp(map.ptr<float>()[i] / scale, -1.0, 1.0)));
  return {{"picture", url_of(grey)}, {"scale", scale}};
}

std::string outline_path(std::span<const float> mask, PictureSize size) {
  const Inside inside(mask, size);
  std::string path;
  add_runs(
      size.height, size.width, [&](int y, int x) { return inside(x, y - 1) != inside(x, y); },
      [&](int y, int x, int length) { path += cat("M", x, " ", y, "h", length); });
  add_runs(
      size.width, size.height, [&](int x, int y) { return inside(x - 1, y) != inside(x, y); },
      [&](int x, int y, int length) { path += cat("M", x, " ", y, "v", length); });
  return path;
}

}  // namespace isnet
