// The data set of a training.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/data_set.h"
#include "distributed/communicator.h"
#include "trainer/validation.h"

namespace isnet {

/// A data set that was opened for training.
struct TrainingData {
  std::unique_ptr<DataSet> set;
  std::shared_ptr<const SplitReader> train;
  std::vector<ValidationSplit> validation;  ///< the main one first; empty: nothing to validate on

  /// Returns classes, samples and shards as text: what all ranks have to have alike.
  std::string text() const;
};

/// Opens --data with the splits of --val-splits, with --num-classes, copied to --stage first, and verifies that all ranks read the same bytes
/// (--verify-data). Collective. Errors: data, runtime, usage.
TrainingData open_training_data(const OptionValues& options, const Communicator& communicator);

}  // namespace isnet
