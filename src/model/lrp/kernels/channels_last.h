// Elementwise kernels of the forward pass and the walk, over channels-last data: rows (pixels) of F channels.
// Torch-free, so that one source can be compiled for several instruction sets; the fastest that the processor
// has is chosen at run time. Each works on rows [begin, end) and is called from at::parallel_for.
#pragma once

#include <cstdint>

namespace isnet::kernels {

/// A row of channels cut into slices that lie in different tensors, as a concatenation that is not stored.
template <typename T>
struct Slices {
  T* const* data;              ///< for each slice: rows of its width
  const std::int64_t* widths;  ///< their sum is the row's number of channels
  std::int64_t count;
};

/// Backward pass of out = relu(scale·x + shift), scale = γ/σ, shift = β − μ·scale, together with that of the
/// gate scale·out/(out + ε), whose denominator takes β, μ and σ for constants.
template <typename T>
struct NormalizeGradient {
  Slices<const T> x;
  const T *scale, *shift;   ///< F
  const T *inverse, *mean;  ///< F: x̂ = inverse·(x − mean)
  const T* out_gradient;    ///< rows of F
  const T* gate_gradient;   ///< rows of F: loss by (gate/scale); null: there was no gate
  T epsilon;
  bool relu;
};

/// One step of the walk through a gate, for M maps of each image: out = c · scale·a/(a + ε) where a > 0, else
/// 0. c: rows (image, map, pixel); a: rows (image, pixel).
template <typename T>
struct Gate {
  const T *c, *a, *scale;  ///< scale: F, or null for ones
  T epsilon;
  bool plain;  ///< a itself is the factor
  std::int64_t maps, pixels, channels;
};

template <typename T>
struct Table {
  /// Adds Σ(x − origin) and Σ(x − origin)² of each channel.
  void (*moments)(const T* x, const T* origin, std::int64_t channels, std::int64_t begin, std::int64_t end,
                  double* sum, double* squares);
  /// out = scale·x + shift, ReLU of it if wanted.
  void (*normalize)(Slices<const T> x, const T* scale, const T* shift, bool relu, std::int64_t channels,
                    T* out, std::int64_t begin, std::int64_t end);
  /// Adds to sums[0…4F): Σ live, Σ live·x̂, the gate's own share in γ's gradient, Σ constant.
  void (*normalize_sums)(const NormalizeGradient<T>& of, std::int64_t channels, double* sums,
                         std::int64_t begin, std::int64_t end);
  /// dx = scale·(live + constant − mean_live − x̂·mean_live_x̂).
  void (*normalize_gradient)(const NormalizeGradient<T>& of, std::int64_t channels, const T* mean_live,
                             const T* mean_product, Slices<T> dx, std::int64_t begin, std::int64_t end);
  /// Rows (image, pixel). accumulate: for each slice, whether to add to what is there.
  void (*gate)(const Gate<T>& of, Slices<T> out, const bool* accumulate, std::int64_t begin,
               std::int64_t end);
  /// gradient's slices may be null (zero). dc = gradient·gate; gate_gradient = Σ over maps of gradient·c.
  void (*gate_gradient)(const Gate<T>& of, Slices<const T> gradient, T* dc, T* gate_gradient,
                        std::int64_t begin, std::int64_t end);
};

/// How many instruction sets there are kernels for that this processor runs; the last is the fastest.
int instruction_sets();

/// T: float or double.
template <typename T>
const Table<T>& table(int instruction_set = instruction_sets() - 1);

}  // namespace isnet::kernels
