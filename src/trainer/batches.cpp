#include "trainer/batches.h"

#include <ATen/ATen.h>

#include <memory>
#include <numeric>

namespace isnet {

std::int64_t counted_samples(const HostBatch& host) {
  return std::accumulate(host.counted.begin(), host.counted.end(), std::int64_t{0});
}

Batch to_batch(HostBatch&& moved, at::Device device, at::ScalarType dtype) {
  const auto host = std::make_shared<HostBatch>(std::move(moved));
  // The deleter's copy of `host` keeps the memory until the last tensor over it is gone.
  const auto over = [&](auto& values, std::vector<std::int64_t> shape, at::ScalarType type) {
    return at::from_blob(values.data(), shape, [host](void*) {}, at::dtype(type));
  };
  const bool exact = !host->images64.empty();
  const auto reals = [&](PixelBuffer<float>& single, PixelBuffer<double>& both,
                         const std::vector<std::int64_t>& shape) {
    const at::Tensor tensor = exact ? over(both, shape, at::kDouble) : over(single, shape, at::kFloat);
    return tensor.to(device, dtype, /*non_blocking=*/true);
  };
  // Values as stored are divided where the network runs.
  const auto stored = [&](PixelBuffer<std::uint8_t>& values, const std::vector<std::int64_t>& shape) {
    at::Tensor tensor = over(values, shape, at::kByte);
    if (device.is_cuda()) tensor = tensor.pin_memory();  // copied while the device computes
    return tensor.to(device, /*non_blocking=*/true).to(dtype).div_(255);
  };
  Batch batch;
  const std::int64_t size = host->size, height = host->height, width = host->width;
  const std::vector<std::int64_t> mask_shape{size, host->mask_channels, height, width};
  batch.images = host->stored_channels > 0
                     ? stored(host->images8, {size, host->stored_channels, height, width})
                     : reals(host->images, host->images64, {size, 3, height, width});
  if (host->stored_channels == 1) batch.images = batch.images.expand({size, 3, height, width}).contiguous();
  if (host->mask_channels > 0) {
    batch.masks = host->stored_channels > 0 ? stored(host->masks8, mask_shape)
                                            : reals(host->masks, host->masks64, mask_shape);
    if (host->masks_per_class) batch.masks = batch.masks.unsqueeze(2);
  }
  if (!host->labels.empty()) batch.labels = over(host->labels, {size}, at::kLong).to(device);
  if (!host->multi_labels.empty())
    batch.labels = over(host->multi_labels, {size, host->label_classes}, at::kFloat).to(device, dtype);
  batch.ids = over(host->ids, {size}, at::kLong);
  batch.epoch = host->epoch;
  batch.counted = counted_samples(*host);
  return batch;
}

}  // namespace isnet
