#include "trainer/accumulation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace isnet {
namespace {

EpochTableReading read(const std::string& text) {
  return read_epoch_table(
      text, [](double batches) { return batches >= 1 && batches < 1e9 && batches == std::floor(batches); });
}

std::string refusal(const std::string& text) {
  const auto bad = read(text).bad_entry;
  if (!bad) return "";
  const std::string allowed =
      "an integer ≥ 1, or EPOCH:NUMBER entries such as 0:8,4:4 with rising epochs from 0";
  return *bad == text ? allowed : cat(allowed, " ('", *bad, "' is none)");
}

}  // namespace

OptionSpec accumulation_option() {
  return {"accumulate-grad-batches", "1", "N|EPOCH:N,…",
          "batches whose gradients are added up for one step; or a table, as 0:8,4:4", refusal};
}

Accumulation::Accumulation(const std::string& text) : table_(read(text).table) {
  if (const std::string allowed = refusal(text); !allowed.empty())
    fail(ErrorKind::usage, "--accumulate-grad-batches: '", text, "' is not allowed; allowed: ", allowed);
}

std::int64_t Accumulation::common_divisor() const {
  std::int64_t divisor = 0;
  for (const auto& entry : table_.entries())
    divisor = std::gcd(divisor, static_cast<std::int64_t>(entry.second));
  return divisor;
}

std::vector<std::int64_t> Accumulation::changes() const {
  std::vector<std::int64_t> epochs;
  for (const auto& entry : table_.entries()) epochs.push_back(entry.first);
  return epochs;
}

std::int64_t Accumulation::steps_before(std::int64_t epoch, std::int64_t batches) const {
  const auto& entries = table_.entries();
  std::int64_t steps = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::int64_t end = i + 1 < entries.size() ? std::min(epoch, entries[i + 1].first) : epoch;
    const auto window = static_cast<std::int64_t>(entries[i].second);
    if (end > entries[i].first) steps += (end - entries[i].first) * ((batches + window - 1) / window);
  }
  return steps;
}

std::int64_t Accumulation::epochs_of(std::int64_t steps, std::int64_t batches) const {
  std::int64_t epoch = 0;
  for (const auto& entry : table_.entries())
    if (steps_before(entry.first, batches) < steps) epoch = entry.first;
  const std::int64_t each = steps_before(epoch + 1, batches) - steps_before(epoch, batches);
  return epoch + (steps - steps_before(epoch, batches) + each - 1) / each;
}

}  // namespace isnet
