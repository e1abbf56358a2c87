#define KERNEL_TARGET baseline
#include "model/lrp/kernels/channels_last_kernels.h"

namespace isnet::kernels {

#if defined(__x86_64__)
namespace avx2 {
template <typename T>
Table<T> make();
}

int instruction_sets() {
  static const int count = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 2 : 1;
  return count;
}

template <typename T>
const Table<T>& table(int instruction_set) {
  static const Table<T> plain = baseline::make<T>(), vector = avx2::make<T>();
  return instruction_set == 0 ? plain : vector;
}
#else
int instruction_sets() {
  return 1;
}

template <typename T>
const Table<T>& table(int) {
  static const Table<T> plain = baseline::make<T>();
  return plain;
}
#endif

template const Table<float>& table<float>(int);
template const Table<double>& table<double>(int);

}  // namespace isnet::kernels
