// The real program, called with names in a test's folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/ranks.h"

namespace isnet::testing {

/// Both lists of words.
inline std::vector<std::string> joined(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Runs isnet with these words, on one thread. Those that begin with ./ are names in `folder`.
inline ProgramResult run_in_folder(const std::filesystem::path& folder, std::vector<std::string> words) {
  for (auto& word : words)
    if (word.rfind("./", 0) == 0) word = (folder / word.substr(2)).string();
  words.insert(words.begin(), ISNET_BINARY);
  ProgramOptions options;
  options.environment["OMP_NUM_THREADS"] = "1";
  return run_program(words, options);
}

}  // namespace isnet::testing
