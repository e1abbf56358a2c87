// The metric that decides: for best checkpoints, early stopping and reduce-on-plateau.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "trainer/metrics.h"

namespace isnet {

/// --monitor and --monitor-mode.
std::vector<OptionSpec> monitor_options();

/// --monitor-mode; auto: metrics whose names contain "loss" are better when smaller, others when larger.
bool larger_is_better(const OptionValues& options);

/// The value that `monitor` ("val_loss", "train_accuracy", "ood_auc") names; nothing where there is none.
/// validation: as Trainer::validation_metrics(); `main`: the name of its main split.
std::optional<double> monitored(const std::string& monitor, const Metrics& train, const Metrics& validation,
                                const std::string& main = "val");

/// Errors: usage, unless `monitor` names one of `metrics` of a split that there is, or one of `further`.
/// val_loss is always accepted: without validation nothing is monitored, and the last epoch is the best.
void check_monitor(const std::string& monitor, const std::vector<std::string>& metrics, bool has_validation,
                   const std::vector<std::string>& further = {});

}  // namespace isnet
