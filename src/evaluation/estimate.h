// A figure with its interval, as reports show it.
#pragma once

#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace isnet {

/// Two-sided level of all intervals.
inline constexpr double interval_level = 0.95;

/// A value with the ends of its 95 % interval. NaN: undefined; `note` says why, or what has to be known of
/// it.
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  std::string method;  ///< how the interval was made: "Wilson", "DeLong", …; empty: there is none
  std::string note;

  bool defined() const { return value == value; }
  bool has_interval() const { return low == low && high == high; }

  /// {"value", "low", "high", "method"}, and "note" where there is one. What is not finite is null.
  nlohmann::ordered_json to_json() const;
  /// "0.9312 (0.9012–0.9502)"; without an interval the value alone; "–" where it is undefined.
  std::string text(int digits = 4) const;
};

/// A number, or null where it is not finite.
nlohmann::ordered_json finite_or_null(double value);

/// A number as files of figures hold it: empty for NaN, "inf" for infinity.
std::string csv_number(double value);

}  // namespace isnet
