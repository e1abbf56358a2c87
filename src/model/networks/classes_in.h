// How many classes the classifying layer of a file's network has.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/network.h"

namespace isnet {

/// A reader for Capabilities<NetworkFactory>::classes_in: the rows of the first of these layers that is
/// there, whose weight `<name>.weight` is rows × features; and `more`, for classes without a row.
std::function<std::optional<std::int64_t>(const std::map<std::string, at::Tensor>&)> classes_by_rows(
    std::vector<std::string> layers, std::int64_t more = 0);

/// The same of the last linear layer of a head of several, `<prefix><first>`, `<prefix><first + 3>`, …
std::function<std::optional<std::int64_t>(const std::map<std::string, at::Tensor>&)> classes_by_last_rows(
    std::string prefix, std::int64_t first);

}  // namespace isnet
