// The loops' code; included once for each instruction set, in a namespace of its own (PIXELS_TARGET).
// No standard library templates here: the linker might keep the copy that older processors cannot run.
#include "data/kernels/pixels.h"

namespace isnet::pixels::PIXELS_TARGET {
namespace {

template <typename Stored, typename Real>
void divide(const Stored* in, std::int64_t count, Real* __restrict out) {
  constexpr Real largest = static_cast<Stored>(-1);
  for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<Real>(in[i]) / largest;
}

template <typename Stored, typename Real>
void convert(const Stored* in, std::int64_t count, Real* __restrict out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<Real>(in[i]);
}

// Exponents of binary16 begin at 2^−15, those of binary32 at 2^−127; below its smallest normal number (bits
// 0x400) binary16 counts in steps of 2^−24.
template <typename Real>
void from_half(const std::uint16_t* in, std::int64_t count, Real* __restrict out) {
  constexpr std::uint32_t sign = 0x8000, first_normal = 0x400, infinity = 0x7c00;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = in[i], rest = bits & (sign - 1);
    const std::uint32_t normal = (rest << 13) + (rest >= infinity ? 0x70000000u : 0x38000000u);
    const float small = static_cast<float>(static_cast<std::int32_t>(rest)) * 0x1p-24f;
    const float size = rest < first_normal ? small : __builtin_bit_cast(float, normal);
    out[i] = static_cast<Real>((bits & sign) != 0 ? -size : size);
  }
}

// x − x is 0, or NaN where x is not finite.
template <typename Real>
bool all_finite(const Real* values, std::int64_t count) {
  int wrong = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const Real nothing = values[i] - values[i];
    wrong |= nothing == 0 ? 0 : 1;
  }
  return wrong == 0;
}

template <typename Real>
bool all_in_unit_interval(const Real* values, std::int64_t count) {
  int wrong = 0;
  for (std::int64_t i = 0; i < count; ++i) wrong |= (values[i] >= 0 ? 0 : 1) | (values[i] <= 1 ? 0 : 1);
  return wrong == 0;
}

std::uint8_t largest(const std::uint8_t* values, std::int64_t count) {
  std::uint8_t result = 0;
  for (std::int64_t i = 0; i < count; ++i) result = values[i] > result ? values[i] : result;
  return result;
}

}  // namespace

template <typename Real>
Table<Real> make() {
  return {divide<std::uint8_t, Real>,
          divide<std::uint16_t, Real>,
          from_half<Real>,
          convert<float, Real>,
          convert<double, Real>,
          all_finite<Real>,
          all_in_unit_interval<Real>,
          largest};
}
template Table<float> make<float>();
template Table<double> make<double>();

}  // namespace isnet::pixels::PIXELS_TARGET
