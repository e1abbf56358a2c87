// From the loader's memory to the network's tensors.
#pragma once

#include "data/batch.h"
#include "model/batch.h"

namespace isnet {

/// Tensors over the host batch's memory, which they keep alive, moved to device and type. Samples that only
/// pad the batch stay in it: HostBatch::counted tells them.
Batch to_batch(HostBatch&& host, at::Device device, at::ScalarType dtype);

/// How many samples of a batch count (the others, at its end, pad it).
std::int64_t counted_samples(const HostBatch& host);

}  // namespace isnet
