// Counter-based random numbers: a draw depends on what it is for, never on what was drawn before.
//
// Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The key is the
// run's seed and the purpose, the counter is epoch, global sample id and draw index, so that a result does
// not depend on how many ranks or workers made it, and a resumed run has no stream to replay.
#pragma once

#include <array>
#include <cstdint>

namespace isnet {

/// The purpose of a random number. Values are stored nowhere but decide results: never renumber.
enum class Purpose : std::uint32_t {
  order = 1,
  augmentation = 2,
  dropout = 3,
  heatmap_selection = 4,
  initialisation = 5,
  mark = 6,
  split = 7,
  sampling = 8,
  bootstrap = 9,
  posterior = 10,
  background = 11,
};

/// Four independent 32-bit words of Philox 4x32-10 for this key and counter.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// The random numbers of one (seed, purpose, epoch, sample). Cheap to make; draws are numbered from 0.
/// Satisfies UniformRandomBitGenerator. Epochs below 2^32, samples below 2^64, up to 2^34 draws each.
class SampleRandom {
 public:
  using result_type = std::uint32_t;

  SampleRandom(std::uint64_t seed, Purpose purpose, std::uint64_t epoch, std::uint64_t sample);

  std::uint32_t operator()();
  /// Uniform in [0, 1), 24 bits of resolution.
  double uniform();
  /// Uniform in {0, …, bound − 1} without bias; bound ≥ 1.
  std::uint32_t below(std::uint32_t bound);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return 0xffffffffu; }

 private:
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> words_{};
  int used_ = 4;
};

}  // namespace isnet
