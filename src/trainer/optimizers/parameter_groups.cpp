#include "trainer/optimizers/parameter_groups.h"

#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

#include "base/error.h"

namespace isnet {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// A batch or layer norm: its weight has one dimension. Its bias stands beside it.
bool is_norm(const std::string& name, const NamedParameters& parameters) {
  const auto dot = name.rfind('.');
  const std::string weight = dot == std::string::npos ? "weight" : name.substr(0, dot) + ".weight";
  return std::any_of(parameters.begin(), parameters.end(),
                     [&](const auto& one) { return one.first == weight && one.second.dim() == 1; });
}

bool is_head(const std::string& name, const std::string& head) {
  return !head.empty() && name.rfind(head + ".", 0) == 0;
}

bool means(const std::string& pattern, const std::string& name, const NamedParameters& parameters,
           const std::string& head) {
  if (pattern == "norms") return is_norm(name, parameters);
  if (pattern == "biases") return name == "bias" || ends_with(name, ".bias");
  if (pattern == "head") return is_head(name, head);
  if (pattern == "backbone") return !is_head(name, head);
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

struct Factor {
  std::string pattern;
  double value;
};

// "backbone=0.1,head=2"
std::vector<Factor> factors_of(const OptionValues& options) {
  std::vector<Factor> factors;
  if (!options.has("lr-factors")) return factors;
  for (const auto& part : options.list("lr-factors")) {
    const auto equals = part.rfind('=');
    double value = -1;
    const char* end = part.data() + part.size();
    const bool number = equals != std::string::npos && equals > 0 &&
                        std::from_chars(part.data() + equals + 1, end, value).ptr == end;
    if (!number || !(value >= 0) || value > 1e6)
      fail(ErrorKind::usage, "--lr-factors: '", part,
           "' is not allowed; allowed: PATTERN=X with X from 0 to 1e6, such as backbone=0.1");
    factors.push_back({part.substr(0, equals), value});
  }
  return factors;
}

}  // namespace

std::vector<OptionSpec> parameter_group_options() {
  return {
      text_option("weight-decay-exclude", "", "PATTERNS",
                  "Parameters without weight decay: globs of names, or norms, biases, head, backbone"),
      text_option("lr-factors", "", "PATTERN=X,…",
                  "Factors of the learning rate for some parameters, such as backbone=0.1; where several "
                  "patterns fit, the last one counts"),
      fixed_at_resume(text_option("freeze", "", "PATTERNS",
                                  "Keep these parameters fixed, e.g. backbone to train the head alone; "
                                  "batch-norm running statistics still update")),
      integer_option("freeze-until-epoch", "0",
                     "Epoch from which the parameters of --freeze are trained; 0: never", 0)};
}

std::vector<bool> matching(const std::string& option, const std::vector<std::string>& patterns,
                           const NamedParameters& parameters, const std::string& head) {
  std::vector<bool> result(parameters.size(), false);
  for (const auto& pattern : patterns) {
    bool any = false;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!means(pattern, parameters[i].first, parameters, head)) continue;
      result[i] = any = true;
    }
    if (any) continue;
    fail(ErrorKind::usage, "--", option, ": '", pattern,
         "' matches no parameter of this network; its first is ",
         parameters.empty() ? "none" : parameters.front().first, ", its last ",
         parameters.empty() ? "none" : parameters.back().first, "; words: norms, biases, head, backbone");
  }
  return result;
}

std::vector<ParameterGroup> parameter_groups(const NamedParameters& parameters, const OptionValues& options,
                                             const std::string& head) {
  std::vector<bool> spared(parameters.size(), false);
  if (options.has("weight-decay-exclude"))
    spared = matching("weight-decay-exclude", options.list("weight-decay-exclude"), parameters, head);
  std::vector<Factor> rates(parameters.size(), {"", 1});
  for (const auto& factor : factors_of(options)) {
    const auto meant = matching("lr-factors", {factor.pattern}, parameters, head);
    for (std::size_t i = 0; i < parameters.size(); ++i)
      if (meant[i]) rates[i] = factor;
  }
  std::map<std::tuple<double, std::string, bool>, ParameterGroup> groups;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].second.requires_grad()) continue;
    auto& group = groups[{rates[i].value, rates[i].pattern, spared[i]}];
    group.rate_name = rates[i].pattern;
    group.rate_factor = rates[i].value;
    group.decays = !spared[i];
    group.parameters.push_back(parameters[i]);
  }
  std::vector<ParameterGroup> result;
  for (auto& entry : groups) result.push_back(std::move(entry.second));
  return result;
}

NamedParameters freeze(const NamedParameters& parameters, const OptionValues& options,
                       const std::string& head) {
  const bool for_good = options.integer("freeze-until-epoch") == 0;
  if (!options.has("freeze")) {
    if (!for_good) fail(ErrorKind::usage, "--freeze-until-epoch needs --freeze, which names the parameters");
    return {};
  }
  const auto meant = matching("freeze", options.list("freeze"), parameters, head);
  if (std::find(meant.begin(), meant.end(), false) == meant.end())
    fail(ErrorKind::usage, "--freeze: '", options.text("freeze"), "' leaves no parameter to train");
  NamedParameters waiting;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!meant[i]) continue;
    if (for_good)
      parameters[i].second.set_requires_grad(false);
    else
      waiting.push_back(parameters[i]);
  }
  return waiting;
}

}  // namespace isnet
