#include "trainer/monitor.h"

#include <algorithm>

#include "base/error.h"

namespace isnet {

std::vector<OptionSpec> monitor_options() {
  return {text_option(
              "monitor", "val_loss", "NAME",
              "Metric that decides which checkpoints are best: val_ or train_ and its name in metrics.csv"),
          choice_option("monitor-mode", "auto",
                        "Whether --monitor should be small or large; auto: small for losses, else large",
                        {"auto", "min", "max"})};
}

bool larger_is_better(const OptionValues& options) {
  const std::string& mode = options.text("monitor-mode");
  if (mode != "auto") return mode == "max";
  return options.text("monitor").find("loss") == std::string::npos;
}

std::optional<double> monitored(const std::string& monitor, const Metrics& train, const Metrics& validation) {
  for (const auto& [prefix, metrics] : {std::pair{std::string("val_"), &validation}, {"train_", &train}})
    for (const auto& [name, value] : *metrics)
      if (prefix + name == monitor) return value;
  return std::nullopt;
}

void check_monitor(const std::string& monitor, const std::vector<std::string>& metrics, bool has_validation) {
  if (monitor == "val_loss") return;
  std::string known;
  for (const std::string prefix : {"val_", "train_"}) {
    if (prefix == "val_" && !has_validation) continue;
    for (const auto& name : metrics) {
      if (prefix + name == monitor) return;
      known += (known.empty() ? "" : ", ") + prefix + name;
    }
  }
  fail(ErrorKind::usage, "--monitor: '", monitor, "' is not among this run's metrics; allowed: ", known);
}

}  // namespace isnet
