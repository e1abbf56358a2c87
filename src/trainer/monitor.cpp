#include "trainer/monitor.h"

#include <algorithm>

#include "base/error.h"
#include "trainer/validation.h"

namespace isnet {

std::vector<OptionSpec> monitor_options() {
  return {text_option(
              "monitor", "val_loss", "NAME",
              "Metric that decides which checkpoints are best: val_, train_ or another split of --val-splits "
              "and _, and its name in metrics.csv (val_auc)"),
          choice_option("monitor-mode", "auto",
                        "Whether a small or a large --monitor is good; auto: small for losses, else large",
                        {"auto", "min", "max"})};
}

bool larger_is_better(const OptionValues& options) {
  const std::string& mode = options.text("monitor-mode");
  if (mode != "auto") return mode == "max";
  return options.text("monitor").find("loss") == std::string::npos;
}

std::optional<double> monitored(const std::string& monitor, const Metrics& train, const Metrics& validation,
                                const std::string& main) {
  auto splits = by_split(validation, main);
  splits.emplace_back("train", train);
  for (const auto& [split, metrics] : splits)
    for (const auto& [name, value] : metrics)
      if (cat(split, "_", name) == monitor) return value;
  return std::nullopt;
}

void check_monitor(const std::string& monitor, const std::vector<std::string>& metrics, bool has_validation,
                   const std::vector<std::string>& further) {
  if (monitor == "val_loss") return;
  std::string known;
  for (const std::string prefix : {"val_", "train_"}) {
    if (prefix == "val_" && !has_validation) continue;
    for (const auto& name : metrics) {
      if (prefix + name == monitor) return;
      known += (known.empty() ? "" : ", ") + prefix + name;
    }
  }
  for (const auto& name : further) {
    if (name == monitor) return;
    known += (known.empty() ? "" : ", ") + name;
  }
  fail(ErrorKind::usage, "--monitor: '", monitor, "' is not among this run's metrics; allowed: ", known);
}

}  // namespace isnet
