// A folder for what a benchmark writes.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/error.h"

namespace isnet::bench {

/// Made in `parent` (empty: the system's temporary folder) and removed with it. Errors: runtime.
class Scratch {
 public:
  explicit Scratch(std::filesystem::path parent) {
    if (parent.empty()) parent = std::filesystem::temp_directory_path();
    std::string name = (parent / "isnet-bench-XXXXXX").string();
    if (!::mkdtemp(name.data())) fail(ErrorKind::runtime, parent.string(), ": cannot create a folder in it");
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace isnet::bench
