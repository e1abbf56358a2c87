// IDX files, the format of MNIST and its kin: http://yann.lecun.com/exdb/mnist, "File formats".
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace isnet {

/// The bytes of an IDX file with their shape: N for labels, N×H×W for images.
struct IdxArray {
  std::vector<std::uint8_t> values;
  std::vector<std::int64_t> shape;
};

/// Reads a file of unsigned bytes with `rank` dimensions, gzipped or plain.
/// Errors: data (missing, not IDX, another type or rank, cut short, too long, damaged).
IdxArray read_idx(const std::filesystem::path& path, std::int64_t rank);

}  // namespace isnet
