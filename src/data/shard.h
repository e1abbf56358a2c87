// A shard: one HDF5 file of images, masks and labels (docs/formats.md, "Shards").
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/shard_limits.h"

namespace isnet {

class MaskCensus;

/// `format` and `version` of a shard; others are refused.
inline constexpr const char* shard_format = "isnet-shard";
inline constexpr std::int64_t shard_version = 1;
/// An attribute of the root group that may be there: "soft" says that masks are shares of 255, and no class
/// codes.
inline constexpr const char* mask_values_attribute = "mask_values";

/// The kinds of labels of a data set: nothing, one class for each sample, or any number of classes.
enum class LabelKind { none, single, multi };

/// The properties that all samples of a shard, and all shards of a split, share.
struct SampleLayout {
  hdf5::ElementType image_type =
      hdf5::ElementType::uint8;  ///< uint8, uint16, float32 (float16 too) or float64
  std::int64_t channels = 1;     ///< as stored: 1 (repeated to 3 when read) or 3
  std::int64_t height = 0;
  std::int64_t width = 0;
  hdf5::ElementType mask_type =
      hdf5::ElementType::uint8;    ///< uint8 (booleans too), float32 (float16 too) or float64
  std::int64_t mask_channels = 0;  ///< 0: no masks; 1; or K: one mask for each class
  bool masks_per_class = false;    ///< stored as N×K×1×H×W
  LabelKind labels = LabelKind::none;
  std::int64_t label_classes = 0;  ///< K of multi-label data, else 0

  std::int64_t pixels() const { return height * width; }
  bool operator==(const SampleLayout&) const = default;
};

/// "images 1×40×40 uint8, masks 1×40×40 uint8, one class each".
std::string layout_text(const SampleLayout& layout);

/// The facts about a shard that was open before: enough to open it again for its pixels alone. Any thread
/// may use it.
struct ShardPlan {
  std::filesystem::path path;
  FileIdentity identity;
  SampleLayout layout;
  std::int64_t size = 0;
  hdf5::ElementType stored_images = hdf5::ElementType::uint8;  ///< as the layout, or float16 (read as float32)
  hdf5::ElementType stored_masks = hdf5::ElementType::uint8;   ///< likewise, or boolean (read as 0 and 255)
  bool soft_masks = false;
  RowMap images, masks;
  std::shared_ptr<const hdf5::Translation> translation;  ///< with which HDF5 reads the file; null: as it is
  mutable std::atomic<bool> mask_scale_known{false};     ///< some uint8 mask value above 1 was seen
};

/// An open shard. Reading functions may be called by several threads at once; where rows lie in an unusual
/// way (RowMap), HDF5 lets them in one by one. Real is float or double: values of the file are scaled in that
/// precision.
/// Errors: data, naming file, dataset, sample, what is wrong and the remedy; FileFailure, if the file cannot
/// be read, or is another one than it was.
class ShardReader {
 public:
  /// Checks all that does not need the pixels: format and version, element types and ranks, equal numbers of
  /// samples, mask shape equal to image shape, every label in 0 … class_count − 1 (if given), groups,
  /// weights. Looks at a few masks, evenly spread: they must not hold class codes (see MaskCensus), unless
  /// the shard says that they are soft; and at as many as needed to see that uint8 masks are not coded 0/1.
  explicit ShardReader(const std::filesystem::path& path, std::optional<std::int64_t> class_count = {},
                       const ShardLimits& limits = {});
  /// Opens one that was open before, without labels and extras.
  explicit ShardReader(std::shared_ptr<const ShardPlan> plan);
  ShardReader(const ShardReader&) = delete;
  ShardReader& operator=(const ShardReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const SampleLayout& layout() const { return layout_; }
  std::int64_t size() const { return size_; }
  bool soft_masks() const { return plan_->soft_masks; }  ///< it says so: mask_values_attribute

  /// N classes; empty unless the labels are of kind single.
  const std::vector<std::int64_t>& labels() const { return labels_; }
  /// N×K zeros and ones; empty unless the labels are of kind multi.
  const std::vector<std::uint8_t>& multi_labels() const { return multi_labels_; }
  const std::vector<std::string>& ids() const { return ids_; }         ///< N, or empty
  const std::vector<std::int64_t>& groups() const { return groups_; }  ///< N, or empty
  const std::vector<double>& weights() const { return weights_; }      ///< N, or empty

  std::shared_ptr<const ShardPlan> plan() const { return plan_; }
  /// Fails if the file is not what it was when it was opened.
  void check_unchanged() const { input_->check_unchanged(); }

  /// Sample `index` as 3×H×W (a grey image three times), in [0, 1] if the file holds integers. Refuses values
  /// that are not finite.
  template <typename Real>
  void read_image(std::int64_t index, Real* out) const;
  /// Its mask as Cm×H×W in [0, 1]; does nothing where there are none. Refuses values outside.
  template <typename Real>
  void read_mask(std::int64_t index, Real* out) const;
  /// The same as stored, where images (masks) are uint8: Ch×H×W (Cm×H×W) bytes. Masks coded 0/1 are refused.
  void read_stored_image(std::int64_t index, std::uint8_t* out) const;
  void read_stored_mask(std::int64_t index, std::uint8_t* out) const;

 private:
  // Images or masks: by read_row(), or by HDF5.
  struct Pixels {
    hdf5::ElementType type;  // as read_stored() leaves them
    std::int64_t count;      // of a sample
    const RowMap* map;
    const hdf5::Dataset* dataset;
    bool boolean = false;
  };
  static Pixels pixels_of(hdf5::ElementType type, hdf5::ElementType stored, std::int64_t count,
                          const RowMap& map, const std::optional<hdf5::Dataset>& dataset);
  void check_header(const hdf5::File& file) const;
  void open_images(const hdf5::File& file);
  void open_masks(const hdf5::File& file);
  void open_labels(const hdf5::File& file, std::optional<std::int64_t> class_count);
  void open_multi_labels(const hdf5::Dataset& dataset, std::optional<std::int64_t> class_count);
  void open_extras(const hdf5::File& file);
  void check_mask_shape(const hdf5::Dataset& dataset) const;
  void look_at_masks() const;
  void add_mask(const Pixels& pixels, std::int64_t index, MaskCensus& census) const;
  void look_for_mask_scale() const;
  void settle_mask_scale(int largest_seen) const;
  int largest_mask_value(std::int64_t index) const;
  void plan_pixels();
  Pixels images() const;
  Pixels masks() const;
  void read_stored(const Pixels& pixels, std::int64_t index, void* out) const;
  template <typename Real>
  void read_converted(const Pixels& pixels, std::int64_t index, Real* out) const;

  std::filesystem::path path_;
  SampleLayout layout_;
  std::int64_t size_ = 0;
  bool says_soft_ = false;
  std::shared_ptr<const InputFile> input_;
  std::shared_ptr<const hdf5::Translation> translation_;
  hdf5::ElementType stored_images_ = hdf5::ElementType::uint8, stored_masks_ = hdf5::ElementType::uint8;
  std::shared_ptr<const ShardPlan> plan_;
  std::optional<hdf5::Dataset> images_;  // once open, only where HDF5 has to read them
  std::optional<hdf5::Dataset> masks_;
  std::vector<std::int64_t> labels_;
  std::vector<std::uint8_t> multi_labels_;
  std::vector<std::string> ids_;
  std::vector<std::int64_t> groups_;
  std::vector<double> weights_;
};

}  // namespace isnet
