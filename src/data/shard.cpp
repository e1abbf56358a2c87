// Opening a shard, and all checks that do not need its pixels.
#include "data/shard.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/structure/check.h"

namespace isnet {

using hdf5::ElementType;
using hdf5::shape_text;

namespace {

[[noreturn]] void refuse(const hdf5::Object& object, const std::string& what) {
  fail(ErrorKind::data, object.where(), ": ", what);
}

void check_type(const hdf5::Dataset& dataset, std::initializer_list<ElementType> allowed) {
  if (std::find(allowed.begin(), allowed.end(), dataset.type()) != allowed.end()) return;
  std::string names;
  for (const auto type : allowed) names += (names.empty() ? "" : ", ") + std::string(element_type_name(type));
  refuse(dataset, cat("stored as ", element_type_name(dataset.type()), "; allowed: ", names,
                      ": convert the values and write the shard again"));
}

void check_rows(const hdf5::Dataset& dataset, std::int64_t samples) {
  if (dataset.shape().empty() || dataset.rows() != samples)
    refuse(dataset, cat("of shape ", shape_text(dataset.shape()), ", but /images has ", samples,
                        " samples: write one row for each sample"));
  if (dataset.row_elements() > 0 && dataset.stored_bytes() == 0)
    refuse(dataset, "declared, but never written: write the shard again");
}

// N numbers, one for each sample.
hdf5::Dataset column(const hdf5::File& file, const char* name, std::int64_t samples) {
  auto dataset = file.dataset(name);
  if (dataset.shape().size() != 1)
    refuse(dataset, cat("of shape ", shape_text(dataset.shape()), "; expected N"));
  check_rows(dataset, samples);
  return dataset;
}

}  // namespace

std::string layout_text(const SampleLayout& layout) {
  const auto shape = [&](std::int64_t channels) {
    return cat(channels, "×", layout.height, "×", layout.width, " ");
  };
  std::string text = cat("images ", shape(layout.channels), element_type_name(layout.image_type));
  text += layout.mask_channels == 0
              ? std::string(", no masks")
              : cat(", masks ", shape(layout.mask_channels), element_type_name(layout.mask_type),
                    layout.masks_per_class ? " (one for each class)" : "");
  switch (layout.labels) {
    case LabelKind::none:
      return text + ", no labels";
    case LabelKind::single:
      return text + ", one class each";
    case LabelKind::multi:
      return text + cat(", any of ", layout.label_classes, " classes");
  }
  return text;
}

ShardReader::ShardReader(const std::filesystem::path& path, std::optional<std::int64_t> class_count,
                         const ShardLimits& limits)
    : path_(path) {
  input_ = hdf5::open_input(path);
  const std::vector<std::string> datasets{"images", "masks", "labels", "ids", "groups", "weights"};
  if (auto translation = hdf5::check_structure(*input_, datasets, {"images", "masks"}, limits); !translation.empty())
    translation_ = std::make_shared<const hdf5::Translation>(std::move(translation));
  const hdf5::File file = hdf5::File::open(input_, translation_);
  check_header(file);
  for (const auto& name : datasets)
    if (file.is_dataset(name)) file.dataset(name).check_filters();
  open_images(file);
  if (file.exists("masks")) open_masks(file);
  if (file.exists("labels")) open_labels(file, class_count);
  open_extras(file);
  if (layout_.masks_per_class && class_count && layout_.mask_channels != *class_count)
    refuse(*masks_, cat("has ", layout_.mask_channels, " masks for each sample, but there are ", *class_count,
                        " classes: store one mask (N×1×H×W), or one for each class"));
  plan_pixels();
  look_at_masks();
  look_for_mask_scale();
}

void ShardReader::check_header(const hdf5::File& file) const {
  const char* remedy = ": not a shard; see docs/formats.md, or make one with isnet pack";
  if (!file.has_attribute("format")) refuse(file, cat("attribute 'format' is missing", remedy));
  if (const auto format = file.attribute<std::string>("format"); format != shard_format)
    refuse(file, cat("attribute 'format' is '", format, "' instead of '", shard_format, "'", remedy));
  if (!file.has_attribute("version")) refuse(file, cat("attribute 'version' is missing", remedy));
  if (const auto version = file.attribute<double>("version"); version != double{shard_version})
    refuse(file, cat("shard version ", version, "; this program reads version ", shard_version,
                     ": pack the data again, or use the program that wrote it"));
}

void ShardReader::open_images(const hdf5::File& file) {
  if (!file.is_dataset("images")) refuse(file, "dataset 'images' is missing");
  images_ = file.dataset("images");
  const auto& shape = images_->shape();
  if (shape.size() != 4) refuse(*images_, cat("of shape ", shape_text(shape), "; expected N×Ch×H×W"));
  if (shape[1] != 1 && shape[1] != 3)
    refuse(*images_, cat("of shape ", shape_text(shape), ": ", shape[1],
                         " channels; allowed: 1 (grey) or 3 (colour), as N×Ch×H×W"));
  if (hdf5::element_count(shape) == 0)
    refuse(*images_, cat("of shape ", shape_text(shape), ": holds no pixels"));
  check_type(*images_, {ElementType::uint8, ElementType::uint16, ElementType::float16, ElementType::float32,
                        ElementType::float64});
  size_ = shape[0];
  check_rows(*images_, size_);
  stored_images_ = images_->type();
  layout_.image_type = stored_images_ == ElementType::float16 ? ElementType::float32 : stored_images_;
  layout_.channels = shape[1];
  layout_.height = shape[2];
  layout_.width = shape[3];
}

void ShardReader::open_masks(const hdf5::File& file) {
  masks_ = file.dataset("masks");
  check_mask_shape(*masks_);
  check_type(*masks_, {ElementType::boolean, ElementType::uint8, ElementType::float16, ElementType::float32,
                       ElementType::float64});
  stored_masks_ = masks_->type();
  layout_.mask_type = stored_masks_ == ElementType::float16   ? ElementType::float32
                      : stored_masks_ == ElementType::boolean ? ElementType::uint8
                                                              : stored_masks_;
  layout_.mask_channels = masks_->shape()[1];
  layout_.masks_per_class = masks_->shape().size() == 5;
  says_soft_ = file.has_attribute(mask_values_attribute);
  if (!says_soft_) return;
  if (const auto value = file.attribute<std::string>(mask_values_attribute); value != "soft")
    refuse(file, cat("attribute '", mask_values_attribute, "' is '", value, "'; allowed: soft"));
}

void ShardReader::check_mask_shape(const hdf5::Dataset& dataset) const {
  const auto& shape = dataset.shape();
  const bool ranks =
      (shape.size() == 4 && shape[1] == 1) || (shape.size() == 5 && shape[1] >= 1 && shape[2] == 1);
  if (!ranks)
    refuse(dataset, cat("of shape ", shape_text(shape),
                        "; expected N×1×H×W, or N×K×1×H×W for one mask for each of K classes"));
  check_rows(dataset, size_);
  const std::int64_t height = shape[shape.size() - 2], width = shape.back();
  if (height != layout_.height || width != layout_.width)
    refuse(dataset, cat("masks of ", height, "×", width, " for images of ", layout_.height, "×",
                        layout_.width, ": resize them to the size of the images"));
}

void ShardReader::open_labels(const hdf5::File& file, std::optional<std::int64_t> class_count) {
  const auto dataset = file.dataset("labels");
  if (dataset.shape().size() == 2) return open_multi_labels(dataset, class_count);
  if (dataset.shape().size() != 1)
    refuse(dataset, cat("of shape ", shape_text(dataset.shape()),
                        "; expected N (one class each) or N×K (zeros and ones: multi-label)"));
  check_rows(dataset, size_);
  if (!is_integer(dataset.type()))
    refuse(dataset, cat("stored as ", element_type_name(dataset.type()), "; classes are integers ≥ 0"));
  labels_ = dataset.read<std::int64_t>().values;
  layout_.labels = LabelKind::single;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    if (labels_[i] < 0 || (class_count && labels_[i] >= *class_count))
      refuse(dataset, cat("sample ", i, ": label ", labels_[i], " is out of range",
                          class_count ? cat(" 0 … ", *class_count - 1, " (", *class_count, " classes)")
                                      : std::string(),
                          ": correct the label, or the number of classes"));
  }
}

void ShardReader::open_multi_labels(const hdf5::Dataset& dataset, std::optional<std::int64_t> class_count) {
  check_rows(dataset, size_);
  if (!is_integer(dataset.type()))
    refuse(dataset, cat("stored as ", element_type_name(dataset.type()), "; expected uint8 zeros and ones"));
  layout_.labels = LabelKind::multi;
  layout_.label_classes = dataset.shape()[1];
  if (layout_.label_classes < 1 || (class_count && layout_.label_classes != *class_count))
    refuse(dataset, cat("of shape ", shape_text(dataset.shape()), ": ", layout_.label_classes, " classes",
                        class_count ? cat(" instead of ", *class_count) : std::string(),
                        ": correct the labels, or the number of classes"));
  for (const auto value : dataset.read<std::int64_t>().values) {
    const auto at = static_cast<std::int64_t>(multi_labels_.size());
    if (value != 0 && value != 1)
      refuse(dataset, cat("sample ", at / layout_.label_classes, ", class ", at % layout_.label_classes, ": ",
                          value, "; allowed: 0 (no) and 1 (yes)"));
    multi_labels_.push_back(static_cast<std::uint8_t>(value));
  }
}

void ShardReader::open_extras(const hdf5::File& file) {
  if (file.exists("ids")) {
    const auto dataset = column(file, "ids", size_);
    if (is_integer(dataset.type()))  // numbers are names too
      for (const auto number : dataset.read<std::int64_t>().values) ids_.push_back(cat(number));
    else if (dataset.type() != ElementType::string)
      refuse(dataset, cat("stored as ", element_type_name(dataset.type()), "; expected text, or integers"));
    else
      ids_ = dataset.read<std::string>().values;
  }
  if (file.exists("groups")) {
    const auto dataset = column(file, "groups", size_);
    if (!is_integer(dataset.type())) refuse(dataset, "not stored as integers");
    groups_ = dataset.read<std::int64_t>().values;
  }
  if (!file.exists("weights")) return;
  const auto dataset = column(file, "weights", size_);
  if (dataset.type() == ElementType::string) refuse(dataset, "not stored as numbers");
  weights_ = dataset.read<double>().values;
  for (std::size_t i = 0; i < weights_.size(); ++i)
    if (!std::isfinite(weights_[i]) || weights_[i] < 0)
      refuse(dataset, cat("sample ", i, ": weight ", weights_[i], "; allowed: finite numbers ≥ 0"));
}

}  // namespace isnet
