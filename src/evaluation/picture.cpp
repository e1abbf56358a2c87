#include "evaluation/picture.h"

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "base/error.h"
#include "base/files.h"

namespace isnet {
namespace {

constexpr double font_scale = 0.45;
constexpr Colour rule_colour{200, 200, 200};

/// OpenCV's threads would compete with those that compute.
void without_threads() {
  cv::setNumThreads(0);
}

std::string ascii(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) continue;  // the first byte of the character has its "?" already
    result += byte >= 0x20 && byte < 0x7F ? c : '?';
  }
  return result;
}

/// Bold is a font of its own: a thicker pen would fill the letters at this size.
int font_of(bool bold) {
  return bold ? cv::FONT_HERSHEY_DUPLEX : cv::FONT_HERSHEY_SIMPLEX;
}

std::string cut_to(std::string text, int max_width, bool bold) {
  if (Picture::text_width(text, bold) <= max_width) return text;
  while (!text.empty() && Picture::text_width(text + "..", bold) > max_width) text.pop_back();
  return text + "..";
}

}  // namespace

Picture::Picture(int width, int height, Colour background) : width_(width), height_(height) {
  pixels_.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  fill(0, 0, width, height, background);
}

Colour Picture::at(int x, int y) const {
  const auto place = (static_cast<std::size_t>(y) * width_ + x) * 3;
  return {pixels_.at(place), pixels_.at(place + 1), pixels_.at(place + 2)};
}

void Picture::set(int x, int y, Colour colour) {
  const auto place = (static_cast<std::size_t>(y) * width_ + x) * 3;
  pixels_.at(place) = colour.red;
  pixels_.at(place + 1) = colour.green;
  pixels_.at(place + 2) = colour.blue;
}

void Picture::fill(int x, int y, int width, int height, Colour colour) {
  for (int row = std::max(y, 0); row < std::min(y + height, height_); ++row)
    for (int column = std::max(x, 0); column < std::min(x + width, width_); ++column)
      set(column, row, colour);
}

void Picture::place(const Picture& other, int x, int y) {
  for (int row = std::max(-y, 0); row < std::min(other.height_, height_ - y); ++row)
    for (int column = std::max(-x, 0); column < std::min(other.width_, width_ - x); ++column)
      set(x + column, y + row, other.at(column, row));
}

void Picture::write(const std::string& text, int x, int y, int max_width, Colour colour, bool bold) {
  without_threads();
  cv::Mat view(height_, width_, CV_8UC3, pixels_.data());
  cv::putText(view, cut_to(ascii(text), max_width, bold), {x, y}, font_of(bold), font_scale,
              {double(colour.red), double(colour.green), double(colour.blue)}, 1, cv::LINE_AA);
}

int Picture::text_width(const std::string& text, bool bold) {
  int baseline = 0;
  return cv::getTextSize(ascii(text), font_of(bold), font_scale, 1, &baseline).width;
}

Picture Picture::enlarged(int factor) const {
  Picture result(width_ * factor, height_ * factor);
  for (int y = 0; y < result.height_; ++y)
    for (int x = 0; x < result.width_; ++x) result.set(x, y, at(x / factor, y / factor));
  return result;
}

std::string png_bytes(const Picture& picture) {
  without_threads();
  auto pixels = picture.pixels();
  cv::Mat rgb(picture.height(), picture.width(), CV_8UC3, pixels.data()), bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> encoded;
  if (!cv::imencode(".png", bgr, encoded))
    fail(ErrorKind::runtime, "cannot encode a picture of ", picture.width(), "×", picture.height(),
         " pixels as PNG");
  return {encoded.begin(), encoded.end()};
}

void write_png(const std::filesystem::path& path, const Picture& picture) {
  write_file_atomically(path, png_bytes(picture));
}

Picture read_png(const std::filesystem::path& path) {
  without_threads();
  const std::string content = read_file(path);
  const std::vector<unsigned char> bytes(content.begin(), content.end());
  const cv::Mat bgr = bytes.empty() ? cv::Mat() : cv::imdecode(bytes, cv::IMREAD_COLOR);
  if (bgr.empty()) fail(ErrorKind::data, path.string(), ": this is no picture");
  Picture picture(bgr.cols, bgr.rows);
  for (int y = 0; y < bgr.rows; ++y)
    for (int x = 0; x < bgr.cols; ++x) {
      const auto& pixel = bgr.at<cv::Vec3b>(y, x);
      picture.set(x, y, {pixel[2], pixel[1], pixel[0]});
    }
  return picture;
}

Picture contact_sheet(std::span<const Picture> pictures) {
  if (pictures.empty()) fail(ErrorKind::internal, "a contact sheet of no pictures");
  int width = 0, height = static_cast<int>(pictures.size()) - 1;
  for (const auto& picture : pictures) {
    width = std::max(width, picture.width());
    height += picture.height();
  }
  Picture sheet(width, height);
  int y = 0;
  for (const auto& picture : pictures) {
    sheet.place(picture, 0, y);
    y += picture.height();
    sheet.fill(0, y++, width, 1, rule_colour);
  }
  return sheet;
}

namespace {

// Without the ending of a picture file: "a.png" → "a".
std::string without_picture_ending(const std::string& name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return name;
  std::string ending = name.substr(dot + 1);
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const char* known : {"png", "jpg", "jpeg", "jpe", "jp2", "j2k", "bmp", "webp", "tif", "tiff", "pbm", "pgm",
                            "ppm", "pnm", "pam", "dcm", "dicom"})
    if (ending == known) return name.substr(0, dot);
  return name;
}

}  // namespace

std::string safe_file_name(const std::string& id, const std::string& suffix) {
  constexpr std::size_t longest = 100, beginning = 40;
  std::string name;
  for (const char c : without_picture_ending(id)) {
    const bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += letter_or_digit || c == '-' || c == '_' || c == '.' ? c : '_';
  }
  if (name.empty() || name.front() == '.') name.insert(0, 1, '_');
  const std::size_t room = longest - std::min(longest, suffix.size());
  if (name.size() > room && room > beginning)
    name = name.substr(0, beginning) + name.substr(name.size() - (room - beginning));
  return name.substr(0, room) + suffix;
}

}  // namespace isnet
