#include "data/data_set.h"

#include <algorithm>
#include <exception>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "data/split_names.h"

namespace isnet {
namespace {

const char* all_samples = "all";  // the split of a shard alone

// A shard that dataset.json lists. Data sets of strangers must not lead out of their folder: no links either.
std::filesystem::path shard_file(const std::filesystem::path& folder, const ShardEntry& entry) {
  const auto file = folder / entry.file;
  std::error_code code;
  if (!std::filesystem::is_regular_file(file, code))
    fail(ErrorKind::data, file.string(), ": dataset.json lists this shard, but there is no such file",
         code || !std::filesystem::exists(file, code) ? "" : " (it is something else)",
         ": copy the data set again, or pack it again");
  if (!is_inside(folder, file))
    fail(ErrorKind::data, file.string(), ": a link to ",
         std::filesystem::weakly_canonical(file, code).string(),
         ", outside the data set's folder: copy the shard into the folder");
  return file;
}

std::vector<std::string> numbered_classes(std::int64_t count) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) names.push_back(cat(i));
  return names;
}

// What stands in for dataset.json where one shard is the data set.
DataSetDescription description_of_shard(const std::filesystem::path& path,
                                        std::optional<std::int64_t> class_count, const ShardLimits& limits) {
  const ShardReader shard(path, class_count, limits);
  const auto& layout = shard.layout();
  DataSetDescription description;
  description.task = layout.labels;
  description.channels = layout.channels;
  description.height = layout.height;
  description.width = layout.width;
  description.splits[all_samples] = {{path.filename().string(), shard.size(), ""}};
  if (!class_count && layout.labels == LabelKind::multi) class_count = layout.label_classes;
  if (!class_count && layout.labels == LabelKind::single) {
    const auto largest = std::max_element(shard.labels().begin(), shard.labels().end());
    constexpr std::int64_t most_classes = 1'000'000;  // a name is made for each
    if (*largest >= most_classes)
      fail(ErrorKind::data, path.string(), ": /labels: sample ", largest - shard.labels().begin(), ": label ",
           *largest, " would need as many classes: correct the label");
    class_count = *largest + 1;
    log::info(cat(path.string(), ": assumes ", *class_count, " classes, since the largest label is ",
                  *class_count - 1, " (--num-classes sets another number)"));
  }
  description.class_names = numbered_classes(class_count.value_or(0));
  return description;
}

void check_against(const DataSetDescription& description, const SplitReader& split) {
  const auto& layout = split.layout();
  const std::string where = split.shards().front().string();
  if (layout.channels != description.channels || layout.height != description.height ||
      layout.width != description.width)
    fail(ErrorKind::data, where, ": images of ", layout.channels, "×", layout.height, "×", layout.width,
         ", but dataset.json says ", description.channels, "×", description.height, "×", description.width,
         ": pack the data again");
  if (layout.labels != LabelKind::none && layout.labels != description.task)
    fail(ErrorKind::data, where, ": ",
         layout.labels == LabelKind::single ? "one class for each sample" : "multi-label",
         ", but the task of dataset.json is another: pack the data again");
}

}  // namespace

DataSet::DataSet(const std::filesystem::path& path, std::optional<std::int64_t> class_count,
                 const ShardLimits& limits)
    : path_(path), limits_(limits) {
  std::error_code ignored;
  single_shard_ = std::filesystem::is_regular_file(path, ignored);
  description_ = single_shard_ ? description_of_shard(path, class_count, limits) : read_description(path);
  const bool other = class_count && *class_count != this->class_count();
  if (other && description_.task == LabelKind::none)  // no labels: the classes are whatever is asked for
    description_.class_names = numbered_classes(*class_count);
  else if (other)
    fail(ErrorKind::usage, path.string(), ": ",
         this->class_count() == 0 ? std::string("names no classes") : cat("has ", this->class_count(), " classes"),
         "; the model has ", *class_count, " (--num-classes, or the head of its weights)");
}

bool DataSet::has_split(const std::string& name) const {
  return single_shard_ || description_.splits.contains(stored_name(name));
}

// The name itself, else the only split that people call so too.
std::string DataSet::stored_name(const std::string& split) const {
  if (description_.splits.contains(split)) return split;
  std::vector<std::string> found;
  for (const auto& entry : description_.splits)
    if (canonical_split_name(entry.first) == canonical_split_name(split)) found.push_back(entry.first);
  return found.size() == 1 ? found.front() : split;
}

std::vector<std::string> DataSet::split_names() const {
  std::vector<std::string> names;
  for (const auto& split : description_.splits) names.push_back(split.first);
  return names;
}

const std::vector<ShardEntry>& DataSet::entries(const std::string& split) const {
  if (single_shard_) return description_.splits.at(all_samples);
  const auto found = description_.splits.find(stored_name(split));
  if (found != description_.splits.end()) return found->second;
  std::string known;
  for (const auto& name : split_names()) known += (known.empty() ? "" : ", ") + name;
  fail(ErrorKind::data, path_.string(), ": has no split '", split,
       "'; it has: ", known.empty() ? "none" : known);
}

std::vector<std::filesystem::path> DataSet::shard_files(const std::string& split) const {
  if (single_shard_) return {path_};
  const auto& listed = entries(split);
  std::vector<std::filesystem::path> files(listed.size());
  std::vector<std::exception_ptr> failures(listed.size());
  constexpr int threads = 8;  // they wait for the file system
  in_parallel(listed.size(), threads, [&](std::size_t i) {
    try {
      files[i] = shard_file(path_, listed[i]);
    } catch (...) {  // thrown again below, in the order of the shards
      failures[i] = std::current_exception();
    }
  });
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
  return files;
}

std::shared_ptr<const SplitReader> DataSet::split(const std::string& name) const {
  std::vector<std::filesystem::path> files = shard_files(name);
  std::vector<std::int64_t> counts;
  for (const auto& entry : entries(name)) counts.push_back(entry.samples);
  if (files.empty()) fail(ErrorKind::data, path_.string(), ": split '", name, "' holds no samples");
  const auto known_classes = class_count() > 0 ? std::optional(class_count()) : std::nullopt;
  auto reader = std::make_shared<const SplitReader>(single_shard_ ? name : stored_name(name), std::move(files),
                                                    std::move(counts), known_classes, limits_);
  check_against(description_, *reader);
  return reader;
}

void DataSet::verify_checksums() const {
  if (single_shard_) return;  // nothing to compare with
  std::int64_t count = 0;
  for (const auto& split : description_.splits) count += std::ssize(split.second);
  Progress progress("checksums", count, "shards");
  for (const auto& [name, shards] : description_.splits) {
    for (const auto& entry : shards) {
      progress.advance();
      const auto file = shard_file(path_, entry);
      if (const auto sum = sha256_of_file(file); sum != entry.sha256)
        fail(ErrorKind::data, file.string(), ": checksum ", sum, " instead of ", entry.sha256,
             ": the file was changed or damaged; copy the data set again, or pack it again");
    }
  }
}

}  // namespace isnet
