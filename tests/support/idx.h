// Small IDX files for tests.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"

namespace isnet::testing {

/// Magic for unsigned bytes, extents, values.
inline std::string idx_bytes(const std::vector<std::uint32_t>& shape, const std::string& values) {
  std::string bytes{0, 0, 8, static_cast<char>(shape.size())};
  for (const auto extent : shape)
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(extent >> shift & 255);
  return bytes + values;
}

inline std::string gzipped(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
               Z_DEFAULT_STRATEGY);  // 16: with gzip's header
  std::string packed(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// Writes FOLDER/NAME-images.gz and NAME-labels.gz: `per_class` images of 8×8 for each of `classes` labels,
/// by turns; each shows a bright block in the middle whose pixels depend on the image's number.
inline void write_idx_pair(const std::filesystem::path& folder, const std::string& name,
                           std::uint32_t classes, std::uint32_t per_class) {
  std::string images, labels;
  for (std::uint32_t i = 0; i < classes * per_class; ++i) {
    for (std::uint32_t p = 0; p < 64; ++p) {
      const bool inside = p / 8 >= 3 && p / 8 < 5 && p % 8 >= 3 && p % 8 < 5;
      images += static_cast<char>(inside ? 50 + (i + p) % 200 : 0);
    }
    labels += static_cast<char>(i % classes);
  }
  write_file_atomically(folder / (name + "-images.gz"),
                        gzipped(idx_bytes({classes * per_class, 8, 8}, images)));
  write_file_atomically(folder / (name + "-labels.gz"), gzipped(idx_bytes({classes * per_class}, labels)));
}

}  // namespace isnet::testing
