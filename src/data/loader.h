// Reads the batches of an epoch ahead of their use, in threads of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "data/batch.h"
#include "data/data_set.h"
#include "data/sampler.h"

namespace isnet {

class Augmentation;

/// How a Loader reads, and which of a batch's arrays it fills.
struct LoaderOptions {
  int workers = 1;                                      ///< reading threads, ≥ 1
  int prefetch = 4;                                     ///< batches that may lie ready or be read, ≥ 1
  std::int64_t prefetch_bytes = std::int64_t{1} << 30;  ///< room for them; one batch is read in any case
  bool double_precision = false;  ///< fill images64 and masks64 instead of images and masks
  bool as_stored = false;         ///< fill images8 and masks8 instead, if the split has all of it as uint8
  std::shared_ptr<const Augmentation> augmentation{};  ///< of every sample; as_stored does not count then
  double retry_seconds = 60;                           ///< ReadRetry's
  std::int64_t limit = -1;                             ///< steps of an epoch to take at most; −1: all
};

/// Delivers one rank's batches in order, one for each pass (data/sampler.h). What it delivers depends on
/// split, sampler, epoch and step only, not on the number of workers. One thread calls start() and next();
/// the destructor ends reading at any time.
class Loader {
 public:
  Loader(std::shared_ptr<const SplitReader> split, const Sampler& sampler, const LoaderOptions& options = {});
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  const Sampler& sampler() const;
  const SplitReader& split() const;
  /// Batches that are ready or being read at most: options.prefetch, or fewer where they are large.
  std::int64_t batches_ahead() const;
  /// Steps of an epoch: the sampler's, or options.limit if that is less.
  std::int64_t steps_per_epoch() const;
  /// The passes of these steps.
  std::int64_t passes_per_epoch() const { return sampler().passes(steps_per_epoch()); }
  const LoaderOptions& options() const;

  /// Begins an epoch at this pass; what was read ahead of another one is dropped.
  void start(std::uint64_t epoch, std::int64_t first_pass = 0);
  /// The next batch; nullopt after the epoch's last. Errors: what reading threw, with its message; the epoch
  /// is over then.
  std::optional<HostBatch> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads the samples of a plan; what the loader's workers do. Of the options: form of the pixels.
HostBatch read_batch(const SplitReader& split, const BatchPlan& plan, std::uint64_t epoch,
                     const LoaderOptions& options, const ReadRetry& retry = {});

}  // namespace isnet
