// Compiled only where the torch wheel has CUDA (USE_C10D_NCCL).
#include <c10/cuda/CUDAFunctions.h>

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "distributed/process_group.h"

namespace isnet {
namespace {

c10::intrusive_ptr<c10d::Backend> connect(const BackendPlace& place) {
  const auto devices = c10::cuda::device_count();
  if (devices == 0)
    fail(ErrorKind::usage, "--backend nccl needs a GPU, this host has none: use --backend gloo");
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(place.local_rank % devices));
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = place.timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(place.store, place.rank, place.world_size, options);
}

const Registration<BackendFactory> registration(process_group_backends(),
                                                {"nccl", "NVIDIA's library, for CUDA tensors", {}, connect});

}  // namespace
}  // namespace isnet
