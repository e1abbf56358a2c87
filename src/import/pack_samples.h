// From a listed sample to what a shard stores of it: image, masks, and the mark.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/mark.h"
#include "data/shard.h"
#include "import/importer.h"
#include "import/pack.h"
#include "import/pack_plan.h"

namespace isnet {

/// A sample, ready to be written, or why it is not.
struct PackSample {
  Pixels pixels;
  std::string content;             ///< checksum of the decoded pixels
  std::string error;               ///< "" unless the picture is bad
  std::vector<std::string> notes;  ///< what was assumed of the picture and its masks, each text once
  bool marked = false;
  std::int64_t kept_out = 0;  ///< pixels of the mark that the mask kept out
  std::int64_t mark_pixels = 0;
};

/// Makes the samples of a listing. What it is made from has to outlive it. Thread-safe.
class SampleMaker {
 public:
  /// Reads pictures up to the first good one, whose shape is that of all. Errors: usage (options that do not
  /// fit the listing), data (no picture can be read; without skip_bad: the first one cannot), runtime.
  SampleMaker(const Importer& importer, const Listing& listing, const PackOptions& options);

  const SampleLayout& layout() const { return layout_; }
  /// Whether the masks are shares of 255, which shards have to say.
  bool soft_masks() const;
  /// Sample `number` of the listing, as it is in this split. Errors: all but data errors, which it holds.
  PackSample sample(std::size_t number, const PlannedSplit& split) const;

 private:
  PackSample read(const ImportItem& item) const;
  void find_shape();
  void make_marks();
  void put_mark_of(const ImportItem& item, const PlannedSplit& split, PackSample& result) const;

  const Importer& importer_;
  const Listing& listing_;
  const PackOptions& options_;
  SampleLayout layout_;
  std::vector<MarkShape> marks_;
};

}  // namespace isnet
