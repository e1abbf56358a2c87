#include "run/training_data.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/error.h"
#include "data/checksums.h"
#include "data/shard_limits.h"
#include "data/staging.h"
#include "run/validation_scores.h"
#include "trainer/data_agreement.h"

namespace isnet {
namespace {

std::vector<std::string> splits_in_use(const OptionValues& options, const DataSet& data) {
  std::vector<std::string> splits{"train"};
  for (auto& name : validation_splits(options, data)) splits.push_back(std::move(name));
  return splits;
}

}  // namespace

std::string TrainingData::text() const {
  std::string text = cat(set->class_count(), " classes, ", train->size(), " training samples");
  for (const auto& [split, shards] : set->description().splits)
    for (const auto& shard : shards)
      text += cat("\n", split, " ", shard.file, " ", shard.samples, " ", shard.sha256);
  return text;
}

TrainingData open_training_data(const OptionValues& options, const Communicator& communicator) {
  std::optional<std::int64_t> classes;
  if (options.has("num-classes")) classes = options.integer("num-classes");
  const VerifyData verify = verify_data_of(options);
  TrainingData data;
  data.set = std::make_unique<DataSet>(options.text("data"), classes, shard_limits(options));
  if (options.has("stage")) {
    const auto place = stage_data(*data.set, splits_in_use(options, *data.set), options.text("stage"),
                                  {communicator.local_rank(), communicator.local_size()}, verify);
    communicator.barrier();
    data.set = std::make_unique<DataSet>(place, classes, shard_limits(options));
  }
  DataAgreement agreement(communicator, *data.set, splits_in_use(options, *data.set), verify);
  data.train = data.set->split("train");
  for (const auto& name : validation_splits(options, *data.set))
    data.validation.push_back({validation_name(name), data.set->split(name)});
  const auto is_main = [](const ValidationSplit& one) { return one.name == "val"; };
  std::stable_partition(data.validation.begin(), data.validation.end(), is_main);
  agreement.check();
  return data;
}

}  // namespace isnet
