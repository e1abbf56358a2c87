// JSON from files: the one place where it is parsed. Depth, size and number of values are limited before a
// value is made, so that a small file cannot take much memory, and a deep one cannot end the program.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace isnet {

/// Limits of a text.
struct JsonLimits {
  std::size_t bytes = 100'000'000;
  std::size_t values = 1'000'000;
  std::size_t depth = 64;
};

/// The origin of a text, for messages: "FILE", "FILE: the header", and the kind of error that a bad one
/// is.
struct JsonSource {
  std::string where;
  ErrorKind kind = ErrorKind::data;
  std::string remedy;  ///< appended to messages that the text is no valid JSON: ": pack the data again"
};

/// Parses a text that one JSON value fills; names of an object may not repeat. Instances: nlohmann::json and
/// nlohmann::ordered_json. Errors: source.kind (where, byte or name, what is wrong).
template <typename Json = nlohmann::json>
Json parse_json(std::string_view text, const JsonSource& source, const JsonLimits& limits = {});
extern template nlohmann::json parse_json(std::string_view, const JsonSource&, const JsonLimits&);
extern template nlohmann::ordered_json parse_json(std::string_view, const JsonSource&, const JsonLimits&);

/// An object whose fields are read by type; what is missing, of another type or out of range is an error of
/// the source's kind that names the field by its place ("state.loop.epoch").
template <typename Json>
class JsonFields {
 public:
  /// `place`: of the object in the text; "" for the text itself. The object has to outlive this one.
  JsonFields(JsonSource source, const Json& object, std::string place = "")
      : source_(std::move(source)), object_(object), place_(std::move(place)) {
    if (!object_.is_object())
      fail(source_.kind, source_.where, place_.empty() ? ": is" : cat(": field '", place_, "' is"),
           place_.empty() ? " not a JSON object" : " not an object");
  }

  bool has(const std::string& name) const { return object_.contains(name); }
  const Json& at(const std::string& name) const {
    const auto found = object_.find(name);
    if (found == object_.end()) refuse(name, " is missing");
    return *found;
  }
  std::string text(const std::string& name) const {
    if (!at(name).is_string()) refuse(name, " is not text");
    return at(name).template get<std::string>();
  }
  const Json& array(const std::string& name) const {
    if (!at(name).is_array()) refuse(name, " is not a list");
    return at(name);
  }
  JsonFields object(const std::string& name) const { return {source_, at(name), place_of(name)}; }
  bool boolean(const std::string& name) const {
    if (!at(name).is_boolean()) refuse(name, " is neither true nor false");
    return at(name).template get<bool>();
  }
  std::int64_t integer(const std::string& name, std::int64_t min,
                       std::int64_t max = std::numeric_limits<std::int64_t>::max()) const {
    return integer_of(at(name), name, min, max);
  }
  /// A finite number (JSON has no others).
  double number(const std::string& name, double min = std::numeric_limits<double>::lowest(),
                double max = std::numeric_limits<double>::max()) const {
    const Json& value = at(name);
    if (!value.is_number()) refuse(name, " is not a number");
    const double result = value.template get<double>();
    if (!(result >= min && result <= max))
      refuse(name, cat(" is ", value.dump(), "; allowed: a number from ", min, " to ", max));
    return result;
  }
  std::vector<std::string> texts(const std::string& name) const {
    std::vector<std::string> result;
    for (const auto& one : array(name)) {
      if (!one.is_string()) refuse(name, " holds something that is not text");
      result.push_back(one.template get<std::string>());
    }
    return result;
  }
  std::vector<std::int64_t> integers(const std::string& name, std::int64_t min,
                                     std::int64_t max = std::numeric_limits<std::int64_t>::max()) const {
    std::vector<std::int64_t> result;
    for (const auto& one : array(name)) result.push_back(integer_of(one, name, min, max));
    return result;
  }

  /// Throws an error that names this field; `what`: " is missing".
  template <typename... What>
  [[noreturn]] void refuse(const std::string& name, const What&... what) const {
    fail(source_.kind, source_.where, ": field '", place_of(name), "'", what...);
  }

 private:
  std::int64_t integer_of(const Json& value, const std::string& name, std::int64_t min,
                          std::int64_t max) const {
    const bool fits =
        value.is_number_integer() &&
        (!value.is_number_unsigned() ||
         value.template get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<std::int64_t>::max()});
    const auto number = fits ? value.template get<std::int64_t>() : min;
    if (!fits || number < min || number > max)
      refuse(
          name, fits ? cat(" is ", number) : cat(" is not an integer (", told(value), ")"),
          "; allowed: an integer ",
          max == std::numeric_limits<std::int64_t>::max() ? cat("≥ ", min) : cat("from ", min, " to ", max));
    return number;
  }
  static std::string told(const Json& value) { return value.is_number() ? value.dump() : value.type_name(); }
  std::string place_of(const std::string& name) const { return place_.empty() ? name : place_ + "." + name; }

  JsonSource source_;
  const Json& object_;
  std::string place_;
};

}  // namespace isnet
