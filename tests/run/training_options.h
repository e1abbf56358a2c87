// The options of a training, as `isnet train` has them, for tests of what becomes of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/option_group.h"
#include "data/checksums.h"
#include "data/shard_limits.h"
#include "distributed/distributed_data_parallel.h"
#include "distributed/process_group.h"
#include "run/model_options.h"
#include "run/run_start.h"
#include "trainer/callback.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/options.h"
#include "trainer/schedules/schedule.h"

namespace isnet::testing {

using Settings = std::vector<std::pair<std::string, std::string>>;

inline OptionValues training_options(const Settings& settings = {}) {
  std::vector<OptionGroup> groups{
      {"",
       {text_option("data", "", "DIR", ""), text_option("output", "", "DIR", ""),
        text_option("weights", "", "FILE", ""), text_option("unet-weights", "", "FILE", "")},
       {}}};
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  for (auto& options : {run_start_options(), optimizer_options(), schedule_options(), trainer_option_specs(),
                        callback_options(), distributed_options(), ddp_option_specs()})
    groups.push_back({"", options, {}});
  OptionValues values(options_of(groups));
  for (const auto& [name, value] : settings) values.set(name, value);
  return values;
}

}  // namespace isnet::testing
