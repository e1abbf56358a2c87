#include "import/formats/tiff_samples.h"

#include <cmath>
#include <cstring>

#include "import/formats/samples.h"

namespace isnet {
namespace {

template <typename Number>
Number number_at(const unsigned char* row, std::int64_t i) {
  Number value;
  std::memcpy(&value, row + static_cast<std::size_t>(i) * sizeof value, sizeof value);
  return value;
}

double half_precision(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1F;
  const double fraction = bits & 0x3FF;
  const double size = exponent == 0    ? std::ldexp(fraction, -24)
                      : exponent == 31 ? (fraction > 0 ? NAN : INFINITY)
                                       : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

}  // namespace

std::int64_t TiffSampleType::white() const {
  return real ? 65535 : white_of(bits > 16 ? 65535 : largest());
}

TiffSamples::TiffSamples(TiffSampleType type, std::function<void(double)> refuse)
    : type_(type), refuse_(std::move(refuse)) {
  if (type_.real || type_.bits > 16) return;
  for (std::uint64_t value = 0; value <= type_.largest(); ++value)
    table_.push_back(type_.raw ? static_cast<std::uint16_t>(value)
                               : scaled_sample(value, type_.largest(), type_.white()));
}

std::uint16_t TiffSamples::from_real(double value) const {
  if (!(value >= 0 && value <= 1)) refuse_(value);
  return static_cast<std::uint16_t>(std::lround(value * 65535));
}

void TiffSamples::unpack(const unsigned char* row, std::int64_t count, std::int64_t step,
                         std::uint16_t* out) const {
  const auto fill = [&](const auto& value) {
    for (std::int64_t i = 0; i < count; ++i) out[i * step] = value(i);
  };
  if (type_.real && type_.bits == 16)
    fill([&](auto i) { return from_real(half_precision(number_at<std::uint16_t>(row, i))); });
  else if (type_.real && type_.bits == 32)
    fill([&](auto i) { return from_real(static_cast<double>(number_at<float>(row, i))); });
  else if (type_.real)
    fill([&](auto i) { return from_real(number_at<double>(row, i)); });
  else if (type_.bits == 8)
    fill([&](auto i) { return table_[row[i]]; });
  else if (type_.bits == 16)
    fill([&](auto i) { return table_[number_at<std::uint16_t>(row, i)]; });
  else if (type_.bits == 32)
    fill([&](auto i) { return scaled_sample(number_at<std::uint32_t>(row, i), type_.largest(), 65535); });
  else  // packed, the highest bit first
    fill([&](auto i) {
      std::size_t value = 0;
      for (std::int64_t bit = i * type_.bits; bit < (i + 1) * type_.bits; ++bit)
        value = value << 1 | (row[bit / 8] >> (7 - bit % 8) & 1);
      return table_[value];
    });
}

}  // namespace isnet
