#include "data/shard_writer.h"

#include <system_error>

#include "base/error.h"
#include "base/files.h"

namespace isnet {

using hdf5::ElementType;

namespace {

hdf5::Dataset create(hdf5::File& file, const char* name, ElementType type, const hdf5::Shape& shape) {
  switch (type) {
    case ElementType::uint8:
      return file.create_dataset<std::uint8_t>(name, shape);
    case ElementType::uint16:
      return file.create_dataset<std::uint16_t>(name, shape);
    case ElementType::float32:
      return file.create_dataset<float>(name, shape);
    case ElementType::float64:
      return file.create_dataset<double>(name, shape);
    case ElementType::int64:
      return file.create_dataset<std::int64_t>(name, shape);
    default:
      fail(ErrorKind::internal, "a shard's ", name, " cannot be stored as ", element_type_name(type));
  }
}

template <typename T>
constexpr ElementType type_of() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return ElementType::uint8;
  if constexpr (std::is_same_v<T, std::uint16_t>) return ElementType::uint16;
  if constexpr (std::is_same_v<T, float>) return ElementType::float32;
  if constexpr (std::is_same_v<T, double>) return ElementType::float64;
  if constexpr (std::is_same_v<T, std::int64_t>) return ElementType::int64;
}

}  // namespace

ShardWriter::ShardWriter(const std::filesystem::path& path, std::int64_t samples, const SampleLayout& layout)
    : path_(path),
      temporary_(temporary_name(path)),
      samples_(samples),
      file_(hdf5::File::create(temporary_)) {
  file_->set_attribute<std::string>("format", shard_format);
  file_->set_attribute<std::int64_t>("version", shard_version);
  images_ = Part{
      create(*file_, "images", layout.image_type, {samples, layout.channels, layout.height, layout.width})};
  if (layout.mask_channels > 0) {
    const hdf5::Shape shape = layout.masks_per_class
                                  ? hdf5::Shape{samples, layout.mask_channels, 1, layout.height, layout.width}
                                  : hdf5::Shape{samples, 1, layout.height, layout.width};
    masks_ = Part{create(*file_, "masks", layout.mask_type, shape)};
  }
  if (layout.labels == LabelKind::single)
    labels_ = Part{create(*file_, "labels", ElementType::int64, {samples})};
  if (layout.labels == LabelKind::multi)
    labels_ = Part{create(*file_, "labels", ElementType::uint8, {samples, layout.label_classes})};
}

ShardWriter::~ShardWriter() {
  if (!file_) return;
  images_.reset();
  masks_.reset();
  labels_.reset();
  file_.reset();
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

template <typename T>
void ShardWriter::write(std::optional<Part>& part, const char* name, std::int64_t first, std::int64_t count,
                        const T* values) {
  if (!part || part->dataset.type() != type_of<T>())
    fail(ErrorKind::internal, path_.string(), ": the layout has no ", name, " of type ",
         element_type_name(type_of<T>()));
  part->dataset.write_rows(first, count, values);
  part->rows_written += count;
}

template <typename T>
void ShardWriter::write_images(std::int64_t first, std::int64_t count, const T* values) {
  write(images_, "images", first, count, values);
}

template <typename T>
void ShardWriter::write_masks(std::int64_t first, std::int64_t count, const T* values) {
  write(masks_, "masks", first, count, values);
}

void ShardWriter::write_labels(std::int64_t first, std::int64_t count, const std::int64_t* values) {
  write(labels_, "labels", first, count, values);
}

void ShardWriter::write_multi_labels(std::int64_t first, std::int64_t count, const std::uint8_t* values) {
  write(labels_, "labels", first, count, values);
}

void ShardWriter::declare_soft_masks() {
  file_->set_attribute<std::string>(mask_values_attribute, "soft");
}

void ShardWriter::write_ids(const std::vector<std::string>& values) {
  file_->write("ids", values, {samples_});
}
void ShardWriter::write_groups(const std::vector<std::int64_t>& values) {
  file_->write("groups", values, {samples_});
}
void ShardWriter::write_weights(const std::vector<double>& values) {
  file_->write("weights", values, {samples_});
}

void ShardWriter::check_complete(const std::optional<Part>& part) const {
  if (part && part->rows_written != samples_)
    fail(ErrorKind::internal, part->dataset.where(), ": ", part->rows_written, " of ", samples_,
         " samples written");
}

void ShardWriter::commit() {
  check_complete(images_);
  check_complete(masks_);
  check_complete(labels_);
  file_->close();
  commit_file(temporary_, path_);
  file_.reset();
}

template void ShardWriter::write_images(std::int64_t, std::int64_t, const std::uint8_t*);
template void ShardWriter::write_images(std::int64_t, std::int64_t, const std::uint16_t*);
template void ShardWriter::write_images(std::int64_t, std::int64_t, const float*);
template void ShardWriter::write_images(std::int64_t, std::int64_t, const double*);
template void ShardWriter::write_masks(std::int64_t, std::int64_t, const std::uint8_t*);
template void ShardWriter::write_masks(std::int64_t, std::int64_t, const float*);
template void ShardWriter::write_masks(std::int64_t, std::int64_t, const double*);

}  // namespace isnet
