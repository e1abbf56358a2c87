#include "data/summary.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "data/mask_census.h"

namespace isnet {
namespace {

// Running sums over pixels.
struct Moments {
  double sum = 0;
  double squares = 0;
  double smallest = INFINITY;
  double largest = -INFINITY;
  std::int64_t count = 0;

  void add(const Moments& other) {
    sum += other.sum;
    squares += other.squares;
    smallest = std::min(smallest, other.smallest);
    largest = std::max(largest, other.largest);
    count += other.count;
  }
  void add(const float* values, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
      const double value = values[i];
      sum += value;
      squares += value * value;
      smallest = std::min(smallest, value);
      largest = std::max(largest, value);
    }
    count += n;
  }
  double mean() const { return sum / static_cast<double>(count); }
  double standard_deviation() const {
    return std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean() * mean()));
  }
};

void count_classes(const SplitReader& split, std::int64_t class_count, SplitSummary& summary) {
  const auto& layout = split.layout();
  if (layout.labels == LabelKind::none) return;
  summary.class_counts.assign(static_cast<std::size_t>(class_count), 0);
  std::vector<float> row(static_cast<std::size_t>(layout.label_classes));
  for (std::int64_t i = 0; i < split.size(); ++i) {
    if (layout.labels == LabelKind::single) {
      ++summary.class_counts.at(static_cast<std::size_t>(split.label(i)));
      continue;
    }
    split.multi_label(i, row.data());
    for (std::size_t k = 0; k < row.size(); ++k) summary.class_counts.at(k) += row[k] > 0 ? 1 : 0;
  }
}

// Refuses masks with class codes: of all samples together, and of single ones among masks of 0 and 1 alone.
class MaskJudge {
 public:
  explicit MaskJudge(const SplitReader& split) : split_(split) {}

  void add(std::int64_t index, const float* masks) {
    const auto& layout = split_.layout();
    if (split_.soft_masks()) return;
    MaskCensus own;
    for (std::int64_t k = 0; k < layout.mask_channels; ++k)
      for (auto* census : {&all_, &own})
        census->add(masks + k * layout.pixels(), layout.height, layout.width);
    if (own.is_soft()) any_soft_ = true;
    if (const auto codes = own.class_codes(); codes && !first_) first_ = {index, *codes};
  }

  void refuse_class_codes() const {
    if (const auto codes = all_.class_codes())
      fail(ErrorKind::data, split_.shards().front().string(), ": split ", split_.name(), ": ",
           class_codes_text(*codes));
    if (first_ && !any_soft_)
      fail(ErrorKind::data, split_.shard_of(first_->first).string(), ": sample ", split_.id(first_->first),
           ": ", class_codes_text(first_->second));
  }

 private:
  const SplitReader& split_;
  MaskCensus all_;
  bool any_soft_ = false;
  std::optional<std::pair<std::int64_t, std::string>> first_;  // sample that holds class codes
};

void look_at_pixels(const SplitReader& split, std::int64_t wanted, SplitSummary& summary) {
  const auto& layout = split.layout();
  const std::int64_t mask_values = layout.mask_channels * layout.pixels();
  std::vector<float> image(static_cast<std::size_t>(3 * layout.pixels()));
  std::vector<float> mask(static_cast<std::size_t>(mask_values));
  std::vector<Moments> channels(static_cast<std::size_t>(layout.channels));  // a grey image counts once
  Moments pixels, mask_moments;
  MaskJudge judge(split);
  summary.looked_at = wanted < 0 ? split.size() : std::min(wanted, split.size());
  for (std::int64_t i = 0; i < summary.looked_at; ++i) {
    split.read(i * split.size() / summary.looked_at, image.data(), mask_values ? mask.data() : nullptr);
    for (std::size_t c = 0; c < channels.size(); ++c)
      channels[c].add(image.data() + static_cast<std::int64_t>(c) * layout.pixels(), layout.pixels());
    mask_moments.add(mask.data(), mask_values);
    judge.add(i * split.size() / summary.looked_at, mask.data());
    if (mask_values && *std::max_element(mask.begin(), mask.end()) <= 0) ++summary.empty_masks;
  }
  judge.refuse_class_codes();
  if (summary.looked_at == 0) return;
  for (const auto& channel : channels) {
    pixels.add(channel);
    summary.channel_means.push_back(channel.mean());
    summary.channel_deviations.push_back(channel.standard_deviation());
  }
  summary.mean = pixels.mean();
  summary.standard_deviation = pixels.standard_deviation();
  summary.smallest = pixels.smallest;
  summary.largest = pixels.largest;
  if (mask_values) summary.mask_share = mask_moments.mean();
}

// "test" of "test-biased", "test-unbiased" and "test-confounding", which hold the same samples.
std::string without_mark(const std::string& split) {
  for (const char* ending : {"-biased", "-unbiased", "-confounding"})
    if (split.ends_with(ending)) return split.substr(0, split.size() - std::string_view(ending).size());
  return split;
}

std::string groups_text(const SplitSummary& summary) {
  std::vector<std::int64_t> sizes;
  for (const auto& [group, count] : summary.group_counts) sizes.push_back(count);
  std::sort(sizes.begin(), sizes.end());
  return cat("  groups: ", sizes.size(), ", of ", sizes.front(), " to ", sizes.back(), " samples (median ",
             sizes[sizes.size() / 2], ")\n");
}

}  // namespace

SplitSummary summarise(const SplitReader& split, std::int64_t class_count, std::int64_t pixel_samples) {
  SplitSummary summary;
  summary.name = split.name();
  summary.layout = split.layout();
  summary.samples = split.size();
  summary.shards = split.shards();
  count_classes(split, class_count, summary);
  for (std::int64_t i = 0; i < split.size(); ++i)
    if (const auto group = split.group(i)) ++summary.group_counts[*group];
  look_at_pixels(split, pixel_samples, summary);
  return summary;
}

std::vector<std::int64_t> groups_in_several(const std::vector<SplitSummary>& summaries) {
  std::map<std::int64_t, std::set<std::string>> splits;
  for (const auto& summary : summaries)
    for (const auto& [group, count] : summary.group_counts) splits[group].insert(without_mark(summary.name));
  std::vector<std::int64_t> several;
  for (const auto& [group, names] : splits)
    if (names.size() > 1) several.push_back(group);
  return several;
}

std::string summary_text(const SplitSummary& summary, const std::vector<std::string>& class_names) {
  std::ostringstream out;
  out << "split " << summary.name << ": " << summary.samples << " samples in " << summary.shards.size()
      << " shard" << (summary.shards.size() == 1 ? "" : "s") << "; " << layout_text(summary.layout) << '\n';
  for (std::size_t k = 0; k < summary.class_counts.size(); ++k)
    out << "  class " << k
        << (k < class_names.size() && class_names[k] != cat(k) ? cat(" (", class_names[k], ")") : "") << ": "
        << summary.class_counts[k] << '\n';
  if (!summary.group_counts.empty()) out << groups_text(summary);
  if (summary.looked_at == 0) return out.str();
  out << std::fixed << std::setprecision(4) << "  pixels: mean " << summary.mean << ", std "
      << summary.standard_deviation << ", min " << summary.smallest << ", max " << summary.largest << " (of "
      << summary.looked_at << " samples)\n";
  if (summary.channel_means.size() > 1)
    for (std::size_t c = 0; c < summary.channel_means.size(); ++c)
      out << "    channel " << c << ": mean " << summary.channel_means[c] << ", std "
          << summary.channel_deviations[c] << '\n';
  if (summary.layout.mask_channels > 0)
    out << "  masks: " << summary.mask_share << " of the area on average, " << summary.empty_masks
        << " empty\n";
  return out.str();
}

}  // namespace isnet
