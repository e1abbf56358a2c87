#include "evaluation/estimate.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "evaluation/table.h"

namespace isnet {

nlohmann::ordered_json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

std::string csv_number(double value) {
  if (std::isnan(value)) return "";
  return std::isinf(value) ? (value > 0 ? "inf" : "-inf") : nlohmann::json(value).dump();
}

nlohmann::ordered_json Estimate::to_json() const {
  nlohmann::ordered_json json;
  json["value"] = finite_or_null(value);
  json["low"] = finite_or_null(low);
  json["high"] = finite_or_null(high);
  json["method"] = method.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(method);
  if (!note.empty()) json["note"] = note;
  return json;
}

std::string Estimate::text(int digits) const {
  if (!has_interval()) return fixed(value, digits);
  return cat(fixed(value, digits), " (", fixed(low, digits), "–", fixed(high, digits), ")");
}

}  // namespace isnet
