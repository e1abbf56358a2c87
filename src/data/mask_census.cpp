#include "data/mask_census.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace isnet {
namespace {

constexpr int largest_code = 32;  // masks with nothing above are codes: no region of interest is that faint
constexpr int most_codes = 16;    // different values of one mask of classes, besides 0
constexpr std::int64_t evidence = 32;  // pixels between 0 and 255 without which nothing is concluded

}  // namespace

MaskCensus::Counts MaskCensus::counts_of(const std::uint8_t* mask, std::int64_t height, std::int64_t width) {
  Counts counts;
  for (std::int64_t i = 0; i < height * width; ++i) ++counts.pixels[mask[i]];
  counts.between = height * width - counts.pixels[0] - counts.pixels[255];
  if (counts.between == 0) return counts;
  for (std::int64_t y = 0; y + 1 < height; ++y)
    for (std::int64_t x = 0; x + 1 < width; ++x) {
      const std::uint8_t* at = mask + y * width + x;
      const bool between = *at != 0 && *at != 255;
      counts.in_patches += between && at[1] == *at && at[width] == *at && at[width + 1] == *at ? 1 : 0;
    }
  return counts;
}

void MaskCensus::add(const std::uint8_t* mask, std::int64_t height, std::int64_t width) {
  add(counts_of(mask, height, width));
}

void MaskCensus::add(const float* mask, std::int64_t height, std::int64_t width) {
  std::vector<std::uint8_t> values(static_cast<std::size_t>(height * width));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float value = mask[i] * 255, whole = std::round(value);
    if (!(whole >= 0 && whole <= 255) || std::abs(value - whole) > 1e-3f) {
      largest_ = 255;  // not class codes, however small
      ++soft_masks_;
      return;
    }
    values[i] = static_cast<std::uint8_t>(whole);
  }
  add(values.data(), height, width);
}

void MaskCensus::add(const Counts& mask) {
  int different = 0;
  std::int64_t above = 0;
  for (std::size_t value = 1; value < 256; ++value) {
    if (mask.pixels[value] == 0) continue;
    present_[value] = true;
    largest_ = std::max(largest_, static_cast<int>(value));
    above += mask.pixels[value];
    ++different;
  }
  if (mask.between == 0) return;
  between_ += mask.between;
  if (different > most_codes || above < 4 * different) {
    ++soft_masks_;
    return;
  }
  ++coded_masks_;
  coded_.between += mask.between;
  coded_.in_patches += mask.in_patches;
  for (std::size_t value = 0; value < 256; ++value) coded_.pixels[value] += mask.pixels[value];
}

std::string MaskCensus::values_text() const {
  std::string text = "0";
  int count = 1;
  for (std::size_t value = 1; value < 256; ++value) {
    if (!present_[value]) continue;
    if (++count > 8) return text + ", …";
    text += cat(", ", value);
  }
  return text;
}

std::optional<std::string> MaskCensus::class_codes() const {
  if (largest_ > 0 && largest_ <= largest_code && between_ >= evidence / 2)
    return cat("values ", values_text(), ", none above ", largest_);
  if (coded_masks_ <= soft_masks_ || coded_.between < evidence) return std::nullopt;
  const bool few = std::count(present_.begin(), present_.end(), true) <= most_codes;
  if (few && coded_.pixels[255] == 0 && !present_[255])
    return cat("values ", values_text(), " alone, and never 255");
  const bool low =
      std::none_of(present_.begin() + largest_code + 1, present_.end() - 1, [](bool is) { return is; });
  if (low) return cat("values ", values_text(), ": low ones, and 255");
  if (4 * coded_.in_patches >= coded_.between)
    return cat("values ", values_text(), ", in patches of one value each");
  if (few && 2 * coded_.between > 3 * coded_.pixels[255])
    return cat("values ", values_text(), " alone, most of them between 0 and 255");
  return std::nullopt;
}

std::string class_codes_text(const std::string& codes) {
  return cat(
      "masks of ", codes, ": probably class codes, but 255 (float: 1) means the region of interest: write ",
      "masks with 255 for the classes of interest and 0 for all else (isnet pack: --mask-values binary, "
      "--mask-classes, --mask-ignore); if these are shares of 255, set the attribute mask_values = \"soft\" "
      "of the file (--mask-values soft)");
}

}  // namespace isnet
