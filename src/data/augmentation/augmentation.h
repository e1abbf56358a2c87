// Training samples that look a little different in each epoch: image and mask alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/augmentation/operation.h"
#include "data/augmentation/warp.h"
#include "data/shard.h"

namespace isnet {

/// The change of a sample is a function of (seed, Purpose::augmentation, epoch, sample) alone, and each
/// operation draws from numbers of its own: switching one on leaves the others' draws as they are. Geometric
/// operations are composed and resample image and masks once: images and soft masks bilinearly, masks of
/// zeros and ones with the nearest value. Then intensity operations change the image. Immutable: any thread
/// may use it.
class Augmentation {
 public:
  /// --augment, --augment-fill and those of the registered operations. Options of a preset that are given too
  /// win.
  static std::vector<OptionSpec> options();
  /// Null where all is off. Errors: usage.
  static std::shared_ptr<const Augmentation> from(const OptionValues& options, std::uint64_t seed);

  /// image: 3×H×W (of layout.channels = 1: three times the same); mask: Cm×H×W, null for none.
  /// No memory is taken but what each thread keeps for the next call.
  template <typename Real>
  void apply(Real* image, Real* mask, const SampleLayout& layout, std::uint64_t epoch,
             std::int64_t sample) const;

  /// The map of all geometric operations together.
  Affine map(const ImageSize& size, std::uint64_t epoch, std::int64_t sample) const;

 private:
  struct Streams {  // seeds of an operation's draws
    std::uint64_t seed = 0;
    SampleRandom of(std::uint64_t epoch, std::int64_t sample) const {
      return {seed, Purpose::augmentation, epoch, static_cast<std::uint64_t>(sample)};
    }
  };

  std::vector<std::pair<Streams, GeometricAugmentation>> geometric_;
  std::vector<std::pair<Streams, IntensityAugmentation>> intensity_;
  Fill fill_ = Fill::zero;
};

}  // namespace isnet
