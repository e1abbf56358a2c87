#define PIXELS_TARGET baseline
#include "data/kernels/pixels_loops.h"

namespace isnet::pixels {

#if defined(__x86_64__)
namespace avx2 {
template <typename Real>
Table<Real> make();
}

int instruction_sets() {
  static const int count = __builtin_cpu_supports("avx2") ? 2 : 1;
  return count;
}

template <typename Real>
const Table<Real>& table(int instruction_set) {
  static const Table<Real> plain = baseline::make<Real>(), vector = avx2::make<Real>();
  return instruction_set == 0 ? plain : vector;
}
#else
int instruction_sets() {
  return 1;
}

template <typename Real>
const Table<Real>& table(int) {
  static const Table<Real> plain = baseline::make<Real>();
  return plain;
}
#endif

template const Table<float>& table<float>(int);
template const Table<double>& table<double>(int);

}  // namespace isnet::pixels
