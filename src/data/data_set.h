// A data set: a folder with dataset.json and shards, or one shard alone (docs/formats.md, "Data sets").
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/shard.h"

namespace isnet {

/// `format` and `version` of a dataset.json; others are refused.
inline constexpr const char* data_set_format = "isnet-dataset";
inline constexpr std::int64_t data_set_version = 1;

/// "single-label", "multi-label" or "none", as dataset.json has it.
const char* task_name(LabelKind task);

/// A shard as dataset.json lists it.
struct ShardEntry {
  std::string file;  ///< relative to the data set's folder: "train/shard-00000.h5"
  std::int64_t samples = 0;
  std::string sha256;
};

/// The content of dataset.json.
struct DataSetDescription {
  LabelKind task = LabelKind::single;  ///< "single-label", "multi-label", or "none"
  std::vector<std::string> class_names;
  std::int64_t channels = 1;  ///< as stored
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::map<std::string, std::vector<ShardEntry>> splits;
};

/// Writes FOLDER/dataset.json atomically. Errors: runtime.
void write_description(const std::filesystem::path& folder, const DataSetDescription& description);
/// Reads and checks it. Errors: data (missing, no JSON, wrong format or version, field missing or senseless).
DataSetDescription read_description(const std::filesystem::path& folder);

/// How to treat a read that fails for a reason that may pass (FileFailure): a file that vanished, shrank
/// or was replaced, a device or network that says no.
struct ReadRetry {
  double seconds = 0;               ///< to try again, after pauses of 0.05 s to 5 s; 0: not at all
  std::function<bool()> cancelled;  ///< may end the pauses; null: never
};

/// The samples of one split, numbered from 0 across its shards. Any thread may read; at most
/// `max_open_files` shards are open at once (and one more for each thread). A shard that is opened again has
/// to be the file that it was at first, by inode, size and time. Errors: data, as ShardReader's; also shards
/// of a split that differ, and counts unlike dataset.json's; what a FileFailure says, with sample and remedy,
/// once a ReadRetry's time is over.
class SplitReader {
 public:
  SplitReader(std::string name, std::vector<std::filesystem::path> shards, std::vector<std::int64_t> counts,
              std::optional<std::int64_t> class_count, const ShardLimits& limits = {});
  ~SplitReader();
  SplitReader(const SplitReader&) = delete;
  SplitReader& operator=(const SplitReader&) = delete;

  const std::string& name() const { return name_; }
  std::int64_t size() const { return size_; }
  const SampleLayout& layout() const { return layout_; }
  const std::vector<std::filesystem::path>& shards() const { return shards_; }
  bool soft_masks() const;  ///< some shard says that its masks are shares of 255

  /// The class of a sample; layout().labels must be single.
  std::int64_t label(std::int64_t index) const;
  /// The K zeros and ones of a sample; layout().labels must be multi.
  void multi_label(std::int64_t index, float* out) const;
  /// Its id as stored, else "split:index".
  std::string id(std::int64_t index) const;
  /// Whether any shard stores weights.
  bool has_weights() const { return !weights_.empty(); }
  /// Its weight as stored, else 1.
  double weight(std::int64_t index) const;
  /// Its group as stored, if any.
  std::optional<std::int64_t> group(std::int64_t index) const;

  /// The file that holds it.
  const std::filesystem::path& shard_of(std::int64_t index) const { return shards_[place_of(index).shard]; }

  /// Image as 3×H×W and mask as Cm×H×W (see ShardReader); `mask` may be null.
  template <typename Real>
  void read(std::int64_t index, Real* image, Real* mask, const ReadRetry& retry = {}) const;
  /// The same as stored, Ch×H×W and Cm×H×W bytes; the layout has to be uint8.
  void read_stored(std::int64_t index, std::uint8_t* image, std::uint8_t* mask,
                   const ReadRetry& retry = {}) const;

  static constexpr std::size_t max_open_files = 64;

 private:
  struct Cache;
  struct Place {
    std::size_t shard;
    std::int64_t index;
  };
  Place place_of(std::int64_t index) const;
  std::shared_ptr<const ShardReader> shard(std::size_t number) const;
  void forget(std::size_t number) const;
  void read_with_retries(std::int64_t index, const ReadRetry& retry,
                         const std::function<void(const ShardReader&, std::int64_t)>& read) const;
  void wait_before_retry(const FileFailure& failure, std::int64_t index, const ReadRetry& retry,
                         double& waited) const;
  void take_over(const ShardReader& shard, std::size_t number);

  std::string name_;
  std::vector<std::filesystem::path> shards_;
  std::optional<std::int64_t> class_count_;
  std::vector<std::shared_ptr<const ShardPlan>> plans_;  // of each shard
  std::vector<std::int64_t> first_;  // global index of each shard's first sample, then the size
  std::int64_t size_ = 0;
  SampleLayout layout_;
  std::vector<std::int32_t> labels_;
  std::vector<std::uint8_t> multi_labels_;
  std::vector<std::string> ids_;  // empty, or one for each sample, "" where a shard has none
  std::vector<std::optional<std::int64_t>> groups_;  // empty, or one for each sample
  std::vector<double> weights_;                      // empty, or one for each sample
  std::unique_ptr<Cache> cache_;
};

/// A data set that is open. Cheap: shards are opened by split().
class DataSet {
 public:
  /// `path`: a folder, or a shard file. `class_count`: from --num-classes or the weights' head; it must agree
  /// with dataset.json unless its task is none, and decides where a shard alone is given (else the largest
  /// label + 1, which is logged).
  /// Errors: data; usage if class_count contradicts dataset.json.
  explicit DataSet(const std::filesystem::path& path, std::optional<std::int64_t> class_count = {},
                   const ShardLimits& limits = {});

  const std::filesystem::path& path() const { return path_; }
  const ShardLimits& limits() const { return limits_; }
  /// One shard without dataset.json: its split is called "all", and every name means it.
  bool is_single_shard() const { return single_shard_; }
  /// dataset.json, or what stands in for it.
  const DataSetDescription& description() const { return description_; }
  std::int64_t class_count() const { return static_cast<std::int64_t>(description_.class_names.size()); }
  /// Other usual names of a split find it too (canonical_split_name(): "val" finds "valid"), where no split
  /// has the name itself.
  bool has_split(const std::string& name) const;
  std::vector<std::string> split_names() const;

  /// Opens every shard of the split once and checks it. Errors: data (no such split: names the known ones).
  std::shared_ptr<const SplitReader> split(const std::string& name) const;

  /// The split's shard files, which are inside the data set's folder. Errors: data, as split().
  std::vector<std::filesystem::path> shard_files(const std::string& split) const;

  /// Their entries in dataset.json, in the same order. Errors: data, as split().
  const std::vector<ShardEntry>& shard_entries(const std::string& split) const { return entries(split); }

  /// Compares every shard file with its checksum. Errors: data, for the first that differs.
  void verify_checksums() const;

 private:
  std::string stored_name(const std::string& split) const;
  const std::vector<ShardEntry>& entries(const std::string& split) const;

  std::filesystem::path path_;
  ShardLimits limits_;
  bool single_shard_ = false;
  DataSetDescription description_;
};

}  // namespace isnet
