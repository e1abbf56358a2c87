// TIFF files for tests, written by libtiff on the spot.
#pragma once

#include <tiffio.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace isnet::testing {

/// One page. Samples are given as whole numbers; rows are packed as TIFF wants them.
struct TiffPage {
  std::uint32_t height = 3, width = 5;
  std::uint16_t bits = 8, samples = 1;
  std::uint16_t photometric = PHOTOMETRIC_MINISBLACK;
  std::uint16_t planar = PLANARCONFIG_CONTIG;
  std::uint16_t compression = COMPRESSION_NONE;
  std::uint16_t predictor = 1;
  std::uint16_t format = SAMPLEFORMAT_UINT;
  std::uint32_t tile = 0;  ///< side length; 0: strips
  std::uint32_t rows_per_strip = 2;
  std::vector<std::uint16_t> extra = {};  ///< kinds of the last samples
  std::function<std::uint64_t(std::uint32_t y, std::uint32_t x, int sample)> value = {};
  std::function<void(TIFF*)> more = [](TIFF*) {};  ///< further tags
};

// `count` samples of a row from x on, of one plane or of all, as bytes.
inline std::vector<unsigned char> packed_row(const TiffPage& page, std::uint32_t y, std::uint32_t x,
                                             std::uint32_t width, int plane) {
  std::vector<unsigned char> bytes;
  std::uint64_t bits = 0;
  int filled = 0;
  for (std::uint32_t i = 0; i < width; ++i)
    for (int s = plane < 0 ? 0 : plane; s < (plane < 0 ? page.samples : plane + 1); ++s) {
      const bool inside = y < page.height && x + i < page.width;
      const std::uint64_t value = inside ? page.value(y, x + i, s) : 0;
      if (page.bits % 8 == 0 && page.bits >= 8) {  // in this machine's order
        const auto* raw = reinterpret_cast<const unsigned char*>(&value);
        bytes.insert(bytes.end(), raw, raw + page.bits / 8);
        continue;
      }
      bits = bits << page.bits | value;
      for (filled += page.bits; filled >= 8; filled -= 8)
        bytes.push_back(static_cast<unsigned char>(bits >> (filled - 8)));
    }
  if (filled > 0) bytes.push_back(static_cast<unsigned char>(bits << (8 - filled)));
  return bytes;
}

inline void write_page(TIFF* file, const TiffPage& page) {
  const auto set = [&](std::uint32_t tag, auto value) {
    if (!TIFFSetField(file, tag, value))
      throw std::runtime_error("libtiff refuses tag " + std::to_string(tag));
  };
  set(TIFFTAG_IMAGEWIDTH, page.width);
  set(TIFFTAG_IMAGELENGTH, page.height);
  set(TIFFTAG_BITSPERSAMPLE, page.bits);
  set(TIFFTAG_SAMPLESPERPIXEL, page.samples);
  set(TIFFTAG_PHOTOMETRIC, page.photometric);
  set(TIFFTAG_PLANARCONFIG, page.planar);
  set(TIFFTAG_COMPRESSION, page.compression);
  if (page.format != SAMPLEFORMAT_UINT) set(TIFFTAG_SAMPLEFORMAT, page.format);
  if (page.predictor != 1) set(TIFFTAG_PREDICTOR, page.predictor);
  if (!page.extra.empty())
    TIFFSetField(file, TIFFTAG_EXTRASAMPLES, static_cast<std::uint16_t>(page.extra.size()),
                 page.extra.data());
  if (page.tile > 0) {
    set(TIFFTAG_TILEWIDTH, page.tile);
    set(TIFFTAG_TILELENGTH, page.tile);
  } else {
    set(TIFFTAG_ROWSPERSTRIP, page.rows_per_strip);
  }
  page.more(file);
  const std::uint32_t rows = page.tile > 0 ? page.tile : page.rows_per_strip;
  const std::uint32_t columns = page.tile > 0 ? page.tile : page.width;
  const bool apart = page.planar == PLANARCONFIG_SEPARATE;
  for (int plane = 0; plane < (apart ? page.samples : 1); ++plane)
    for (std::uint32_t y = 0; y < page.height; y += rows)
      for (std::uint32_t x = 0; x < page.width; x += columns) {
        std::vector<unsigned char> bytes;
        for (std::uint32_t row = 0; row < (page.tile > 0 ? rows : std::min(rows, page.height - y)); ++row) {
          const auto packed = packed_row(page, y + row, x, columns, apart ? plane : -1);
          bytes.insert(bytes.end(), packed.begin(), packed.end());
        }
        const auto size = static_cast<tmsize_t>(bytes.size());
        const auto sample = static_cast<std::uint16_t>(plane);
        const auto written =
            page.tile > 0
                ? TIFFWriteEncodedTile(file, TIFFComputeTile(file, x, y, 0, sample), bytes.data(), size)
                : TIFFWriteEncodedStrip(file, TIFFComputeStrip(file, y, sample), bytes.data(), size);
        if (written != size) throw std::runtime_error("libtiff does not write");
      }
  TIFFWriteDirectory(file);
}

/// `mode` as libtiff has it: "w", "wb" (big-endian), "w8" (BigTIFF).
inline void write_tiff(const std::filesystem::path& path, const std::vector<TiffPage>& pages,
                       const char* mode = "w") {
  std::filesystem::create_directories(path.parent_path());
  TIFF* file = TIFFOpen(path.c_str(), mode);
  if (!file) throw std::runtime_error("cannot write " + path.string());
  for (const auto& page : pages) write_page(file, page);
  TIFFClose(file);
}

}  // namespace isnet::testing
