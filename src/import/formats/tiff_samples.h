// Samples as TIFF stores them, in rows of bits, to numbers from 0 (least) to white.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace isnet {

/// How a TIFF file's samples are stored, byte order already that of this machine.
struct TiffSampleType {
  int bits = 8;  ///< 1 to 16, 32; floating point: 16, 32, 64
  bool real = false;
  bool raw = false;  ///< indices of a palette: not scaled
  std::uint64_t largest() const { return (std::uint64_t{1} << bits) - 1; }
  /// The white of the result: 255, or 65535.
  std::int64_t white() const;
};

/// Unpacks rows of samples.
class TiffSamples {
 public:
  /// Errors: data (a floating-point sample outside 0 … 1), by `refuse`, which must not return.
  TiffSamples(TiffSampleType type, std::function<void(double)> refuse);

  /// `count` samples from `row`, each to out[i · step].
  void unpack(const unsigned char* row, std::int64_t count, std::int64_t step, std::uint16_t* out) const;

 private:
  std::uint16_t from_real(double value) const;

  TiffSampleType type_;
  std::function<void(double)> refuse_;
  std::vector<std::uint16_t> table_;  // up to 16 bits: each value
};

}  // namespace isnet
