// Reading of a shard's images and masks: the one place where pixels come from the file.
#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "data/kernels/pixels.h"
#include "data/mask_census.h"
#include "data/pixel_buffer.h"
#include "data/shard.h"

namespace isnet {

using hdf5::ElementType;

namespace {

// A sample's numbers as they are stored. Buffers are of the thread: a batch reads many samples of one size.
std::byte* sample_buffer(std::int64_t bytes) {
  thread_local PixelBuffer<std::byte> buffer;
  if (buffer.size() < static_cast<std::size_t>(bytes)) buffer.resize(static_cast<std::size_t>(bytes));
  return buffer.data();
}

template <typename Stored>
void read_with_library(const hdf5::Dataset& dataset, std::int64_t index, void* out) {
  dataset.read_rows<Stored>(index, 1, static_cast<Stored*>(out));
}

void read_with_library(const hdf5::Dataset& dataset, std::int64_t index, void* out) {
  switch (dataset.type()) {
    case ElementType::boolean:
    case ElementType::uint8:
      return read_with_library<std::uint8_t>(dataset, index, out);
    case ElementType::uint16:
      return read_with_library<std::uint16_t>(dataset, index, out);
    case ElementType::float16:
    case ElementType::float32:
      return read_with_library<float>(dataset, index, out);
    case ElementType::float64:
      return read_with_library<double>(dataset, index, out);
    default:
      fail(ErrorKind::internal, dataset.where(), ": pixels of an unchecked type");
  }
}

// Integers divided by their largest value, numbers with a point as they are.
template <typename Real>
void convert(ElementType type, const void* stored, std::int64_t count, Real* out) {
  const auto& loops = pixels::table<Real>();
  switch (type) {
    case ElementType::uint8:
      return loops.from_uint8(static_cast<const std::uint8_t*>(stored), count, out);
    case ElementType::uint16:
      return loops.from_uint16(static_cast<const std::uint16_t*>(stored), count, out);
    case ElementType::float16:
      return loops.from_half(static_cast<const std::uint16_t*>(stored), count, out);
    case ElementType::float32:
      return loops.from_float(static_cast<const float*>(stored), count, out);
    default:
      return loops.from_double(static_cast<const double*>(stored), count, out);
  }
}

}  // namespace

/// Decides how images and masks are read, and lets go of what is not needed for that.
void ShardReader::plan_pixels() {
  auto plan = std::make_shared<ShardPlan>();
  plan->path = path_;
  plan->identity = input_->identity();
  plan->layout = layout_;
  plan->size = size_;
  plan->translation = translation_;
  plan->stored_images = stored_images_;
  plan->stored_masks = stored_masks_;
  plan->soft_masks = says_soft_;
  const auto locate = [](std::optional<hdf5::Dataset>& dataset) {
    RowMap map = dataset->locate_rows();
    if (map.direct())
      dataset.reset();
    else
      log::debug(cat(map.where, ": read by HDF5, one thread at a time: ", map.obstacle));
    return map;
  };
  plan->images = locate(images_);
  if (masks_) plan->masks = locate(masks_);
  plan_ = std::move(plan);
}

ShardReader::ShardReader(std::shared_ptr<const ShardPlan> plan)
    : path_(plan->path),
      layout_(plan->layout),
      size_(plan->size),
      input_(std::make_shared<InputFile>(plan->path, plan->identity)),
      plan_(std::move(plan)) {
  const bool masks = layout_.mask_channels > 0;
  if (plan_->images.direct() && (!masks || plan_->masks.direct())) return;
  const hdf5::File file = hdf5::File::open(input_, plan_->translation);
  if (!plan_->images.direct()) images_ = file.dataset("images");
  if (masks && !plan_->masks.direct()) masks_ = file.dataset("masks");
}

// The library makes float32 of float16; where rows are read without it, that is left to convert().
ShardReader::Pixels ShardReader::pixels_of(ElementType type, ElementType stored, std::int64_t count,
                                           const RowMap& map, const std::optional<hdf5::Dataset>& dataset) {
  const bool half = stored == ElementType::float16 && map.direct();
  return {half ? stored : type, count, &map, dataset ? &*dataset : nullptr, stored == ElementType::boolean};
}

ShardReader::Pixels ShardReader::images() const {
  return pixels_of(layout_.image_type, plan_->stored_images, layout_.channels * layout_.pixels(),
                   plan_->images, images_);
}

ShardReader::Pixels ShardReader::masks() const {
  return pixels_of(layout_.mask_type, plan_->stored_masks, layout_.mask_channels * layout_.pixels(),
                   plan_->masks, masks_);
}

void ShardReader::read_stored(const Pixels& pixels, std::int64_t index, void* out) const {
  if (pixels.map->direct())
    read_row(*input_, *pixels.map, index, out);
  else
    read_with_library(*pixels.dataset, index, out);
  if (!pixels.boolean) return;
  auto* const bytes = static_cast<std::uint8_t*>(out);
  for (std::int64_t i = 0; i < pixels.count; ++i) bytes[i] = bytes[i] == 0 ? 0 : 255;
}

template <typename Real>
void ShardReader::read_converted(const Pixels& pixels, std::int64_t index, Real* out) const {
  if (pixels.type == (sizeof(Real) == 4 ? ElementType::float32 : ElementType::float64))
    return read_stored(pixels, index, out);
  std::byte* const stored = sample_buffer(pixels.count * hdf5::element_bytes(pixels.type));
  read_stored(pixels, index, stored);
  convert(pixels.type, stored, pixels.count, out);
}

template <typename Real>
void ShardReader::read_image(std::int64_t index, Real* out) const {
  const Pixels pixels = images();
  read_converted(pixels, index, out);
  if (!hdf5::is_integer(pixels.type) && !pixels::table<Real>().all_finite(out, pixels.count))
    fail(ErrorKind::data, pixels.map->where, ": sample ", index,
         ": a pixel is not finite (NaN or infinity): correct the image, or leave it out");
  if (layout_.channels == 1) {
    std::copy_n(out, pixels.count, out + pixels.count);
    std::copy_n(out, pixels.count, out + 2 * pixels.count);
  }
}

template <typename Real>
void ShardReader::read_mask(std::int64_t index, Real* out) const {
  if (layout_.mask_channels == 0) return;
  const Pixels pixels = masks();
  if (pixels.type == ElementType::uint8) {
    std::byte* const stored = sample_buffer(pixels.count);
    read_stored_mask(index, reinterpret_cast<std::uint8_t*>(stored));
    return convert(pixels.type, stored, pixels.count, out);
  }
  read_converted(pixels, index, out);
  if (pixels::table<Real>().all_in_unit_interval(out, pixels.count)) return;
  const Real* wrong =
      std::find_if(out, out + pixels.count, [](Real value) { return !(value >= 0 && value <= 1); });
  fail(ErrorKind::data, pixels.map->where, ": sample ", index, ": mask value ", *wrong,
       " is outside 0 … 1: store 1 for the region of interest and 0 for the background, of class codes"
       " for the classes that are of interest");
}

void ShardReader::read_stored_image(std::int64_t index, std::uint8_t* out) const {
  if (layout_.image_type != ElementType::uint8)
    fail(ErrorKind::internal, path_.string(), ": images are not stored as uint8");
  read_stored(images(), index, out);
}

void ShardReader::read_stored_mask(std::int64_t index, std::uint8_t* out) const {
  if (layout_.mask_channels == 0) return;
  const Pixels pixels = masks();
  if (pixels.type != ElementType::uint8)
    fail(ErrorKind::internal, path_.string(), ": masks are not stored as uint8");
  read_stored(pixels, index, out);
  if (!plan_->mask_scale_known) settle_mask_scale(pixels::table<float>().largest(out, pixels.count));
}

int ShardReader::largest_mask_value(std::int64_t index) const {
  const Pixels pixels = masks();
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(pixels.count));
  read_stored(pixels, index, mask.data());
  return pixels::table<float>().largest(mask.data(), pixels.count);
}

void ShardReader::look_at_masks() const {
  if (layout_.mask_channels == 0 || says_soft_) return;
  const Pixels pixels = masks();
  MaskCensus census;
  constexpr std::int64_t looked_at = 8;
  const std::int64_t count = std::min(size_, looked_at);
  for (std::int64_t i = 0; i < count; ++i) add_mask(pixels, i * size_ / count, census);
  if (census.largest() == 1 && pixels.type == ElementType::uint8)
    return;  // look_for_mask_scale() has more to say
  if (const auto codes = census.class_codes())
    fail(ErrorKind::data, pixels.map->where, ": ", class_codes_text(*codes));
}

void ShardReader::add_mask(const Pixels& pixels, std::int64_t index, MaskCensus& census) const {
  const auto add = [&](const auto* values) {
    for (std::int64_t k = 0; k < layout_.mask_channels; ++k)
      census.add(values + k * layout_.pixels(), layout_.height, layout_.width);
  };
  if (pixels.type == ElementType::uint8) {
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(pixels.count));
    read_stored(pixels, index, mask.data());
    add(mask.data());
  } else {
    std::vector<float> mask(static_cast<std::size_t>(pixels.count));
    read_converted(pixels, index, mask.data());
    add(mask.data());
  }
}

void ShardReader::look_for_mask_scale() const {
  if (layout_.mask_channels == 0 || layout_.mask_type != ElementType::uint8 ||
      plan_->stored_masks == ElementType::boolean)
    plan_->mask_scale_known = true;
  constexpr std::int64_t looked_at = 64;  // more empty masks than that are left to read_mask()
  for (std::int64_t i = 0; i < std::min(size_, looked_at) && !plan_->mask_scale_known; ++i)
    settle_mask_scale(largest_mask_value(i));
}

// A mask with nothing above 1 may be a very faint one, or the whole shard is coded 0/1: only all masks tell.
void ShardReader::settle_mask_scale(int largest_seen) const {
  if (largest_seen == 0) return;
  for (std::int64_t i = 0; i < size_ && largest_seen <= 1; ++i) largest_seen = largest_mask_value(i);
  if (largest_seen <= 1)
    fail(ErrorKind::data, plan_->masks.where,
         ": no uint8 mask value is above 1, but 255 means the region of interest:"
         " multiply the masks by 255 and write the shard again");
  plan_->mask_scale_known = true;
}

template void ShardReader::read_image<float>(std::int64_t, float*) const;
template void ShardReader::read_image<double>(std::int64_t, double*) const;
template void ShardReader::read_mask<float>(std::int64_t, float*) const;
template void ShardReader::read_mask<double>(std::int64_t, double*) const;

}  // namespace isnet
