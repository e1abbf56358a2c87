// What options depend on of a data set.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/data_set.h"

namespace isnet {

/// Options whose value "balanced" becomes numbers by the data.
inline constexpr std::array balanced_options{"class-weights", "positive-weights"};

/// Facts about a data set that decide options, or contradict them.
struct DataFacts {
  std::string source;                      ///< its path, for messages; "": no data set is known
  std::int64_t classes = 0;                ///< 0: unknown
  std::vector<std::string> class_names;    ///< may be empty
  std::int64_t samples = 0;                ///< of the split train
  bool labelled = false;                   ///< the split train has labels
  bool masked = false;                     ///< the split train has masks
  std::vector<std::int64_t> class_counts;  ///< samples of each class in the split train; empty: not counted
  std::string validation;                  ///< name of the main split in metrics; "": nothing to validate on
  std::string splits;                      ///< for messages: "it is one shard", "it has train, test"
};

/// Returns the facts of a data set whose split train is `train`. Samples of classes are counted where
/// `options` need it (--class-weights balanced, --positive-weights balanced). Errors: data (reading labels).
DataFacts facts_of(const DataSet& data, const SplitReader& train, const OptionValues& options);

}  // namespace isnet
