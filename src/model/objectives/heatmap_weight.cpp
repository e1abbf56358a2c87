#include "model/objectives/heatmap_weight.h"

#include "base/error.h"

namespace isnet {
namespace {

EpochTableReading read(const std::string& text) {
  return read_epoch_table(text, [](double weight) { return weight >= 0 && weight <= 1; });
}

std::string refusal(const std::string& text) {
  const auto bad = read(text).bad_entry;
  if (!bad) return "";
  const std::string allowed =
      "a number from 0 to 1, or EPOCH:NUMBER entries as 0:0.1,5:0.5 with rising epochs from 0";
  return *bad == text ? allowed : cat(allowed, " ('", *bad, "' is none)");
}

}  // namespace

OptionSpec heatmap_weight_option() {
  return {"heatmap-weight", "0.7", "P|EPOCH:P,…",
          "P, the heatmap loss's share of the total (default for rrr, its weight, and gradient-x-input: 0.5); or "
          "a table, as 0:0.1,5:0.5,10:0.7", refusal};
}

HeatmapWeight::HeatmapWeight(const std::string& text) : table_(read(text).table) {
  if (const std::string allowed = refusal(text); !allowed.empty())
    fail(ErrorKind::usage, "--heatmap-weight: '", text, "' is not allowed; allowed: ", allowed);
}

}  // namespace isnet
