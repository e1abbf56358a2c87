#define KERNEL_TARGET baseline
#include "model/lrp/kernels/channels_last_kernels.h"

namespace isnet::kernels {

#if defined(__x86_64__)
namespace avx2 {
template <typename T>
Table<T> make();
}
#endif

template <typename T>
const Table<T>& table() {
#if defined(__x86_64__)
  static const Table<T> chosen =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2::make<T>() : baseline::make<T>();
#else
  static const Table<T> chosen = baseline::make<T>();
#endif
  return chosen;
}
template const Table<float>& table<float>();
template const Table<double>& table<double>();

}  // namespace isnet::kernels
