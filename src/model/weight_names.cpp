#include "model/weight_names.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace isnet {

std::vector<std::string> name_prefixes(const NamedTensors& tensors) {
  std::set<std::string> found;
  for (const auto& entry : tensors)
    for (auto dot = entry.first.find('.'); dot != std::string::npos; dot = entry.first.find('.', dot + 1))
      found.insert(entry.first.substr(0, dot + 1));
  std::vector<std::string> prefixes(found.begin(), found.end());
  std::stable_sort(prefixes.begin(), prefixes.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  return prefixes;
}

NamedTensors without_prefix(const NamedTensors& tensors, const std::string& prefix) {
  NamedTensors result;
  for (auto entry = tensors.lower_bound(prefix);
       entry != tensors.end() && entry->first.compare(0, prefix.size(), prefix) == 0; ++entry)
    if (entry->first.size() > prefix.size())
      result.emplace(entry->first.substr(prefix.size()), entry->second);
  return result;
}

std::string listed_names(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), shown); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > shown) text += cat(", … (", names.size(), " in all)");
  return text;
}

namespace {

[[noreturn]] void refuse_several(const std::string& source, const std::vector<std::string>& fitting) {
  std::string text;
  for (const auto& prefix : fitting)
    text += cat(text.empty() ? "" : " and ", prefix.empty() ? "without a prefix" : cat("'", prefix, "'"));
  const std::string& last = fitting.back();
  fail(ErrorKind::checkpoint, source, ": holds weights of this network more than once: ", text,
       "; write those that you mean alone, in Python: torch.save({k[", last.size(),
       ":]: v for k, v in state.items() if k.startswith('", last, "')}, FILE)");
}

std::string note_of(const NamedTensors& tensors, const std::string& prefix) {
  std::vector<std::string> left_over;
  for (const auto& entry : tensors)
    if (entry.first.rfind(prefix, 0) != 0) left_over.push_back(entry.first);
  if (left_over.empty()) return cat("the prefix '", prefix, "' of all names is dropped");
  return cat("the prefix '", prefix, "' of ", tensors.size() - left_over.size(),
             " names is dropped; left over: ", listed_names(left_over));
}

}  // namespace

FittingTensors fitting_tensors(const std::string& source, const NamedTensors& tensors,
                               const std::function<Fit(const NamedTensors&)>& fit) {
  const Fit as_they_are = fit(tensors);
  if (as_they_are.complete && as_they_are.exact) return {tensors, ""};
  std::vector<std::string> fitting;
  for (const auto& prefix : name_prefixes(tensors))
    if (const Fit found = fit(without_prefix(tensors, prefix)); found.complete && found.exact)
      fitting.push_back(prefix);
  if (fitting.empty()) return {tensors, ""};
  if (as_they_are.complete) fitting.insert(fitting.begin(), "");
  if (fitting.size() > 1) refuse_several(source, fitting);
  return {without_prefix(tensors, fitting.front()), note_of(tensors, fitting.front())};
}

}  // namespace isnet
