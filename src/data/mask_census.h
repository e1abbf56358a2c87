// Recognises masks that hold class codes, where 0 … 255 should say how much of a pixel is of interest.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace isnet {

/// Counts the values of masks and judges them. Soft masks are not suspected: anti-aliased edges, resized
/// masks and probabilities have many values, or few pixels between 0 and 255, in no patches.
class MaskCensus {
 public:
  /// One mask of height × width values.
  void add(const std::uint8_t* mask, std::int64_t height, std::int64_t width);
  /// Likewise in [0, 1]; values that are no multiples of 1/255 are soft. Values outside are left to others.
  void add(const float* mask, std::int64_t height, std::int64_t width);

  /// The largest value so far; 0: none above 0.
  int largest() const { return largest_; }
  /// Whether some mask has too many values for class codes.
  bool is_soft() const { return soft_masks_ > 0; }
  /// The evidence that the masks hold class codes, for a message: "values 0, 38, 220 and 255, in patches";
  /// nothing where they are a region of interest.
  std::optional<std::string> class_codes() const;

 private:
  struct Counts {
    std::array<std::int64_t, 256> pixels{};  // of each value
    std::int64_t between = 0;                // pixels that are neither 0 nor 255
    std::int64_t in_patches = 0;             // of these: equal to the ones at their right, below, and across
  };
  static Counts counts_of(const std::uint8_t* mask, std::int64_t height, std::int64_t width);
  void add(const Counts& mask);
  std::string values_text() const;

  int largest_ = 0;
  std::int64_t between_ = 0;         // pixels that are neither 0 nor 255
  std::int64_t soft_masks_ = 0;      // with too many values for classes
  std::int64_t coded_masks_ = 0;     // with few values, some of them between 0 and 255
  Counts coded_;                     // sums over those
  std::array<bool, 256> present_{};  // in any mask
};

/// Describes the fault of such masks, and the remedy.
std::string class_codes_text(const std::string& codes);

}  // namespace isnet
