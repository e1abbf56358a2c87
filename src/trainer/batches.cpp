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
  Batch batch;
  const std::int64_t size = host->size, height = host->height, width = host->width;
  batch.images = reals(host->images, host->images64, {size, 3, height, width});
  if (host->mask_channels > 0) {
    batch.masks = reals(host->masks, host->masks64, {size, host->mask_channels, height, width});
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
