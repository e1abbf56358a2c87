// Which samples a rank takes in which step: a function of seed, epoch and step, without any state.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace isnet {

/// A permutation of 0 … size − 1 in O(1) memory: a Feistel network over the smallest even number of bits that
/// holds size − 1, with cycle walking (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
/// Round functions are Philox, keyed by (seed, Purpose::order, epoch). Immutable: any thread may use it.
class Permutation {
 public:
  /// size ≥ 1.
  Permutation(std::int64_t size, std::uint64_t seed, std::uint64_t epoch);
  /// Returns the place of position 0 ≤ index < size.
  std::int64_t operator()(std::int64_t index) const;

 private:
  std::uint64_t encrypt(std::uint64_t value) const;

  std::uint64_t size_;
  std::uint64_t seed_;
  std::uint64_t epoch_;
  int half_bits_;
};

/// Which sample stands where in an epoch. Immutable: any thread may use it.
class SampleOrder {
 public:
  virtual ~SampleOrder() = default;
  /// The sample at this position of the epoch, 0 ≤ position: a function of epoch and position alone, in time
  /// and memory that do not grow with the position.
  virtual std::int64_t at(std::uint64_t epoch, std::int64_t position) const = 0;
};

/// How to treat samples that do not fill a global batch at the end of an epoch.
enum class LastBatch {
  drop,    ///< leave them out in this epoch
  pad,     ///< fill up with samples from the beginning of the epoch's order, marked as not counted
  short_,  ///< share them out: ranks may differ by one sample, some may get none
};

/// "drop", "pad" or "short". Errors: usage.
LastBatch last_batch_of(const char* name);

/// How a Sampler orders samples and shares them out to ranks.
struct SamplerOptions {
  std::int64_t size = 0;        ///< samples of the split, and positions of an epoch
  std::int64_t batch_size = 1;  ///< of each share of a global batch
  bool shuffle = false;         ///< a Permutation by (seed, epoch), else the split's own order
  std::uint64_t seed = 0;
  std::int64_t world = 1;
  std::int64_t rank = 0;
  LastBatch last_batch = LastBatch::drop;
  std::shared_ptr<const SampleOrder> order =
      nullptr;                    ///< instead of what `shuffle` says (data/sampling/sampling.h)
  std::int64_t shares = 0;        ///< that a global batch is cut into; 0: one for each rank
  std::int64_t global_batch = 0;  ///< samples of a global batch; 0: shares × batch_size, else that at most
};

/// The samples of one rank in one pass. Empty for a rank without a share.
struct BatchPlan {
  std::vector<std::int64_t> ids;
  std::vector<std::uint8_t> counted;  ///< 0 for what LastBatch::pad repeats, else 1
  std::int64_t step = 0;              ///< the global batch, which the epoch may not have any more
  std::int64_t share = 0;             ///< of it
};

/// Cuts the order of an epoch into global batches, one for each step, and these into shares. Position p of a
/// global batch is in share p mod V of V. The shares of an epoch, one batch's after the other's, are given
/// out to the ranks in turn; what all ranks do at once is a pass. Mostly V is the number W of ranks: then a
/// pass is a step, and rank r's step s takes positions s·W·b + j·W + r, j = 0 … b − 1. Which samples are in a
/// global batch depends on its size only, and which are in a share on the number of shares, not on the number
/// of ranks. Immutable: any thread may use it.
class Sampler {
 public:
  /// Errors: usage, if LastBatch::drop leaves no step; internal for senseless options.
  explicit Sampler(const SamplerOptions& options);

  /// With shares and global_batch as they are in force.
  const SamplerOptions& options() const { return options_; }
  /// The same on every rank.
  std::int64_t steps_per_epoch() const { return steps_; }
  /// Passes that this many steps take, of which the last may leave ranks without a share.
  std::int64_t passes(std::int64_t steps) const;
  /// 0 ≤ pass < passes(steps_per_epoch()).
  BatchPlan plan(std::uint64_t epoch, std::int64_t pass) const;
  /// Samples of a global batch, on all ranks together; 0 ≤ step < steps_per_epoch().
  std::int64_t samples_of(std::int64_t step) const;
  /// The samples themselves, in the order of their positions.
  std::vector<std::int64_t> ids_of(std::uint64_t epoch, std::int64_t step) const;

 private:
  std::int64_t sample_at(const Permutation& permutation, std::uint64_t epoch, std::int64_t position) const;

  SamplerOptions options_;
  std::int64_t steps_ = 0;
};

}  // namespace isnet
