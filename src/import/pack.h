// From an importer to a data set: what `isnet pack` does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/mark.h"
#include "import/importer.h"
#include "import/split_plan.h"

namespace isnet {

/// The place of this process among those that pack one data set together, on a file system that all see.
struct PackPlace {
  int rank = 0;
  int ranks = 1;
  std::function<void()> barrier = [] {};  ///< waits for the other ranks
};

/// The settings of pack().
struct PackOptions {
  std::filesystem::path output;  ///< the data set's folder
  bool overwrite = false;        ///< replace a data set, or an unfinished other one, that is there
  TransformOptions transform;
  std::vector<SplitShare> shares{{"train", 0.9}, {"val", 0.1}};
  std::string mark = "none";  ///< name in marks()
  MarkOptions mark_options;
  std::int64_t mark_correlation = 100;  ///< per cent of train, val and …-biased with their class's mark
  std::int64_t shard_size = 10000;      ///< samples
  std::uint64_t seed = 0;
  int workers = 1;        ///< threads that decode
  bool skip_bad = false;  ///< leave bad pictures out, and list them; else the first one is the end
  std::string
      decides_content;  ///< text of all options that decide what is written: what a restart must agree in
  PackPlace place;
  std::function<void(std::int64_t done, std::int64_t all)> progress = [](auto, auto) {};
};

/// The result for one split.
struct SplitReport {
  std::int64_t samples = 0;
  std::int64_t marked = 0;          ///< samples with a mark
  std::int64_t partly_covered = 0;  ///< of these: some of the mark's pixels lie in the mask and were left out
  std::int64_t fully_covered = 0;   ///< of these: nothing of the mark is left
};

/// A picture that was left out.
struct BadPicture {
  std::string source;
  std::string error;
};

/// Samples whose decoded pixels are the same.
struct Duplicates {
  std::vector<std::string> ids;
  bool across_splits = false;  ///< not all in one split (the three tests of a mark count as one)
  bool labels_differ = false;
};

/// Something that was assumed of pictures while they were read.
struct PictureNote {
  std::string text;
  std::int64_t pictures = 0;
  std::string first;  ///< the first of them: its source
};

/// The result for a data set.
struct PackReport {
  std::map<std::string, SplitReport> splits;
  std::vector<BadPicture> left_out;    ///< in the order of the listing
  std::vector<Duplicates> duplicates;  ///< likewise
  std::vector<PictureNote> notes;      ///< each text once
  std::int64_t shards_kept = 0;        ///< finished by an earlier call, checked and kept
};

/// Lists, draws splits, decodes, transforms and writes. The same importer and options give the same bytes for
/// any number of workers and ranks, and however often it was killed and called again: finished shards are
/// kept (their checksums and the sizes and times of their sources are compared). dataset.json is written
/// last; pack.json beside it lists what was left out and duplicates.
///
/// With a mark, samples of train and val carry it, and each other split S becomes S-biased (the class's
/// mark), S-unbiased (none) and S-confounding (another class's).
///
/// All ranks call it and get the report of all. Errors: usage (options that do not fit each other or the
/// data, a data set that is there), data (pictures, manifests), runtime (writing).
PackReport pack(Importer& importer, const PackOptions& options);

/// --splits, --validation-share, --mark…, --shard-size, --seed, --workers, --on-error, …: those of `pack`
/// that concern all layouts but pictures (image_options()).
std::vector<OptionSpec> split_options();
std::vector<OptionSpec> mark_options();
std::vector<OptionSpec> output_options();
/// Reads these and image_options(). Errors: usage.
PackOptions pack_options(const OptionValues& values, const Importer& importer);

}  // namespace isnet
