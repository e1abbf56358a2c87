// Image files for tests, written by OpenCV on the spot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>
#include <vector>

namespace isnet::testing {

/// The value of a channel (0 red, 1 green, 2 blue) at (y, x).
using PixelFunction = std::function<int(int y, int x, int channel)>;

/// Writes an image of 1 or 3 channels and 8 or 16 bit; the ending of the name says as what.
inline void write_picture(const std::filesystem::path& path, int height, int width, int channels, int bits,
                          const PixelFunction& pixel) {
  cv::Mat image(height, width, CV_MAKETYPE(bits == 8 ? CV_8U : CV_16U, channels));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) {
        const int value = pixel(y, x, channels == 3 ? 2 - c : c);  // OpenCV writes blue, green, red
        if (bits == 8)
          image.ptr<std::uint8_t>(y)[x * channels + c] = static_cast<std::uint8_t>(value);
        else
          image.ptr<std::uint16_t>(y)[x * channels + c] = static_cast<std::uint16_t>(value);
      }
  std::filesystem::create_directories(path.parent_path());
  if (!cv::imwrite(path.string(), image)) throw std::runtime_error("cannot write " + path.string());
}

/// A picture that depends on `number`, so that no two are alike: grey gradient with a bright block.
inline void write_numbered_picture(const std::filesystem::path& path, int number, int height = 20,
                                   int width = 24, int channels = 3) {
  write_picture(path, height, width, channels, 8, [&](int y, int x, int c) {
    const bool block = y >= 6 && y < 14 && x >= 8 && x < 16;
    return block ? 200 + number % 50 : (3 * y + 2 * x + 7 * c + number / 50) % 120;
  });
}

/// 255 in the block of write_numbered_picture, else 0.
inline void write_block_mask(const std::filesystem::path& path, int height = 20, int width = 24) {
  write_picture(path, height, width, 1, 8, [&](int y, int x, int) {
    return y * 20 / height >= 6 && y * 20 / height < 14 && x * 24 / width >= 8 && x * 24 / width < 16 ? 255
                                                                                                      : 0;
  });
}

}  // namespace isnet::testing
