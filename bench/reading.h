// What `isnet bench data` measures on our side: passes over a data set, in seconds. Free of torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "data/data_set.h"

namespace isnet::bench {

/// What the passes have in common.
struct Reading {
  std::int64_t batch_size = 32;
  int threads = 2;
  std::uint64_t seed = 0;
};

/// Writes FOLDER/train/shard-….h5: `samples` images 3×side×side and masks, uint8, with structure and some
/// noise, so that they can be compressed somewhat. Returns the shards.
std::vector<std::filesystem::path> write_samples(const std::filesystem::path& folder, std::int64_t samples,
                                                 std::int64_t side);

std::shared_ptr<const SplitReader> open_split(const std::vector<std::filesystem::path>& shards);

/// An epoch in random order through a Loader of `threads` workers; batches are dropped as they come.
class LoaderPass {
 public:
  LoaderPass(std::shared_ptr<const SplitReader> split, const Reading& reading, bool as_stored);
  ~LoaderPass();
  double operator()();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The same bytes in the same order with nothing around: each thread preads the samples of every
/// `threads`-th batch to its own buffer, of the memory that batches have too, and converts them by the loops
/// that the reader uses, or does not. Contiguous shards only.
class BarePass {
 public:
  BarePass(const std::vector<std::filesystem::path>& shards, const Reading& reading, bool convert);
  ~BarePass();
  double operator()();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace isnet::bench
