// What the fuzz targets share. A target reads bytes as a file of its kind: an Error of the right kind is an
// answer, anything else (another exception, a crash, a hang) is a find.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace isnet::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A folder in memory for readers that want a path; one for each process, emptied by the next input.
class Folder {
 public:
  Folder() : path_("/dev/shm/isnet-fuzz-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    const auto path = path_ / name;
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path;
  }

 private:
  std::filesystem::path path_;
};

/// Calls `read`, which may fail with errors of these kinds.
template <typename Read>
int answered(std::initializer_list<ErrorKind> kinds, Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    for (const auto kind : kinds)
      if (error.kind() == kind) return 0;
    throw;
  }
  return 0;
}

}  // namespace isnet::fuzz
