#include "base/epoch_table.h"

#include <charconv>

namespace isnet {
namespace {

template <typename Number>
std::optional<Number> parsed(const std::string& text) {
  Number value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

double EpochTable::at(std::int64_t epoch) const {
  double value = entries_.front().second;
  for (const auto& [from, next] : entries_)
    if (from <= epoch) value = next;
  return value;
}

EpochTableReading read_epoch_table(const std::string& text, const std::function<bool(double)>& fits) {
  std::vector<std::pair<std::int64_t, double>> entries;
  std::string entry;
  for (const char c : text + ",") {
    if (c != ',') {
      entry += c;
      continue;
    }
    const auto colon = entry.find(':');
    const bool plain = colon == std::string::npos;
    const auto epoch = plain ? std::optional<std::int64_t>(0) : parsed<std::int64_t>(entry.substr(0, colon));
    const auto value = parsed<double>(plain ? entry : entry.substr(colon + 1));
    const bool in_order = epoch && (entries.empty() ? *epoch == 0 : !plain && *epoch > entries.back().first);
    if (!in_order || !value || !fits(*value)) return {EpochTable(), entry};
    entries.emplace_back(*epoch, *value);
    entry.clear();
  }
  return {EpochTable(std::move(entries)), std::nullopt};
}

}  // namespace isnet
