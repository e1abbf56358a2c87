#include "data/sampler.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/error.h"
#include "base/random.h"

namespace isnet {

Permutation::Permutation(std::int64_t size, std::uint64_t seed, std::uint64_t epoch)
    : size_(static_cast<std::uint64_t>(size)), seed_(seed), epoch_(epoch) {
  if (size < 1) fail(ErrorKind::internal, "a permutation of ", size, " elements");
  // At least 2 bits: a Feistel network has two halves.
  half_bits_ = std::max(1, (static_cast<int>(std::bit_width(size_ - 1)) + 1) / 2);
}

std::uint64_t Permutation::encrypt(std::uint64_t value) const {
  // Six rounds: on small domains four leave visible structure.
  constexpr std::uint64_t rounds = 6;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_;
  std::uint64_t right = value & mask;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    // The "sample" of the draw is round and half: halves have at most 32 bits.
    const std::uint64_t word = SampleRandom(seed_, Purpose::order, epoch_, (round << 32) | right)();
    const std::uint64_t mixed = left ^ (word & mask);
    left = right;
    right = mixed;
  }
  return (left << half_bits_) | right;
}

std::int64_t Permutation::operator()(std::int64_t index) const {
  if (index < 0 || static_cast<std::uint64_t>(index) >= size_)
    fail(ErrorKind::internal, "position ", index, " of a permutation of ", size_, " elements");
  // The domain of the network is less than four times as large: four turns on average at most.
  std::uint64_t value = static_cast<std::uint64_t>(index);
  do value = encrypt(value);
  while (value >= size_);
  return static_cast<std::int64_t>(value);
}

LastBatch last_batch_of(const char* name) {
  const std::string text = name;
  if (text == "drop") return LastBatch::drop;
  if (text == "pad") return LastBatch::pad;
  if (text == "short") return LastBatch::short_;
  fail(ErrorKind::usage, "--last-batch: '", text, "' is not allowed; allowed: drop|pad|short");
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) {
  auto& o = options_;
  if (o.shares == 0) o.shares = o.world;
  if (o.global_batch == 0) o.global_batch = o.shares * o.batch_size;
  if (o.size < 1 || o.batch_size < 1 || o.world < 1 || o.rank < 0 || o.rank >= o.world || o.shares < 1 ||
      o.global_batch < 1 || o.global_batch > o.shares * o.batch_size)
    fail(ErrorKind::internal, "sampler: ", o.size, " samples, batches of ", o.global_batch, " in ", o.shares,
         " shares of ", o.batch_size, ", rank ", o.rank, " of ", o.world);
  const bool whole_only = o.last_batch == LastBatch::drop;
  steps_ = (o.size + (whole_only ? 0 : o.global_batch - 1)) / o.global_batch;
  if (steps_ == 0)
    fail(ErrorKind::usage, "--batch-size: ", o.size, " samples do not fill one batch of ", o.world, " rank",
         o.world > 1 ? "s" : "", " × ", o.batch_size,
         ", and the last batch is dropped: choose a smaller batch size,"
         " fewer ranks, or --last-batch pad or short");
}

std::int64_t Sampler::passes(std::int64_t steps) const {
  return (steps * options_.shares + options_.world - 1) / options_.world;
}

std::int64_t Sampler::sample_at(const Permutation& permutation, std::uint64_t epoch,
                                std::int64_t position) const {
  if (options_.order) return options_.order->at(epoch, position);
  return options_.shuffle ? permutation(position) : position;
}

BatchPlan Sampler::plan(std::uint64_t epoch, std::int64_t pass) const {
  const auto& o = options_;
  if (pass < 0 || pass >= passes(steps_))
    fail(ErrorKind::internal, "sampler: pass ", pass, " of ", passes(steps_));
  const Permutation permutation(o.size, o.seed, epoch);
  BatchPlan plan;
  const std::int64_t taken = pass * o.world + o.rank;  // among the epoch's shares
  plan.step = taken / o.shares;
  plan.share = taken % o.shares;
  if (plan.step >= steps_) return plan;
  const std::int64_t start = plan.step * o.global_batch;
  for (std::int64_t place = plan.share; place < o.global_batch; place += o.shares) {
    const std::int64_t position = start + place;
    const bool inside = position < o.size;
    if (!inside && o.last_batch == LastBatch::short_) break;
    // Padding may go round more than once where a global batch is larger than the split.
    plan.ids.push_back(sample_at(permutation, epoch, position % o.size));
    plan.counted.push_back(inside ? 1 : 0);
  }
  return plan;
}

std::int64_t Sampler::samples_of(std::int64_t step) const {
  const auto& o = options_;
  const std::int64_t left = o.size - step * o.global_batch;
  return o.last_batch == LastBatch::short_ ? std::min(left, o.global_batch) : o.global_batch;
}

std::vector<std::int64_t> Sampler::ids_of(std::uint64_t epoch, std::int64_t step) const {
  const Permutation permutation(options_.size, options_.seed, epoch);
  std::vector<std::int64_t> ids;
  const std::int64_t start = step * options_.global_batch;
  for (std::int64_t place = 0; place < samples_of(step); ++place)
    ids.push_back(sample_at(permutation, epoch, (start + place) % options_.size));
  return ids;
}

}  // namespace isnet
