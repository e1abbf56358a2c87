// Settings that change at epochs, as text: one number, or "0:8,4:4".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace isnet {

/// Values from epochs on, epochs rising from 0.
class EpochTable {
 public:
  explicit EpochTable(double value = 0) : entries_{{0, value}} {}
  explicit EpochTable(std::vector<std::pair<std::int64_t, double>> entries) : entries_(std::move(entries)) {}

  double at(std::int64_t epoch) const;
  const std::vector<std::pair<std::int64_t, double>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::int64_t, double>> entries_;  // never empty
};

/// The table of a text, or where the text is wrong.
struct EpochTableReading {
  EpochTable table;
  std::optional<std::string> bad_entry;  ///< the first part of the text that is none
};

/// Reads a number, or entries EPOCH:NUMBER with rising epochs from 0, separated by commas. `fits`: whether a
/// number is allowed.
EpochTableReading read_epoch_table(const std::string& text, const std::function<bool(double)>& fits);

}  // namespace isnet
