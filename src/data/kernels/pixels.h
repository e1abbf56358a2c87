// Loops over pixels: from stored numbers to floating-point ones, and the checks of these. One source for
// several instruction sets, of which the fastest that the processor has is chosen at run time; all give the
// same bits.
#pragma once

#include <cstdint>

namespace isnet::pixels {

template <typename Real>
struct Table {
  // out = in / the largest value of its type; numbers with a point as they are.
  void (*from_uint8)(const std::uint8_t* in, std::int64_t count, Real* out);
  void (*from_uint16)(const std::uint16_t* in, std::int64_t count, Real* out);
  void (*from_half)(const std::uint16_t* in, std::int64_t count, Real* out);  ///< bits of IEEE 754's binary16
  void (*from_float)(const float* in, std::int64_t count, Real* out);
  void (*from_double)(const double* in, std::int64_t count, Real* out);
  bool (*all_finite)(const Real* values, std::int64_t count);
  bool (*all_in_unit_interval)(const Real* values, std::int64_t count);  ///< 0 … 1; NaN is not
  std::uint8_t (*largest)(const std::uint8_t* values, std::int64_t count);
};

/// How many instruction sets there are loops for that this processor runs; the last is the fastest.
int instruction_sets();

/// Real: float or double.
template <typename Real>
const Table<Real>& table(int instruction_set = instruction_sets() - 1);

}  // namespace isnet::pixels
