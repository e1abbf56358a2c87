// Trainings of a small network in this process, with checkpoints: for tests that put faults into its file
// calls.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "support/data.h"
#include "support/model.h"
#include "support/temporary_folder.h"
#include "trainer/callbacks/model_checkpoint.h"
#include "trainer/trainer.h"

namespace isnet::testing {

/// A data set of 8 samples, and trainings on it: 2 epochs of 2 steps.
class SmallFit {
 public:
  SmallFit() {
    log::configure({log::Level::error, ""});
    write_small_data_set(folder_ / "data", {{"train", 8}, {"val", 4}}, 2, 20, small_layout(16, 16));
    data_ = std::make_unique<DataSet>(folder_ / "data");
  }

  using Settings = std::vector<std::pair<std::string, std::string>>;

  /// One training into a new folder; messages go to its log.txt. Returns its best checkpoint.
  std::filesystem::path run(const std::string& name, const Settings& settings = {},
                            const CheckpointWriterOptions& writing = {}, const Checkpoint* resume = nullptr) {
    const RunFolder folder(folder_ / name);
    folder.open();
    log::to_file(folder.log());
    const OptionValues options = options_of(settings);
    const TrainingJob job = job_of(options);
    const auto checkpoints = std::make_shared<ModelCheckpoint>(folder, nlohmann::json::object(), writing);
    std::vector<std::shared_ptr<Callback>> callbacks = more_callbacks;
    callbacks.push_back(checkpoints);
    try {
      Trainer(trainer_options(options), Communicator(), callbacks).fit(job, resume);
    } catch (...) {
      log::close_file();
      throw;
    }
    log::close_file();
    return checkpoints->best();
  }

  std::vector<std::shared_ptr<Callback>> more_callbacks;
  RunFolder folder(const std::string& name) const { return RunFolder(folder_ / name); }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  static OptionValues options_of(const Settings& settings) {
    std::vector<OptionSpec> specs = trainer_option_specs();
    specs.push_back(real_option("dropout", "0", "", 0, 1));
    for (const auto& more :
         {networks().options(), objectives().options(), optimizer_options(), schedule_options()})
      specs.insert(specs.end(), more.begin(), more.end());
    OptionValues options(specs);
    options.set("growth-rate", "2");
    options.set("blocks", "1");
    options.set("init-features", "2");
    options.set("max-epochs", "2");
    options.set("batch-size", "4");
    options.set("lr", "0.01");
    options.set("momentum", "0.9");
    for (const auto& [option, value] : settings) options.set(option, value);
    return options;
  }

  TrainingJob job_of(const OptionValues& options) const {
    at::manual_seed(1);
    const auto network = networks().at("densenet").make(options, data_->class_count());
    NamedParameters parameters;
    for (const auto& entry : network->named_parameters()) parameters.emplace_back(entry.key(), entry.value());
    return {network,
            objectives().at("classifier").make(options),
            make_optimizer(parameters, options),
            std::make_shared<LearningRate>(options),
            data_->split("train"),
            data_->split("val")};
  }

  TemporaryFolder folder_;
  std::unique_ptr<DataSet> data_;
};

}  // namespace isnet::testing
