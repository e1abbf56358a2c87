#include "trainer/schedules/swa_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace isnet {

std::vector<OptionSpec> swa_rate_options() {
  return {real_option("swa-lr", "",
                      "swa: learning rate of the averaged epochs (default: the schedule's)", 0, 1e6),
          integer_option("swa-anneal-epochs", "10", "swa: epochs in which the rate changes to --swa-lr", 0),
          choice_option("swa-anneal", "cos", "swa: form of this change", {"cos", "linear"})};
}

std::int64_t swa_start_epoch(const OptionValues& options) {
  const double value = options.real("swa-start");
  if (options.text("swa-start").find('.') == std::string::npos) return static_cast<std::int64_t>(value);
  const std::int64_t epochs = options.integer("max-epochs");
  if (value > 1 || epochs < 0)
    fail(ErrorKind::usage, "--swa-start: '", options.text("swa-start"),
         "' is not allowed; allowed: an epoch, or a share of --max-epochs from 0.0 to 1.0");
  return static_cast<std::int64_t>(std::floor(value * static_cast<double>(epochs)));
}

SwaRate::SwaRate(const OptionValues& options)
    : start_epoch_(0),
      rate_(options.real("swa-lr")),
      anneal_epochs_(options.integer("swa-anneal-epochs")),
      cosine_(options.text("swa-anneal") == "cos") {
  if (!options.known("average") || options.text("average") != "swa")
    fail(ErrorKind::usage, "--swa-lr: is allowed with --average swa alone");
  if (options.text("lr-schedule") == "reduce-on-plateau")
    fail(ErrorKind::usage, "--swa-lr: is not allowed with --lr-schedule reduce-on-plateau");
  start_epoch_ = swa_start_epoch(options);
}

double SwaRate::at(std::int64_t epochs, double from) const {
  const double share = anneal_epochs_ == 0
                           ? 1.0
                           : std::min(1.0, static_cast<double>(epochs) / static_cast<double>(anneal_epochs_));
  const double alpha = cosine_ ? (1 - std::cos(std::numbers::pi * share)) / 2 : share;
  return rate_ * alpha + from * (1 - alpha);
}

}  // namespace isnet
