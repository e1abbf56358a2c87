#include "import/pack_plan.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/names.h"

namespace isnet {
namespace {

// Numbers decide random draws: never renumber.
std::uint64_t split_number(const std::string& name) {
  static const std::map<std::string, std::uint64_t> known{{"train", 0},         {"val", 1},
                                                          {"test", 2},          {"test-biased", 3},
                                                          {"test-unbiased", 4}, {"test-confounding", 5}};
  const auto found = known.find(name);
  return found != known.end() ? found->second : 6 + (number_of("split " + name) >> 33);  // an epoch: 32 bits
}

// Stricter than what is read: these names are safe in any shell and on any file system.
void check_name(const std::string& name, const std::string& source) {
  const bool good =
      name_refusal(NameKind::split, name).empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
      });
  if (!good)
    fail(ErrorKind::data, source, ": a split cannot be called '", name,
         "'; allowed: letters, digits, '-', '_' and '.', which does not come first, up to 200 bytes");
}

PlannedSplit planned(const std::string& name, const std::string& from, MarkUse mark,
                     const std::vector<std::size_t>& items) {
  return {name, from, split_number(name), mark, items};
}

void add_splits(const std::string& name, const std::vector<std::size_t>& items, bool marked, PackPlan& plan) {
  if (!marked) {
    plan.splits.push_back(planned(name, name, MarkUse::none, items));
  } else if (name == "train" || name == "val") {
    plan.splits.push_back(planned(name, name, MarkUse::own, items));
  } else {
    plan.splits.push_back(planned(name + "-biased", name, MarkUse::own, items));
    plan.splits.push_back(planned(name + "-unbiased", name, MarkUse::none, items));
    plan.splits.push_back(planned(name + "-confounding", name, MarkUse::confounding, items));
  }
}

std::string shard_name(const std::string& split, std::size_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "/shard-%05zu.h5", number);
  return split + text;
}

// Names that are whole numbers mean themselves; others are numbered in the order of their names. A sample
// without a group gets a number of its own.
std::vector<std::int64_t> group_numbers(const std::vector<ImportItem>& items) {
  std::set<std::string> names;
  bool alone = false;
  for (const auto& item : items) {
    if (item.group.empty())
      alone = true;
    else
      names.insert(item.group);
  }
  if (names.empty()) return {};
  std::map<std::string, std::int64_t> numbers;
  std::set<std::int64_t> used;
  const bool whole = std::all_of(names.begin(), names.end(), [&](const auto& name) {
    std::int64_t value = 0;
    const auto result = std::from_chars(name.data(), name.data() + name.size(), value);
    numbers[name] = value;
    return result.ec == std::errc() && result.ptr == name.data() + name.size() && value >= 0 &&
           value < (std::int64_t{1} << 62) && used.insert(value).second;
  });
  std::int64_t next = 0;
  if (!whole)
    for (const auto& name : names) numbers[name] = next++;
  if (whole && alone) next = *used.rbegin() + 1;
  std::vector<std::int64_t> result;
  for (const auto& item : items) result.push_back(item.group.empty() ? next++ : numbers.at(item.group));
  return result;
}

}  // namespace

PackPlan make_plan(const Listing& listing, const PackOptions& options) {
  const auto& items = listing.items;
  const bool marked = options.mark != "none";
  if (marked && listing.labels != LabelKind::single)
    fail(ErrorKind::usage, "--mark: needs samples of exactly one class each");
  for (const auto& name : listing.class_names)
    check_stored_name(NameKind::label, "class name", name, "the class list", ErrorKind::data);
  const auto names = assign_splits(items, options.shares, options.seed);
  // train first, then val, then the others by name.
  const auto rank = [](const std::string& name) { return name == "train" ? 0 : name == "val" ? 1 : 2; };
  const auto before = [&](const std::string& a, const std::string& b) {
    return rank(a) != rank(b) ? rank(a) < rank(b) : a < b;
  };
  std::map<std::string, std::vector<std::size_t>, decltype(before)> by_split(before);
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto& members = by_split[names[i]];
    if (members.empty()) check_name(names[i], items[i].source);
    members.push_back(i);
  }
  PackPlan plan;
  for (const auto& [name, members] : by_split) add_splits(name, members, marked, plan);
  for (std::size_t s = 0; s < plan.splits.size(); ++s) {
    const auto& split = plan.splits[s];
    for (std::size_t t = 0; t < s; ++t)
      if (plan.splits[t].name == split.name)
        fail(ErrorKind::data, "split '", split.name, "' appears twice: by its own name, and by that of --mark");
    const auto size = static_cast<std::size_t>(options.shard_size);
    for (std::size_t first = 0; first < split.items.size(); first += size) {
      const auto begin = split.items.begin() + static_cast<std::ptrdiff_t>(first);
      const auto count = static_cast<std::ptrdiff_t>(std::min(size, split.items.size() - first));
      plan.shards.push_back({s, shard_name(split.name, first / size), {begin, begin + count}});
    }
  }
  plan.group_numbers = group_numbers(items);
  plan.has_weights =
      std::any_of(items.begin(), items.end(), [](const auto& item) { return item.weight.has_value(); });
  return plan;
}

std::string plan_fingerprint(const Listing& listing, const PackPlan& plan, const PackOptions& options) {
  std::string text = cat("pack 1\n", options.decides_content, "\n");
  for (const auto& name : listing.class_names) text += name + "\n";
  for (const auto& item : listing.items) {
    text += item.id + '\0' + item.source + '\0' + cat(item.label) + '\0' + item.group + '\0' +
            std::string(item.classes.begin(), item.classes.end()) + '\0' + cat(item.weight.value_or(1)) +
            "\n";
  }
  for (const auto& shard : plan.shards) {
    text += shard.file;
    for (const auto i : shard.items) text += cat(' ', i);
    text += "\n";
  }
  return sha256(text);
}

}  // namespace isnet
