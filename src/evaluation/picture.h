// A picture in memory: to be drawn on, and written as PNG. OpenCV stays inside picture.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "evaluation/colour_scale.h"

namespace isnet {

/// height×width pixels, rows from the top. A value: copies are independent.
class Picture {
 public:
  Picture(int width, int height, Colour background = {255, 255, 255});

  int width() const { return width_; }
  int height() const { return height_; }
  Colour at(int x, int y) const;
  void set(int x, int y, Colour colour);

  /// Parts outside the picture are cut off, here and below.
  void fill(int x, int y, int width, int height, Colour colour);
  /// Puts another picture with its upper left corner at (x, y).
  void place(const Picture& other, int x, int y);
  /// One line of text, its baseline at y, at most `max_width` pixels wide (the end is replaced by ".."). The
  /// font knows ASCII only: other characters become "?".
  void write(const std::string& text, int x, int y, int max_width, Colour colour, bool bold = false);

  /// Pixels that a line of text takes when written.
  static int text_width(const std::string& text, bool bold = false);

  /// Every pixel as a square of factor×factor pixels.
  Picture enlarged(int factor) const;

  /// Rows of red, green, blue.
  const std::vector<std::uint8_t>& pixels() const { return pixels_; }

 private:
  int width_;
  int height_;
  std::vector<std::uint8_t> pixels_;
};

/// Pixels between two lines of text that Picture::write writes.
inline constexpr int line_height = 18;

/// The bytes of a PNG file. Errors: runtime.
std::string png_bytes(const Picture& picture);
/// Writes atomically. Errors: runtime.
void write_png(const std::filesystem::path& path, const Picture& picture);
/// Errors: runtime (reading), data (no picture).
Picture read_png(const std::filesystem::path& path);

/// Pictures below each other, with a thin rule between them. Errors: internal (none given).
Picture contact_sheet(std::span<const Picture> pictures);

/// A file name made of a sample's id. Letters, digits, ".", "-" and "_" stay, all else becomes "_". The ending
/// of a picture file (".png", ".jpg", ".dcm", …) is dropped, `suffix` is added. The name has no leading dot, is
/// never empty and has at most 100 characters; of a longer one the beginning of 40 and the end stay. Two ids may
/// get the same name.
std::string safe_file_name(const std::string& id, const std::string& suffix = ".png");

}  // namespace isnet
