#include "model/objectives/heatmap_weight.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace isnet {
namespace {

const double any = std::numeric_limits<double>::infinity();

EpochTableReading read(const std::string& text, double largest) {
  return read_epoch_table(
      text, [&](double weight) { return std::isfinite(weight) && weight >= 0 && weight <= largest; });
}

std::string refusal(const std::string& text, double largest) {
  const auto bad = read(text, largest).bad_entry;
  if (!bad) return "";
  const std::string allowed =
      "a number from 0 to 1 (with --objective rrr any number ≥ 0), or EPOCH:NUMBER entries such as 0:0.1,5:0.5 "
      "with rising epochs from 0";
  return *bad == text ? allowed : cat(allowed, " ('", *bad, "' is none)");
}

}  // namespace

OptionSpec heatmap_weight_option() {
  return {
      "heatmap-weight", "0.7", "P|EPOCH:P,…",
      "P, the heatmap loss's share of the total, from 0 to 1 (default for gradient-x-input: 0.5); for rrr "
      "its weight, any number ≥ 0 (default 0.5); or a table, as 0:0.1,5:0.5,10:0.7",
      [](const std::string& text) { return refusal(text, any); }};
}

HeatmapWeight::HeatmapWeight(const std::string& text, double largest) : table_(read(text, largest).table) {
  if (const std::string allowed = refusal(text, largest); !allowed.empty())
    fail(ErrorKind::usage, "--heatmap-weight: '", text, "' is not allowed; allowed: ", allowed);
}

}  // namespace isnet
