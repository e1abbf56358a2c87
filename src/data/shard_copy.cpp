#include "data/shard_copy.h"

#include "base/error.h"

namespace isnet {
namespace {

template <typename T>
void copy_images_as(const hdf5::Dataset& images, ShardWriter& to, std::int64_t first, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count * images.row_elements()));
  images.read_rows(first, count, values.data());
  to.write_images(first, count, values.data());
}

}  // namespace

void copy_images(const ShardReader& from, ShardWriter& to, std::int64_t first, std::int64_t count) {
  from.check_unchanged();
  const hdf5::Dataset images = hdf5::File::open(from.path()).dataset("images");
  switch (from.layout().image_type) {
    case hdf5::ElementType::uint8:
      return copy_images_as<std::uint8_t>(images, to, first, count);
    case hdf5::ElementType::uint16:
      return copy_images_as<std::uint16_t>(images, to, first, count);
    case hdf5::ElementType::float32:
      return copy_images_as<float>(images, to, first, count);
    case hdf5::ElementType::float64:
      return copy_images_as<double>(images, to, first, count);
    default:
      fail(ErrorKind::internal, images.where(), ": images of type ", element_type_name(images.type()));
  }
}

void copy_columns(const ShardReader& from, ShardWriter& to) {
  if (from.layout().labels == LabelKind::single) to.write_labels(0, from.size(), from.labels().data());
  if (from.layout().labels == LabelKind::multi)
    to.write_multi_labels(0, from.size(), from.multi_labels().data());
  if (!from.ids().empty()) to.write_ids(from.ids());
  if (!from.groups().empty()) to.write_groups(from.groups());
  if (!from.weights().empty()) to.write_weights(from.weights());
}

}  // namespace isnet
