#include "data/block_order.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace isnet {
namespace {

// Draws of an epoch besides its permutations': "samples" that no half of a Feistel network has.
constexpr std::uint64_t rotation_draw = ~std::uint64_t{0}, window_draw = std::uint64_t{1} << 63;

std::uint64_t word64(std::uint64_t seed, std::uint64_t epoch, std::uint64_t draw) {
  SampleRandom random(seed, Purpose::order, epoch, draw);
  const std::uint64_t high = random();
  return high << 32 | random();
}

}  // namespace

BlockOrder::BlockOrder(std::int64_t size, std::int64_t block, std::uint64_t seed)
    : size_(size), block_(std::min(block, size)), seed_(seed) {
  if (size < 1 || block < 1) fail(ErrorKind::internal, "an order of ", size, " samples in blocks of ", block);
}

// Blocks are cut from the split turned by a random number of samples, so that what is left over at its end,
// and comes last, is another piece in each epoch.
std::int64_t BlockOrder::at(std::uint64_t epoch, std::int64_t position) const {
  const std::int64_t whole_blocks = size_ / block_, window = window_blocks * block_;
  const std::int64_t begin = position / window * window;
  const Permutation mix(std::min(window, size_ - begin),
                        word64(seed_, epoch, window_draw | static_cast<std::uint64_t>(position / window)),
                        epoch);
  const std::int64_t place = begin + mix(position - begin);
  const std::int64_t slot = place / block_;
  const std::int64_t block = slot < whole_blocks ? Permutation(whole_blocks, seed_, epoch)(slot) : slot;
  const auto turn =
      static_cast<std::int64_t>(word64(seed_, epoch, rotation_draw) % static_cast<std::uint64_t>(size_));
  const std::int64_t turned = block * block_ + place % block_;
  return turned < size_ - turn ? turned + turn : turned - (size_ - turn);
}

}  // namespace isnet
