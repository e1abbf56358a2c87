// The kernels' code; included once for each instruction set, in a namespace of its own (KERNEL_TARGET).
// No standard library templates here: the linker might keep the copy that older processors cannot run.
#include "model/lrp/kernels/channels_last.h"

namespace isnet::kernels::KERNEL_TARGET {
namespace {

constexpr std::int64_t chunk = 256;  // channels that stay in registers and first-level cache
constexpr std::int64_t block = 32;   // rows that are summed in T before they go to double

template <typename T>
void moments(const T* x, const T* origin, std::int64_t channels, std::int64_t begin, std::int64_t end,
             double* sum, double* squares) {
  T s[chunk], q[chunk];
  for (std::int64_t row = begin; row < end; row += block) {
    const std::int64_t last = row + block < end ? row + block : end;
    for (std::int64_t first = 0; first < channels; first += chunk) {
      const std::int64_t width = channels - first < chunk ? channels - first : chunk;
      for (std::int64_t i = 0; i < width; ++i) s[i] = q[i] = 0;
      for (std::int64_t r = row; r < last; ++r) {
        const T* from = x + r * channels + first;
        const T* zero = origin + first;
        for (std::int64_t i = 0; i < width; ++i) {
          const T d = from[i] - zero[i];
          s[i] += d;
          q[i] += d * d;
        }
      }
      for (std::int64_t i = 0; i < width; ++i) {
        sum[first + i] += static_cast<double>(s[i]);
        squares[first + i] += static_cast<double>(q[i]);
      }
    }
  }
}

template <bool Relu, typename T>
void normalize_slice(const T* x, std::int64_t width, const T* scale, const T* shift, T* out,
                     std::int64_t channels, std::int64_t begin, std::int64_t end) {
  for (std::int64_t r = begin; r < end; ++r) {
    const T* from = x + r * width;
    T* __restrict to = out + r * channels;
    for (std::int64_t i = 0; i < width; ++i) {
      const T z = scale[i] * from[i] + shift[i];
      to[i] = Relu ? (z > 0 ? z : (z == z ? T(0) : z)) : z;  // NaN stays NaN
    }
  }
}

template <typename T>
void normalize(Slices<const T> x, const T* scale, const T* shift, bool relu, std::int64_t channels, T* out,
               std::int64_t begin, std::int64_t end) {
  // A few rows at a time, all slices of them: the output is written in one go.
  for (std::int64_t row = begin; row < end; row += block) {
    const std::int64_t last = row + block < end ? row + block : end;
    std::int64_t first = 0;
    for (std::int64_t s = 0; s < x.count; ++s) {
      const auto slice = relu ? normalize_slice<true, T> : normalize_slice<false, T>;
      slice(x.data[s], x.widths[s], scale + first, shift + first, out + first, channels, row, last);
      first += x.widths[s];
    }
  }
}

// The gradient of one element through the numerator (live) and the denominator (constant) of its gate.
template <typename T>
struct Terms {
  T live, constant, weight;  // weight: loss by scale, times the gate
};

template <bool Gated, bool Relu, typename T>
inline Terms<T> terms(T z, T dy, T s, T scale, T epsilon) {
  const bool active = !Relu || z > 0;
  Terms<T> t{active ? dy : T(0), 0, 0};
  if (Gated) {
    const T quotient = T(1) / ((active ? z : T(1)) + epsilon);  // z = −ε is no pole
    const T share = active ? s * quotient : T(0);
    t.live += share * scale;
    t.weight = share * z;
    t.constant = -t.weight * quotient * scale;
  }
  return t;
}

template <bool Gated, bool Relu, typename T>
void sums_chunk(const NormalizeGradient<T>& of, const T* x, std::int64_t stride, std::int64_t channel,
                std::int64_t width, std::int64_t channels, double* sums, std::int64_t begin,
                std::int64_t end) {
  T s0[chunk], s1[chunk], s2[chunk], s3[chunk];
  const T *scale = of.scale + channel, *shift = of.shift + channel;
  const T *inverse = of.inverse + channel, *mean = of.mean + channel;
  for (std::int64_t i = 0; i < width; ++i) s0[i] = s1[i] = s2[i] = s3[i] = 0;
  for (std::int64_t r = begin; r < end; ++r) {
    const T* from = x + r * stride;
    const T* dy = of.out_gradient + r * channels + channel;
    const T* gate = Gated ? of.gate_gradient + r * channels + channel : dy;
    for (std::int64_t i = 0; i < width; ++i) {
      const T hat = inverse[i] * (from[i] - mean[i]);
      const auto t =
          terms<Gated, Relu, T>(scale[i] * from[i] + shift[i], dy[i], gate[i], scale[i], of.epsilon);
      s0[i] += t.live;
      s1[i] += t.live * hat;
      if (Gated) {
        s2[i] += t.constant * hat + t.weight * inverse[i];
        s3[i] += t.constant;
      }
    }
  }
  for (std::int64_t i = 0; i < width; ++i) {
    sums[channel + i] += static_cast<double>(s0[i]);
    sums[channels + channel + i] += static_cast<double>(s1[i]);
    if (Gated) {
      sums[2 * channels + channel + i] += static_cast<double>(s2[i]);
      sums[3 * channels + channel + i] += static_cast<double>(s3[i]);
    }
  }
}

template <typename T>
void normalize_sums(const NormalizeGradient<T>& of, std::int64_t channels, double* sums, std::int64_t begin,
                    std::int64_t end) {
  const auto part = of.gate_gradient ? (of.relu ? sums_chunk<true, true, T> : sums_chunk<true, false, T>)
                                     : (of.relu ? sums_chunk<false, true, T> : sums_chunk<false, false, T>);
  for (std::int64_t row = begin; row < end; row += block) {
    const std::int64_t last = row + block < end ? row + block : end;
    std::int64_t channel = 0;
    for (std::int64_t s = 0; s < of.x.count; ++s)
      for (std::int64_t first = 0; first < of.x.widths[s]; first += chunk) {
        const std::int64_t width = of.x.widths[s] - first < chunk ? of.x.widths[s] - first : chunk;
        part(of, of.x.data[s] + first, of.x.widths[s], channel, width, channels, sums, row, last);
        channel += width;
      }
  }
}

template <bool Gated, bool Relu, typename T>
void gradient_slice(const NormalizeGradient<T>& of, const T* x, std::int64_t channel, std::int64_t width,
                    std::int64_t channels, const T* mean_live, const T* mean_product, T* dx,
                    std::int64_t begin, std::int64_t end) {
  const T *scale = of.scale + channel, *shift = of.shift + channel;
  const T *inverse = of.inverse + channel, *mean = of.mean + channel;
  const T *m0 = mean_live + channel, *m1 = mean_product + channel;
  for (std::int64_t r = begin; r < end; ++r) {
    const T* from = x + r * width;
    const T* dy = of.out_gradient + r * channels + channel;
    const T* gate = Gated ? of.gate_gradient + r * channels + channel : dy;
    T* __restrict to = dx + r * width;
    for (std::int64_t i = 0; i < width; ++i) {
      const T hat = inverse[i] * (from[i] - mean[i]);
      const auto t =
          terms<Gated, Relu, T>(scale[i] * from[i] + shift[i], dy[i], gate[i], scale[i], of.epsilon);
      to[i] = scale[i] * (t.live + t.constant - m0[i] - hat * m1[i]);
    }
  }
}

template <typename T>
void normalize_gradient(const NormalizeGradient<T>& of, std::int64_t channels, const T* mean_live,
                        const T* mean_product, Slices<T> dx, std::int64_t begin, std::int64_t end) {
  const auto part = of.gate_gradient
                        ? (of.relu ? gradient_slice<true, true, T> : gradient_slice<true, false, T>)
                        : (of.relu ? gradient_slice<false, true, T> : gradient_slice<false, false, T>);
  for (std::int64_t row = begin; row < end; row += block) {
    const std::int64_t last = row + block < end ? row + block : end;
    std::int64_t channel = 0;
    for (std::int64_t s = 0; s < dx.count; ++s) {
      part(of, of.x.data[s], channel, dx.widths[s], channels, mean_live, mean_product, dx.data[s], row, last);
      channel += dx.widths[s];
    }
  }
}

// k = scale·a/(a + ε) where a > 0.
template <typename T>
inline void gate_row(const Gate<T>& of, const T* a, std::int64_t channel, std::int64_t width, T* k) {
  if (of.plain) {
    for (std::int64_t i = 0; i < width; ++i) k[i] = a[i];
    return;
  }
  const T epsilon = of.epsilon;
  for (std::int64_t i = 0; i < width; ++i) {
    const T positive = a[i] > 0 ? a[i] : T(0);  // no branch: vector code
    k[i] = positive / (positive + epsilon);
  }
  if (of.scale)
    for (std::int64_t i = 0; i < width; ++i) k[i] *= of.scale[channel + i];
}

template <typename T>
void gate(const Gate<T>& of, Slices<T> out, const bool* accumulate, std::int64_t begin, std::int64_t end) {
  T k[chunk];
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t image = row / of.pixels, pixel = row % of.pixels;
    std::int64_t channel = 0;
    for (std::int64_t s = 0; s < out.count; ++s)
      for (std::int64_t first = 0; first < out.widths[s]; first += chunk) {
        const std::int64_t width = out.widths[s] - first < chunk ? out.widths[s] - first : chunk;
        gate_row(of, of.a + row * of.channels + channel, channel, width, k);
        for (std::int64_t map = 0; map < of.maps; ++map) {
          const std::int64_t place = (image * of.maps + map) * of.pixels + pixel;
          const T* from = of.c + place * of.channels + channel;
          T* __restrict to = out.data[s] + place * out.widths[s] + first;
          if (accumulate[s])
            for (std::int64_t i = 0; i < width; ++i) to[i] += from[i] * k[i];
          else
            for (std::int64_t i = 0; i < width; ++i) to[i] = from[i] * k[i];
        }
        channel += width;
      }
  }
}

template <typename T>
void gate_gradient(const Gate<T>& of, Slices<const T> gradient, T* dc, T* gate_gradient, std::int64_t begin,
                   std::int64_t end) {
  T k[chunk], sum[chunk];
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t image = row / of.pixels, pixel = row % of.pixels;
    std::int64_t channel = 0;
    for (std::int64_t s = 0; s < gradient.count; ++s)
      for (std::int64_t first = 0; first < gradient.widths[s]; first += chunk) {
        const std::int64_t width = gradient.widths[s] - first < chunk ? gradient.widths[s] - first : chunk;
        gate_row(of, of.a + row * of.channels + channel, channel, width, k);
        for (std::int64_t i = 0; i < width; ++i) sum[i] = 0;
        for (std::int64_t map = 0; map < of.maps; ++map) {
          const std::int64_t place = (image * of.maps + map) * of.pixels + pixel;
          const T* c = of.c + place * of.channels + channel;
          T* __restrict to = dc + place * of.channels + channel;
          if (!gradient.data[s]) {
            for (std::int64_t i = 0; i < width; ++i) to[i] = 0;
            continue;
          }
          const T* from = gradient.data[s] + place * gradient.widths[s] + first;
          for (std::int64_t i = 0; i < width; ++i) {
            to[i] = from[i] * k[i];
            sum[i] += from[i] * c[i];
          }
        }
        T* __restrict to = gate_gradient + row * of.channels + channel;
        for (std::int64_t i = 0; i < width; ++i) to[i] = sum[i];
        channel += width;
      }
  }
}

}  // namespace

template <typename T>
Table<T> make() {
  return {moments<T>, normalize<T>, normalize_sums<T>, normalize_gradient<T>, gate<T>, gate_gradient<T>};
}
template Table<float> make<float>();
template Table<double> make<double>();

}  // namespace isnet::kernels::KERNEL_TARGET
