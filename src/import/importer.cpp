#include "import/importer.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "import/names.h"

namespace isnet {
namespace {

std::optional<std::int64_t> whole_number(const std::string& text) {
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> ordered(const std::vector<std::string>& present) {
  const std::set<std::string> different(present.begin(), present.end());
  std::vector<std::string> names(different.begin(), different.end());
  if (std::all_of(names.begin(), names.end(),
                  [](const auto& name) { return whole_number(name).has_value(); }))
    std::stable_sort(names.begin(), names.end(),
                     [](const auto& a, const auto& b) { return *whole_number(a) < *whole_number(b); });
  return names;
}

std::vector<std::string> cleaned(std::vector<std::string> names) {
  for (auto& name : names) name = clean_name(name);
  return names;
}

std::string joined(const std::vector<std::string>& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ",") + value;
  return text;
}

bool has_double(const std::vector<std::string>& values) {
  return std::set<std::string>(values.begin(), values.end()).size() != values.size();
}

}  // namespace

Registry<ImporterFactory>& importers() {
  static Registry<ImporterFactory> registry("format");
  return registry;
}

OptionSpec images_option() {
  return text_option("images", "", "PATH",
                     "folders, dicom: folder of images; idx: file of images, plain or gzipped");
}
OptionSpec masks_option() {
  return text_option("masks", "", "DIR",
                     "Folder of masks, under the paths of the images (endings may differ)");
}
OptionSpec root_option() {
  return text_option(
      "root", "", "DIR",
      "csv: folder to which the paths are relative (default: the manifest's); "
      "celebamask-hq: folder of the data set");
}
OptionSpec classes_option() {
  return text_option("classes", "", "NAME,NAME",
                     "Classes to take, renumbered from 0 in this order (default: all)");
}
OptionSpec class_names_option() {
  return text_option("class-names", "", "NAME,NAME",
                     "Names of these classes in the data set (default: the original names)");
}

const std::string& required(const OptionValues& options, const std::string& name) {
  if (!options.has(name)) fail(ErrorKind::usage, "--", name, ": is required");
  return options.text(name);
}

std::uint64_t number_of(const std::string& id) {
  return std::stoull(sha256(id).substr(0, 16), nullptr, 16);
}

ClassList::ClassList(const std::vector<std::string>& present, const std::vector<std::string>& chosen,
                     const std::vector<std::string>& names, const std::string& where) {
  const auto all = ordered(cleaned(present));
  const auto classes = chosen.empty() ? all : cleaned(chosen);
  if (has_double(classes)) fail(ErrorKind::usage, "--classes: ", joined(classes), " names a class twice");
  for (const auto& name : classes) {
    if (std::find(all.begin(), all.end(), name) == all.end())
      fail(ErrorKind::usage, "--classes: ", where, " holds no sample of class ", name, "; it holds ",
           joined(all));
    labels_.emplace(name, static_cast<std::int64_t>(labels_.size()));
  }
  originals_ = classes;
  names_ = names.empty() ? classes : cleaned(names);
  if (names_.size() != classes.size())
    fail(ErrorKind::usage, "--class-names: ", names_.size(), " names for ", classes.size(), " classes (",
         joined(classes), ")");
  if (has_double(names_)) fail(ErrorKind::usage, "--class-names: a name appears twice");
}

std::optional<std::int64_t> ClassList::label(const std::string& name) const {
  const auto found = labels_.find(clean_name(name));
  return found == labels_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(folder)) fail(ErrorKind::data, folder.string(), ": there is no such folder");
  std::vector<fs::path> files;
  try {
    const auto walk =
        fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink);
    for (auto entry = fs::begin(walk); entry != fs::end(walk); ++entry) {
      if (entry->path().filename().string().front() == '.') {
        if (entry->is_directory()) entry.disable_recursion_pending();
      } else if (entry->is_regular_file()) {
        files.push_back(entry->path().lexically_relative(folder));
      }
    }
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::data, error.path1().string(), ": cannot list the folder: ", error.code().message());
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.generic_string() < b.generic_string(); });
  return files;
}

}  // namespace isnet
