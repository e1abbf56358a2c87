#include "base/random.h"

namespace isnet {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * c[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

SampleRandom::SampleRandom(std::uint64_t seed, Purpose purpose, std::uint64_t epoch, std::uint64_t sample)
    : counter_{0, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(sample),
               static_cast<std::uint32_t>(sample >> 32)},
      key_{static_cast<std::uint32_t>(seed),
           static_cast<std::uint32_t>(seed >> 32) ^ (static_cast<std::uint32_t>(purpose) * 0x85EBCA6Bu)} {}

std::uint32_t SampleRandom::operator()() {
  if (used_ == 4) {
    words_ = philox(counter_, key_);
    ++counter_[0];
    used_ = 0;
  }
  return words_[static_cast<std::size_t>(used_++)];
}

double SampleRandom::uniform() {
  return ((*this)() >> 8) * 0x1p-24;
}

std::uint32_t SampleRandom::below(std::uint32_t bound) {
  // Lemire's method: multiply, and redraw the few values that would make some results likelier.
  std::uint64_t product = std::uint64_t{(*this)()} * bound;
  if (static_cast<std::uint32_t>(product) < bound) {
    const std::uint32_t threshold = (0u - bound) % bound;
    while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{(*this)()} * bound;
  }
  return static_cast<std::uint32_t>(product >> 32);
}

}  // namespace isnet
