// Reading of a shard's images and masks: the one place where pixels come from the file.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "data/shard.h"

namespace isnet {

using hdf5::ElementType;

namespace {

// One row of a dataset as it is stored. Buffers are of the thread: a batch reads many rows of one size.
template <typename Stored>
const std::vector<Stored>& stored_row(const hdf5::Dataset& dataset, std::int64_t index) {
  thread_local std::vector<Stored> buffer;
  buffer.resize(static_cast<std::size_t>(dataset.row_elements()));
  dataset.read_rows<Stored>(index, 1, buffer.data());
  return buffer;
}

template <typename Stored, typename Real>
void scaled_row(const hdf5::Dataset& dataset, std::int64_t index, Real* out) {
  const auto& row = stored_row<Stored>(dataset, index);
  if constexpr (std::is_integral_v<Stored>) {
    constexpr Real largest = std::numeric_limits<Stored>::max();
    std::transform(row.begin(), row.end(), out,
                   [](Stored value) { return static_cast<Real>(value) / largest; });
  } else {
    std::transform(row.begin(), row.end(), out, [](Stored value) { return static_cast<Real>(value); });
  }
}

// Integers divided by their largest value, numbers with a point as they are.
template <typename Real>
void read_row(const hdf5::Dataset& dataset, std::int64_t index, Real* out) {
  switch (dataset.type()) {
    case ElementType::uint8:
      return scaled_row<std::uint8_t>(dataset, index, out);
    case ElementType::uint16:
      return scaled_row<std::uint16_t>(dataset, index, out);
    case ElementType::float32:
      return scaled_row<float>(dataset, index, out);
    case ElementType::float64:
      return scaled_row<double>(dataset, index, out);
    default:
      fail(ErrorKind::internal, dataset.where(), ": pixels of an unchecked type");
  }
}

}  // namespace

template <typename Real>
void ShardReader::read_image(std::int64_t index, Real* out) const {
  read_row(*images_, index, out);
  const std::int64_t pixels = layout_.pixels();
  const std::int64_t stored = layout_.channels * pixels;
  if (!hdf5::is_integer(layout_.image_type) &&
      !std::all_of(out, out + stored, [](Real value) { return std::isfinite(value); }))
    fail(ErrorKind::data, images_->where(), ": sample ", index,
         ": a pixel is not finite (NaN or infinity): correct the image, or leave it out");
  if (layout_.channels == 1) {
    std::copy_n(out, pixels, out + pixels);
    std::copy_n(out, pixels, out + 2 * pixels);
  }
}

template <typename Real>
void ShardReader::read_mask(std::int64_t index, Real* out) const {
  if (!masks_) return;
  read_row(*masks_, index, out);
  const std::int64_t count = masks_->row_elements();
  if (masks_->type() == ElementType::uint8) {
    if (mask_scale_known_) return;
    const Real largest = *std::max_element(out, out + count);
    settle_mask_scale(static_cast<int>(std::lround(largest * 255)));
    return;
  }
  const Real* wrong = std::find_if(out, out + count, [](Real value) { return !(value >= 0 && value <= 1); });
  if (wrong != out + count)
    fail(ErrorKind::data, masks_->where(), ": sample ", index, ": mask value ", *wrong,
         " is outside 0 … 1: divide the masks by their largest value, or store them as uint8 with 255 for the"
         " region of interest");
}

int ShardReader::largest_mask_value(std::int64_t index) const {
  const auto& row = stored_row<std::uint8_t>(*masks_, index);
  return *std::max_element(row.begin(), row.end());
}

void ShardReader::look_for_mask_scale() const {
  if (!masks_ || masks_->type() != ElementType::uint8) mask_scale_known_ = true;
  constexpr std::int64_t looked_at = 64;  // more empty masks than that are left to read_mask()
  for (std::int64_t i = 0; i < std::min(size_, looked_at) && !mask_scale_known_; ++i)
    settle_mask_scale(largest_mask_value(i));
}

// A mask with nothing above 1 may be a very faint one, or the whole shard is coded 0/1: only all masks tell.
void ShardReader::settle_mask_scale(int largest_seen) const {
  if (largest_seen == 0) return;
  for (std::int64_t i = 0; i < size_ && largest_seen <= 1; ++i) largest_seen = largest_mask_value(i);
  if (largest_seen <= 1)
    fail(ErrorKind::data, masks_->where(),
         ": no uint8 mask value is above 1, but 255 means the region of interest:"
         " multiply the masks by 255 and write the shard again");
  mask_scale_known_ = true;
}

template void ShardReader::read_image<float>(std::int64_t, float*) const;
template void ShardReader::read_image<double>(std::int64_t, double*) const;
template void ShardReader::read_mask<float>(std::int64_t, float*) const;
template void ShardReader::read_mask<double>(std::int64_t, double*) const;

}  // namespace isnet
