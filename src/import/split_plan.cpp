#include "import/split_plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "data/split_names.h"

namespace isnet {
namespace {

constexpr double tolerance = 1e-9;

// Samples that the draw treats alike: those of a class, or of a combination of classes.
std::string stratum_of(const ImportItem& item) {
  return item.classes.empty() ? cat(item.label) : std::string(item.classes.begin(), item.classes.end());
}

double draw(std::uint64_t seed, std::uint64_t number) {
  return SampleRandom(seed, Purpose::split, 0, number).uniform();
}

// `count` dealt to the shares: each gets its exact share rounded down or up. `owed` is what earlier rounding
// left over: whole samples of it count when it is decided who is rounded up.
std::vector<std::size_t> dealt(std::size_t count, const std::vector<SplitShare>& shares,
                               std::vector<double>& owed) {
  std::vector<std::size_t> result(shares.size());
  std::vector<double> rest(shares.size());
  std::size_t given = 0;
  for (std::size_t j = 0; j < shares.size(); ++j) {
    const double exact = shares[j].share * static_cast<double>(count);
    result[j] = static_cast<std::size_t>(std::floor(exact + tolerance));
    rest[j] = std::max(0.0, exact - static_cast<double>(result[j]));
    given += result[j];
  }
  std::vector<std::size_t> order(shares.size());
  std::iota(order.begin(), order.end(), 0);
  const auto claim = [&](std::size_t j) {
    return rest[j] + std::trunc(owed[j] + std::copysign(tolerance, owed[j]));
  };
  // Between equals the later one, so that a half goes to validation rather than to training.
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
    if ((rest[a] > tolerance) != (rest[b] > tolerance))
      return rest[a] > tolerance;  // never more than rounded up
    return std::abs(claim(a) - claim(b)) > tolerance ? claim(a) > claim(b) : a > b;
  });
  for (std::size_t i = 0; given < count; ++i, ++given) ++result[order[i % order.size()]];
  for (std::size_t j = 0; j < shares.size(); ++j)
    owed[j] += shares[j].share * static_cast<double>(count) - static_cast<double>(result[j]);
  return result;
}

class Assignment {
 public:
  Assignment(const std::vector<ImportItem>& items, const std::vector<SplitShare>& shares, std::uint64_t seed)
      : items_(items), shares_(shares), seed_(seed) {}

  std::vector<std::string> made() {
    take_over_named();
    const bool grouped =
        std::any_of(items_.begin(), items_.end(), [](const auto& i) { return !i.group.empty(); });
    if (grouped)
      deal_groups();
    else
      deal_samples();
    check_shares();
    return std::move(splits_);
  }

 private:
  void take_over_named() {
    std::map<std::string, std::size_t> first_of;  // group → a sample that names a split
    for (std::size_t i = 0; i < items_.size(); ++i) {
      splits_.push_back(items_[i].split);
      if (items_[i].split.empty() || items_[i].group.empty()) continue;
      const auto other = first_of.emplace(items_[i].group, i).first->second;
      if (splits_[other] != splits_[i])
        fail(ErrorKind::data, items_[i].source, ": group '", items_[i].group, "' is in split '", splits_[i],
             "', but with ", items_[other].source, " in split '", splits_[other], "'");
    }
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (splits_[i].empty() && !items_[i].group.empty())
        if (const auto found = first_of.find(items_[i].group); found != first_of.end())
          splits_[i] = splits_[found->second];
      if (splits_[i].empty()) open_.push_back(i);
    }
  }

  void deal_samples() {
    std::map<std::string, std::vector<std::pair<double, std::size_t>>> strata;
    // Classes in the order of their labels, not of their texts.
    std::map<std::int64_t, std::vector<std::pair<double, std::size_t>>> classes;
    for (const auto i : open_) {
      const std::pair<double, std::size_t> entry(draw(seed_, items_[i].number), i);
      if (items_[i].classes.empty())
        classes[items_[i].label].push_back(entry);
      else
        strata[stratum_of(items_[i])].push_back(entry);
    }
    std::vector<double> owed(shares_.size(), 0);
    for (auto& [label, entries] : classes) deal_stratum(entries, owed);
    for (auto& [name, entries] : strata) deal_stratum(entries, owed);
  }

  // The smallest draws go to the splits after the first, in their order; the first gets what is left.
  void deal_stratum(std::vector<std::pair<double, std::size_t>>& entries, std::vector<double>& owed) {
    std::sort(entries.begin(), entries.end());
    const auto counts = dealt(entries.size(), shares_, owed);
    std::size_t next = 0;
    for (std::size_t j = 1; j < shares_.size(); ++j)
      for (std::size_t n = 0; n < counts[j]; ++n) splits_[entries[next++].second] = shares_[j].name;
    while (next < entries.size()) splits_[entries[next++].second] = shares_[0].name;
  }

  struct Group {
    std::vector<std::size_t> samples;
    std::map<std::string, double> counts;  // by stratum
    double drawn = 0;
    std::string name;
  };

  void deal_groups() {
    std::map<std::string, Group> by_name;
    std::map<std::string, double> totals;
    for (const auto i : open_) {
      const bool alone = items_[i].group.empty();
      // A zero byte cannot be in a name.
      auto& group = by_name[alone ? cat('\0', items_[i].id) : items_[i].group];
      group.name = alone ? items_[i].id : items_[i].group;
      group.samples.push_back(i);
      const auto stratum = stratum_of(items_[i]);
      group.counts[stratum] += 1;
      totals[stratum] += 1;
    }
    std::vector<Group*> groups;
    for (auto& entry : by_name) {
      entry.second.drawn = draw(seed_, number_of(entry.second.name));
      groups.push_back(&entry.second);
    }
    std::stable_sort(groups.begin(), groups.end(), [](const auto* a, const auto* b) {
      return a->samples.size() != b->samples.size() ? a->samples.size() > b->samples.size()
                                                    : a->drawn < b->drawn;
    });
    std::vector<std::map<std::string, double>> has(shares_.size());
    std::vector<double> sizes(shares_.size(), 0);
    for (const auto* group : groups) {
      const auto j = best_split(*group, totals, has, sizes);
      for (const auto i : group->samples) splits_[i] = shares_[j].name;
      for (const auto& [stratum, count] : group->counts) has[j][stratum] += count;
      sizes[j] += static_cast<double>(group->samples.size());
    }
  }

  // Where the group lowers the squared distance from the exact shares most, over its classes and in all.
  std::size_t best_split(const Group& group, const std::map<std::string, double>& totals,
                         const std::vector<std::map<std::string, double>>& has,
                         const std::vector<double>& sizes) {
    const auto growth = [](double now, double more, double wanted, double total) {
      return (more * more + 2 * more * (now - wanted)) / total;  // of (now − wanted)²
    };
    std::size_t best = 0;
    double least = INFINITY;
    for (std::size_t j = 0; j < shares_.size(); ++j) {
      const auto all = static_cast<double>(open_.size());
      double cost = growth(sizes[j], static_cast<double>(group.samples.size()), shares_[j].share * all, all);
      for (const auto& [stratum, count] : group.counts) {
        const auto present = has[j].find(stratum);
        cost += growth(present == has[j].end() ? 0 : present->second, count,
                       shares_[j].share * totals.at(stratum), totals.at(stratum));
      }
      if (cost < least - tolerance) {
        least = cost;
        best = j;
      }
    }
    return best;
  }

  void check_shares() const {
    if (open_.empty()) return;
    const std::set<std::string> present(splits_.begin(), splits_.end());
    for (const auto& share : shares_)
      if (!present.contains(share.name))
        fail(ErrorKind::usage, "--splits: ", share.share, " of ", open_.size(),
             " samples leaves no sample for ", share.name,
             "; allowed: larger shares, or more samples (or groups)");
  }

  const std::vector<ImportItem>& items_;
  const std::vector<SplitShare>& shares_;
  std::uint64_t seed_;
  std::vector<std::string> splits_;
  std::vector<std::size_t> open_;  // items whose split is drawn
};

}  // namespace

std::vector<SplitShare> parse_split_shares(const std::string& text) {
  const auto refuse = [&] {
    fail(ErrorKind::usage, "--splits: '", text,
         "' is not allowed; allowed: NAME=SHARE,NAME=SHARE, shares above 0 that add up to 1");
  };
  std::vector<SplitShare> shares;
  double sum = 0;
  for (std::size_t first = 0; first <= text.size();) {
    const auto end = std::min(text.find(',', first), text.size());
    const std::string entry = text.substr(first, end - first);
    const auto equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) refuse();
    SplitShare share{canonical_split_name(entry.substr(0, equals)), 0};
    const char* last = entry.data() + entry.size();
    const auto result = std::from_chars(entry.data() + equals + 1, last, share.share);
    const bool twice = std::any_of(shares.begin(), shares.end(),
                                   [&](const auto& other) { return other.name == share.name; });
    if (result.ec != std::errc() || result.ptr != last || !(share.share > 0) || share.share > 1 || twice)
      refuse();
    sum += share.share;
    shares.push_back(std::move(share));
    first = end + 1;
  }
  if (std::abs(sum - 1) > 1e-6) refuse();
  return shares;
}

std::vector<std::string> assign_splits(const std::vector<ImportItem>& items,
                                       const std::vector<SplitShare>& shares, std::uint64_t seed) {
  return Assignment(items, shares, seed).made();
}

}  // namespace isnet
