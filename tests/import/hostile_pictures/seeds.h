// Good pictures of all kinds, from which hostile ones are made.
#pragma once

#include <filesystem>
#include <vector>

namespace isnet::testing {

/// Writes one file of each kind into `folder`; returns their paths.
std::vector<std::filesystem::path> write_seed_pictures(const std::filesystem::path& folder);

/// Writes small files of pictures that decode to gigabytes, or whose structures have no end.
std::vector<std::filesystem::path> write_bombs(const std::filesystem::path& folder);

}  // namespace isnet::testing
