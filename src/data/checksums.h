// Checksums of files of which, where they are many and large, only a sample is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/options.h"

namespace isnet {

/// --verify-data: whether bytes are looked at before they are used.
enum class VerifyData { nothing, sample, full };

OptionSpec verify_data_option();
VerifyData verify_data_of(const OptionValues& options);

/// How much of each of several files is read: as much as is cheap for all of them together.
struct SampleOfFile {
  std::int64_t whole_up_to = 0;  ///< bytes; files up to this size are read as a whole
  std::int64_t blocks = 0;       ///< of larger files, evenly spaced, with the first and the last one
  bool operator==(const SampleOfFile&) const = default;
};

/// The sample for each of `files` files.
SampleOfFile sample_for(std::size_t files);

/// SHA-256 of a file's size and of the sample, as 64 hexadecimal digits. Errors: FileFailure, runtime.
std::string sampled_checksum(const std::filesystem::path& path, const SampleOfFile& sample);

}  // namespace isnet
