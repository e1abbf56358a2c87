#include "run/sample_choice.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <unordered_set>

#include "base/error.h"
#include "base/files.h"

namespace isnet {
namespace {

std::vector<std::string> lines_of(const std::string& file) {
  std::istringstream stream(read_file(file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> wanted_ids(const OptionValues& options) {
  const std::string& text = options.text("ids");
  if (!text.starts_with('@')) return options.list("ids");
  auto ids = lines_of(text.substr(1));
  if (ids.empty()) fail(ErrorKind::usage, "--ids: ", text.substr(1), " names no ids");
  return ids;
}

bool is_pattern(const std::string& text) {
  return text.find_first_of("*?[") != std::string::npos;
}

// An id fits by its name; where no sample has that name, by a pattern.
class IdFilter {
 public:
  IdFilter(const SplitReader& split, const std::vector<std::string>& wanted)
      : split_(split), names_(wanted.begin(), wanted.end()) {
    std::unordered_set<std::string> found;
    for (std::int64_t i = 0; i < split.size(); ++i)
      if (const std::string id = split.id(i); names_.contains(id)) found.insert(id);
    for (const auto& text : wanted) {
      if (found.contains(text)) continue;
      if (!is_pattern(text) || !has_match(text))
        fail(ErrorKind::usage, "--ids: split ", split.name(), " has no sample '", text, "'");
      patterns_.push_back(text);
    }
  }
  bool fits(std::int64_t index) const {
    const std::string id = split_.id(index);
    return names_.contains(id) || std::any_of(patterns_.begin(), patterns_.end(), [&](const auto& pattern) {
             return matches(pattern, id);
           });
  }

 private:
  static bool matches(const std::string& pattern, const std::string& id) {
    return fnmatch(pattern.c_str(), id.c_str(), 0) == 0;
  }
  bool has_match(const std::string& pattern) const {
    for (std::int64_t i = 0; i < split_.size(); ++i)
      if (matches(pattern, split_.id(i))) return true;
    return false;
  }

  const SplitReader& split_;
  std::unordered_set<std::string> names_;
  std::vector<std::string> patterns_;
};

// A class by its name, else by its number.
std::int64_t class_called(const std::string& text, const std::vector<std::string>& names) {
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return found - names.begin();
  std::int64_t number = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto count = static_cast<std::int64_t>(names.size());
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && number >= 0 && number < count)
    return number;
  std::string known;
  for (const auto& name : names) known += cat(known.empty() ? "" : ", ", name);
  fail(ErrorKind::usage, "--classes: there is no class '", text, "'; allowed: ", known, ", or numbers from 0 to ",
       count - 1);
}

class ClassFilter {
 public:
  ClassFilter(const SplitReader& split, const std::vector<std::string>& wanted,
              const std::vector<std::string>& names)
      : split_(split), row_(names.size()) {
    for (const auto& text : wanted) classes_.push_back(class_called(text, names));
  }
  bool fits(std::int64_t index) {
    if (split_.layout().labels == LabelKind::single) return is_wanted(split_.label(index));
    split_.multi_label(index, row_.data());
    return std::any_of(classes_.begin(), classes_.end(),
                       [&](std::int64_t k) { return row_[static_cast<std::size_t>(k)] > 0.5f; });
  }

 private:
  bool is_wanted(std::int64_t k) const {
    return std::find(classes_.begin(), classes_.end(), k) != classes_.end();
  }

  const SplitReader& split_;
  std::vector<std::int64_t> classes_;
  std::vector<float> row_;
};

std::vector<std::int64_t> samples_that_fit(const SplitReader& split, const std::vector<std::string>& class_names,
                                           const OptionValues& options) {
  std::optional<IdFilter> ids;
  std::optional<ClassFilter> classes;
  if (options.has("ids")) ids.emplace(split, wanted_ids(options));
  if (options.has("classes")) classes.emplace(split, options.list("classes"), class_names);
  std::vector<std::int64_t> samples;
  for (std::int64_t i = 0; i < split.size(); ++i)
    if ((!ids || ids->fits(i)) && (!classes || classes->fits(i))) samples.push_back(i);
  return samples;
}

std::vector<std::int64_t> with_outcome(const std::vector<std::int64_t>& samples, bool correct, std::int64_t limit,
                                       std::int64_t batch_size, const RightFlags& right) {
  std::vector<std::int64_t> chosen;
  const auto step = static_cast<std::size_t>(batch_size);
  for (std::size_t first = 0; first < samples.size(); first += step) {
    const std::vector<std::int64_t> batch(
        samples.begin() + static_cast<std::ptrdiff_t>(first),
        samples.begin() + static_cast<std::ptrdiff_t>(std::min(samples.size(), first + step)));
    const auto flags = right(batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if ((flags[i] != 0) == correct) chosen.push_back(batch[i]);
      if (limit > 0 && static_cast<std::int64_t>(chosen.size()) == limit) return chosen;
    }
  }
  return chosen;
}

}  // namespace

std::vector<OptionSpec> sample_choice_options() {
  return {text_option("ids", "", "ID,…|@FILE",
                      "Take only these samples. An id may be a pattern such as 'cats/*'; @FILE has one id a line"),
          text_option("classes", "", "NAME,…", "Take only samples of these classes, by name or number"),
          choice_option("outcome", "all", "Take only samples that the network classifies correctly, or wrongly",
                        {"all", "correct", "wrong"}),
          integer_option("limit", "0", "Take at most N samples, the first ones; 0: all", 0)};
}

std::vector<std::int64_t> chosen_samples(const SplitReader& split, const std::vector<std::string>& class_names,
                                         const OptionValues& options, std::int64_t batch_size,
                                         const RightFlags& right) {
  const bool by_outcome = options.text("outcome") != "all";
  for (const char* name : {"classes", "outcome"})
    if ((name == std::string("classes") ? options.has(name) : by_outcome) &&
        split.layout().labels == LabelKind::none)
      fail(ErrorKind::usage, "--", name, ": split ", split.name(), " has no labels");
  const std::int64_t limit = options.integer("limit");
  auto samples = samples_that_fit(split, class_names, options);
  if (by_outcome) samples = with_outcome(samples, options.text("outcome") == "correct", limit, batch_size, right);
  if (samples.empty() && split.size() > 0)
    fail(ErrorKind::usage, "no sample of split ", split.name(), " fits --ids, --classes and --outcome");
  if (limit > 0 && static_cast<std::int64_t>(samples.size()) > limit)
    samples.resize(static_cast<std::size_t>(limit));
  return samples;
}

}  // namespace isnet
