#include "base/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/ini.h"

namespace isnet {
namespace {

template <typename Number>
std::optional<Number> parsed(const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::string part;
  for (const char c : text) {
    if (c == ',') {
      parts.push_back(part);
      part.clear();
    } else {
      part += c;
    }
  }
  if (!text.empty()) parts.push_back(part);
  return parts;
}

// " (did you mean isnet?)" where a value is near one of the choices "gain|isnet|rrr".
std::string near_choice(const std::string& value, const std::string& allowed) {
  if (allowed.find('|') == std::string::npos || allowed.find(' ') != std::string::npos) return "";
  std::vector<std::string> choices;
  for (std::size_t at = 0; at <= allowed.size();) {
    const std::size_t end = std::min(allowed.find('|', at), allowed.size());
    choices.push_back(allowed.substr(at, end - at));
    at = end + 1;
  }
  const std::string near = nearest_name(value, choices);
  return near.empty() ? "" : cat(" (did you mean ", near, "?)");
}

// Edits that turn one name into the other: characters that are added, left out, replaced, or change places with
// the next one (optimal string alignment).
std::size_t edits_between(const std::string& one, const std::string& other) {
  std::vector<std::size_t> before, last(other.size() + 1), row(other.size() + 1);
  for (std::size_t j = 0; j < last.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= one.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j < row.size(); ++j) {
      row[j] = std::min({last[j - 1] + (one[i - 1] != other[j - 1]), last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last.back();
}

std::string range_text(const char* what, const std::string& min, const std::string& max, bool exclusive_min) {
  if (max.empty()) return cat(what, exclusive_min ? " above " : " ≥ ", min);
  return cat(what, exclusive_min ? " above " : " from ", min, exclusive_min ? " and up to " : " to ", max);
}

}  // namespace

OptionSpec of_this_machine(OptionSpec spec) {
  spec.portable = false;
  return spec;
}

OptionSpec fixed_at_resume(OptionSpec spec) {
  spec.fixed_at_resume = true;
  return spec;
}

bool is_path_option(const OptionSpec& spec) {
  return spec.value_name.starts_with("FILE") || spec.value_name.starts_with("DIR");
}

bool is_portable(const OptionSpec& spec) {
  return spec.portable && !is_path_option(spec);
}

OptionSpec text_option(std::string name, std::string default_value, std::string value_name,
                       std::string help) {
  return {std::move(name), std::move(default_value), std::move(value_name), std::move(help), nullptr};
}

OptionSpec flag_option(std::string name, std::string help) {
  OptionSpec spec = switch_option(std::move(name), false, std::move(help));
  spec.value_name.clear();
  return spec;
}

OptionSpec switch_option(std::string name, bool default_value, std::string help) {
  return choice_option(std::move(name), default_value ? "1" : "0", std::move(help), {"0", "1"});
}

OptionSpec integer_option(std::string name, std::string default_value, std::string help, std::int64_t min,
                          std::int64_t max) {
  const bool bounded = max != std::numeric_limits<std::int64_t>::max();
  const std::string allowed = range_text("an integer", cat(min), bounded ? cat(max) : "", false);
  return {std::move(name), std::move(default_value), "N", std::move(help), [=](const std::string& text) {
            const auto value = parsed<std::int64_t>(text);
            return value && *value >= min && *value <= max ? std::string() : allowed;
          }};
}

OptionSpec real_option(std::string name, std::string default_value, std::string help, double min, double max,
                       bool exclusive_min) {
  const std::string allowed =
      range_text("a number", cat(min), std::isinf(max) ? "" : cat(max), exclusive_min);
  return {std::move(name), std::move(default_value), "X", std::move(help), [=](const std::string& text) {
            const auto value = parsed<double>(text);
            const bool inside = value && std::isfinite(*value) && *value <= max &&
                                (exclusive_min ? *value > min : *value >= min);
            return inside ? std::string() : allowed;
          }};
}

OptionSpec choice_option(std::string name, std::string default_value, std::string help,
                         std::vector<std::string> choices) {
  std::string joined;
  for (const auto& choice : choices) joined += (joined.empty() ? "" : "|") + choice;
  return {std::move(name), std::move(default_value), joined, std::move(help), [=](const std::string& text) {
            return std::find(choices.begin(), choices.end(), text) != choices.end() ? std::string() : joined;
          }};
}

OptionSpec positive_reals_option(std::string name, std::string default_value, std::string help) {
  const bool optional = default_value.empty();
  return {std::move(name), std::move(default_value), "X,X", std::move(help),
          [optional](const std::string& text) -> std::string {
            const std::string allowed = "numbers above 0, separated by commas";
            if (text.empty()) return optional ? "" : allowed;
            for (const auto& part : split(text)) {
              const auto value = parsed<double>(part);
              if (!value || !std::isfinite(*value) || *value <= 0) return allowed;
            }
            return "";
          }};
}

OptionSpec integers_option(std::string name, std::string default_value, std::string help, std::int64_t min) {
  const std::string allowed = cat("integers ≥ ", min, ", separated by commas");
  return {std::move(name), std::move(default_value), "N,N", std::move(help), [=](const std::string& text) {
            for (const auto& part : split(text)) {
              const auto value = parsed<std::int64_t>(part);
              if (!value || *value < min) return allowed;
            }
            return text.empty() ? allowed : std::string();
          }};
}

OptionValues::OptionValues(std::vector<OptionSpec> specs) : specs_(std::move(specs)) {}

const OptionSpec& OptionValues::spec(const std::string& name) const {
  for (const auto& spec : specs_)
    if (spec.name == name) return spec;
  fail(ErrorKind::internal, "option --", name, " is read, but not declared");
}

void OptionValues::set(const std::string& name, const std::string& text) {
  if (!known(name)) {
    std::vector<std::string> names;
    for (const auto& one : specs_) names.push_back(one.name);
    const std::string near = nearest_name(name, names);
    fail(ErrorKind::usage, "unknown option --", name,
         near.empty() ? std::string(" (see --help)") : cat(" (did you mean --", near, "?)"));
  }
  const auto& one = spec(name);
  const std::string value = one.value_name.empty() && text.empty() ? "1" : text;
  if (one.refusal)
    if (const std::string allowed = one.refusal(value); !allowed.empty())
      fail(ErrorKind::usage, "--", name, ": '", value, "' is not allowed", near_choice(value, allowed),
           "; allowed: ", allowed);
  values_[name] = value;
}

OptionValues OptionValues::completed(const std::map<std::string, std::string>& defaults) const {
  OptionValues options = *this;
  for (const auto& [name, value] : defaults)
    if (known(name) && !given(name)) options.set(name, value);
  return options;
}

bool OptionValues::known(const std::string& name) const {
  return std::any_of(specs_.begin(), specs_.end(), [&](const auto& one) { return one.name == name; });
}

bool OptionValues::given(const std::string& name) const {
  return values_.count(name) > 0;
}

const std::string& OptionValues::text(const std::string& name) const {
  const auto found = values_.find(name);
  return found != values_.end() ? found->second : spec(name).default_value;
}

bool OptionValues::flag(const std::string& name) const {
  return text(name) == "1";
}

std::int64_t OptionValues::integer(const std::string& name) const {
  const auto value = parsed<std::int64_t>(text(name));
  if (!value) fail(ErrorKind::usage, "--", name, ": '", text(name), "' is not an integer");
  return *value;
}

double OptionValues::real(const std::string& name) const {
  const auto value = parsed<double>(text(name));
  if (!value) fail(ErrorKind::usage, "--", name, ": '", text(name), "' is not a number");
  return *value;
}

std::vector<std::string> OptionValues::list(const std::string& name) const {
  return split(text(name));
}

std::vector<std::int64_t> OptionValues::integers(const std::string& name) const {
  std::vector<std::int64_t> values;
  for (const auto& part : list(name)) {
    const auto value = parsed<std::int64_t>(part);
    if (!value) fail(ErrorKind::usage, "--", name, ": '", part, "' is not an integer");
    values.push_back(*value);
  }
  return values;
}

std::vector<double> OptionValues::reals(const std::string& name) const {
  std::vector<double> values;
  for (const auto& part : list(name)) {
    const auto value = parsed<double>(part);
    if (!value) fail(ErrorKind::usage, "--", name, ": '", part, "' is not a number");
    values.push_back(*value);
  }
  return values;
}

std::string OptionValues::ini() const {
  std::string lines;
  for (const auto& one : specs_)
    if (has(one.name)) lines += ini_line(one.name, text(one.name));
  return lines;
}

std::string OptionValues::portable_ini() const {
  std::string lines;
  for (const auto& one : specs_)
    if (is_portable(one) && has(one.name)) lines += ini_line(one.name, text(one.name));
  return lines;
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  // Of a short name even two edits leave nothing.
  std::size_t best_edits = name.size() < 4 ? 2 : std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const auto& candidate : known)
    if (const auto edits = edits_between(name, candidate); edits < best_edits && edits < candidate.size()) {
      best_edits = edits;
      best = candidate;
    }
  return best;
}

}  // namespace isnet
