// From IDX files to a data set: what `isnet pack idx` does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/mark.h"

namespace isnet {

enum class MaskSource { object, none };

struct IdxDataSetOptions {
  std::filesystem::path images, labels;            ///< become splits train and val
  std::filesystem::path test_images, test_labels;  ///< become the test splits; empty: none
  std::filesystem::path output;                    ///< the data set's folder
  bool overwrite = false;                          ///< replace a data set that is there
  std::vector<std::int64_t> classes;     ///< labels to take, renumbered from 0 in this order; empty: all
  std::vector<std::string> class_names;  ///< empty: the original labels
  std::int64_t limit_per_class = 0;      ///< the first so many of each class; 0: all
  std::int64_t test_limit_per_class = 0;
  std::int64_t pad_to = 0;  ///< side length of the images, padded with black; 0: as they are
  MaskSource mask = MaskSource::object;
  std::uint8_t mask_threshold = 0;  ///< pixels above are object
  std::int64_t mask_dilation = 1;   ///< pixels by which the mask is wider than the object
  double validation_share = 0.1;    ///< of each class, drawn by (seed, Purpose::split)
  std::string mark = "none";        ///< name in marks()
  MarkOptions mark_options;
  std::int64_t mark_correlation = 100;  ///< per cent of train, val and test-biased with their class's mark
  std::int64_t shard_size = 10000;      ///< samples
  std::uint64_t seed = 0;
};

/// What became of one split.
struct SplitReport {
  std::int64_t samples = 0;
  std::int64_t marked = 0;          ///< samples with a mark
  std::int64_t partly_covered = 0;  ///< of these: some of the mark's pixels lie in the mask and were left out
  std::int64_t fully_covered = 0;   ///< of these: nothing of the mark is left
};

/// Reads, checks, writes; the same options give the same bytes. Without a mark: train, val, test. With one:
/// train, val, test-biased (the class's mark), test-unbiased (none), test-confounding (another class's).
/// dataset.json is written last. Errors: usage (options that do not fit each other or the data), data (IDX
/// files), runtime (writing).
std::map<std::string, SplitReport> pack_idx(const IdxDataSetOptions& options);

}  // namespace isnet
