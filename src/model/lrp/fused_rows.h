// What the fused functions share: tensors as rows of channels.
#pragma once

#include <ATen/ATen.h>

#include "base/error.h"

namespace isnet::fused {

inline at::Tensor channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

inline at::Tensor empty_like_rows(const at::Tensor& like, at::IntArrayRef sizes) {
  return at::empty(sizes, like.options().memory_format(at::MemoryFormat::ChannelsLast));
}

/// For hand-written backward passes. Errors: internal.
inline void refuse_second_derivatives() {
  if (at::GradMode::is_enabled())
    fail(ErrorKind::internal, "second derivatives through fused kernels: record the tape with fused = false");
}

}  // namespace isnet::fused
