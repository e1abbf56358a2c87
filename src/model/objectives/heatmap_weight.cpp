#include "model/objectives/heatmap_weight.h"

#include <charconv>
#include <optional>

#include "base/error.h"

namespace isnet {
namespace {

template <typename Number>
std::optional<Number> parsed(const std::string& text) {
  Number value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

using Entries = std::vector<std::pair<std::int64_t, double>>;

// The entries, or what is wrong.
std::pair<Entries, std::string> read(const std::string& text) {
  const std::string allowed =
      "a number from 0 to 1, or EPOCH:NUMBER entries as 0:0.1,5:0.5 with rising epochs from 0";
  Entries entries;
  std::string entry;
  for (const char c : text + ",") {
    if (c != ',') {
      entry += c;
      continue;
    }
    const auto colon = entry.find(':');
    const bool plain = colon == std::string::npos;
    const auto epoch = plain ? std::optional<std::int64_t>(0) : parsed<std::int64_t>(entry.substr(0, colon));
    const auto weight = parsed<double>(plain ? entry : entry.substr(colon + 1));
    const bool in_order = epoch && (entries.empty() ? *epoch == 0 : !plain && *epoch > entries.back().first);
    if (!in_order || !weight || !(*weight >= 0 && *weight <= 1))
      return {{}, entry == text ? allowed : allowed + " ('" + entry + "' is none)"};
    entries.emplace_back(*epoch, *weight);
    entry.clear();
  }
  return {entries, ""};
}

}  // namespace

OptionSpec heatmap_weight_option() {
  return {"heatmap-weight", "0.7", "P|EPOCH:P,…",
          "isnet: P, the heatmap loss's share of the total; or a table, as 0:0.1,5:0.5,10:0.7",
          [](const std::string& text) { return read(text).second; }};
}

HeatmapWeight::HeatmapWeight(const std::string& text) {
  auto [entries, refusal] = read(text);
  if (!refusal.empty())
    fail(ErrorKind::usage, "--heatmap-weight: '", text, "' is not allowed; allowed: ", refusal);
  entries_ = std::move(entries);
}

double HeatmapWeight::at(std::int64_t epoch) const {
  double weight = entries_.front().second;
  for (const auto& [from, value] : entries_)
    if (from <= epoch) weight = value;
  return weight;
}

}  // namespace isnet
