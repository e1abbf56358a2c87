#include "trainer/validation.h"

#include <algorithm>

namespace isnet {

std::string metric_of_split(const std::string& split, const std::string& metric) {
  return split + "/" + metric;
}

std::vector<std::pair<std::string, Metrics>> by_split(const Metrics& metrics, const std::string& main) {
  std::vector<std::pair<std::string, Metrics>> splits{{main, {}}};
  for (const auto& [full, value] : metrics) {
    const auto slash = full.rfind('/');
    const std::string split = slash == std::string::npos ? main : full.substr(0, slash);
    auto found =
        std::find_if(splits.begin(), splits.end(), [&](const auto& one) { return one.first == split; });
    if (found == splits.end()) found = splits.insert(splits.end(), {split, {}});
    found->second.emplace_back(slash == std::string::npos ? full : full.substr(slash + 1), value);
  }
  return splits;
}

}  // namespace isnet
