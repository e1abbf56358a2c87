// Names as people write them: of folders, files, columns and classes.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace isnet {

/// The text in Unicode's normal form C, so that "é" in one code point and in two are the same name. Text that
/// is not UTF-8 comes back as it is.
std::string normal_form(const std::string& text);

/// Without blanks at both ends: spaces, tabs, line breaks, no-break spaces and byte order marks.
std::string trimmed(std::string_view text);

/// trimmed() and normal_form().
std::string clean_name(const std::string& text);

/// ASCII letters in lower case.
std::string lower_case(std::string text);

/// Finds files whose names are written in other ways than on disk: with backslashes between folders, or in
/// another Unicode normal form. Remembers the folders that it has looked into; not thread-safe.
class FileFinder {
 public:
  /// The file at `path` below `root`; `root / path` where there is none.
  std::filesystem::path find(const std::filesystem::path& root, const std::string& path);

 private:
  const std::map<std::string, std::filesystem::path>& entries(const std::filesystem::path& folder);

  std::map<std::filesystem::path, std::map<std::string, std::filesystem::path>> folders_;
};

}  // namespace isnet
