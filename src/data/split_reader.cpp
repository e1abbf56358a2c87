// SplitReader of data/data_set.h.
#include <H5public.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <list>
#include <mutex>
#include <set>
#include <span>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "data/data_set.h"

namespace isnet {

namespace {

// As distributions build it.
bool hdf5_takes_several_threads() {
  hbool_t safe = false;
  return H5is_library_threadsafe(&safe) >= 0 && safe;
}

// Several threads open shards, since most of the time is spent waiting for the file system. Of several that are
// refused the first is named.
std::vector<std::unique_ptr<const ShardReader>> opened(std::span<const std::filesystem::path> files,
                                                       std::optional<std::int64_t> class_count,
                                                       const ShardLimits& limits, Progress& progress) {
  constexpr int threads = 8;
  std::vector<std::unique_ptr<const ShardReader>> readers(files.size());
  std::vector<std::exception_ptr> failures(files.size());
  in_parallel(files.size(), hdf5_takes_several_threads() ? threads : 1, [&](std::size_t i) {
    try {
      readers[i] = std::make_unique<const ShardReader>(files[i], class_count, limits);
    } catch (...) {  // thrown again below, in the order of the shards
      failures[i] = std::current_exception();
    }
    progress.advance();
  });
  for (const auto& failure : failures)
    if (failure) std::rethrow_exception(failure);
  return readers;
}

void check_count(const ShardReader& shard, std::int64_t count) {
  if (shard.size() != count)
    fail(ErrorKind::data, shard.path().string(), ": holds ", shard.size(),
         " samples, but dataset.json says ", count, ": copy the data set again, or pack it again");
}

}  // namespace

/// Open shards, the last used first.
struct SplitReader::Cache {
  std::mutex mutex;
  std::list<std::pair<std::size_t, std::shared_ptr<const ShardReader>>> open;
  std::set<std::size_t> failing;  // shards of which a warning was given, until they are read again
};

SplitReader::SplitReader(std::string name, std::vector<std::filesystem::path> shards,
                         std::vector<std::int64_t> counts, std::optional<std::int64_t> class_count,
                         const ShardLimits& limits)
    : name_(std::move(name)),
      shards_(std::move(shards)),
      class_count_(class_count),
      cache_(std::make_unique<Cache>()) {
  constexpr std::size_t block = 64, many = 100;
  Progress progress(cat("opening split ", name_), static_cast<std::int64_t>(shards_.size()), "shards",
                    shards_.size() > many);
  for (std::size_t first = 0; first < shards_.size(); first += block) {
    const std::span files = std::span(shards_).subspan(first, std::min(block, shards_.size() - first));
    const auto readers = opened(files, class_count_, limits, progress);
    for (std::size_t i = 0; i < readers.size(); ++i) {
      check_count(*readers[i], counts.at(first + i));
      take_over(*readers[i], first + i);
    }
  }
  first_.push_back(size_);
  const auto slow = [](const auto& plan) { return !plan->images.direct() || !plan->masks.direct(); };
  if (const auto found = std::find_if(plans_.begin(), plans_.end(), slow); found != plans_.end()) {
    const RowMap& map = (*found)->images.direct() ? (*found)->masks : (*found)->images;
    log::info(
        cat(map.where, ": read by HDF5, one thread at a time: ", map.obstacle, " (docs/formats.md, Shards)"));
  }
}

SplitReader::~SplitReader() = default;

// Keeps what is small, so that the file itself is needed for pixels only.
void SplitReader::take_over(const ShardReader& shard, std::size_t number) {
  if (number == 0) layout_ = shard.layout();
  if (shard.layout() != layout_)
    fail(ErrorKind::data, shard.path().string(), ": ", layout_text(shard.layout()), ", unlike ",
         shards_.front().string(), ": ", layout_text(layout_), ": all shards of a split must be alike");
  const auto before = static_cast<std::size_t>(size_),
             after = before + static_cast<std::size_t>(shard.size());
  plans_.push_back(shard.plan());
  first_.push_back(size_);
  size_ += shard.size();
  labels_.insert(labels_.end(), shard.labels().begin(), shard.labels().end());
  multi_labels_.insert(multi_labels_.end(), shard.multi_labels().begin(), shard.multi_labels().end());
  const auto append = [&](auto& all, const auto& these, const auto& filler) {
    if (these.empty() && all.empty()) return;
    all.resize(before, filler);
    all.insert(all.end(), these.begin(), these.end());
    all.resize(after, filler);
  };
  append(ids_, shard.ids(), std::string());
  append(weights_, shard.weights(), 1.0);
  append(groups_, shard.groups(), std::optional<std::int64_t>());
}

bool SplitReader::soft_masks() const {
  return std::any_of(plans_.begin(), plans_.end(), [](const auto& plan) { return plan->soft_masks; });
}

SplitReader::Place SplitReader::place_of(std::int64_t index) const {
  if (index < 0 || index >= size_)
    fail(ErrorKind::internal, "split '", name_, "': sample ", index, " of ", size_);
  const auto after = std::upper_bound(first_.begin(), first_.end(), index);
  const auto shard = static_cast<std::size_t>(after - first_.begin()) - 1;
  return {shard, index - first_[shard]};
}

std::int64_t SplitReader::label(std::int64_t index) const {
  return labels_.at(static_cast<std::size_t>(index));
}

void SplitReader::multi_label(std::int64_t index, float* out) const {
  for (std::int64_t k = 0; k < layout_.label_classes; ++k)
    out[k] = multi_labels_.at(static_cast<std::size_t>(index * layout_.label_classes + k));
}

std::string SplitReader::id(std::int64_t index) const {
  if (!ids_.empty())
    if (const auto& stored = ids_.at(static_cast<std::size_t>(index)); !stored.empty()) return stored;
  return cat(name_, ":", index);
}

double SplitReader::weight(std::int64_t index) const {
  return weights_.empty() ? 1.0 : weights_.at(static_cast<std::size_t>(index));
}

std::optional<std::int64_t> SplitReader::group(std::int64_t index) const {
  return groups_.empty() ? std::nullopt : groups_.at(static_cast<std::size_t>(index));
}

std::shared_ptr<const ShardReader> SplitReader::shard(std::size_t number) const {
  auto& open = cache_->open;
  const auto find = [&]() -> std::shared_ptr<const ShardReader> {
    const auto found =
        std::find_if(open.begin(), open.end(), [&](const auto& entry) { return entry.first == number; });
    if (found == open.end()) return nullptr;
    open.splice(open.begin(), open, found);
    return found->second;
  };
  {
    const std::lock_guard lock(cache_->mutex);
    if (auto reader = find()) return reader;
  }
  // Opened without the lock: another thread may do the same, and one of the two is closed again.
  auto opened = std::make_shared<const ShardReader>(plans_[number]);
  const std::lock_guard lock(cache_->mutex);
  if (auto reader = find()) return reader;
  open.emplace_front(number, opened);
  if (open.size() > max_open_files) open.pop_back();  // closed when the last thread has done with it
  return opened;
}

void SplitReader::forget(std::size_t number) const {
  const std::lock_guard lock(cache_->mutex);
  cache_->open.remove_if([&](const auto& entry) { return entry.first == number; });
}

void SplitReader::read_with_retries(std::int64_t index, const ReadRetry& retry,
                                    const std::function<void(const ShardReader&, std::int64_t)>& read) const {
  const Place place = place_of(index);
  for (double waited = 0;;) {
    try {
      const auto reader = shard(place.shard);
      try {
        read(*reader, place.index);
      } catch (const FileFailure&) {
        throw;
      } catch (const Error&) {
        reader->check_unchanged();  // wrong values may be those of another file
        throw;
      }
      reader->check_unchanged();
      if (waited == 0) return;
      const std::lock_guard lock(cache_->mutex);
      if (cache_->failing.erase(place.shard) > 0)
        log::info(cat(shards_[place.shard].string(), ": read again"));
      return;
    } catch (const FileFailure& failure) {
      forget(place.shard);
      wait_before_retry(failure, index, retry, waited);
    }
  }
}

void SplitReader::wait_before_retry(const FileFailure& failure, std::int64_t index, const ReadRetry& retry,
                                    double& waited) const {
  using Clock = std::chrono::steady_clock;
  constexpr double first_pause = 0.05, longest_pause = 5;
  const bool cancelled = retry.cancelled && retry.cancelled();
  if (waited >= retry.seconds || cancelled)
    fail(failure.kind(), failure.what(), " (sample ", index, " of the split '", name_, "'",
         retry.seconds > 0 ? cat(", tried again for ", retry.seconds, " s") : std::string(),
         failure.code()
             ? "): make the file readable and start again, with --resume last in a training"
             : "): a training continues only with the files that it began with: put the file back, and"
               " start again with --resume last");
  {
    const std::lock_guard lock(cache_->mutex);
    if (cache_->failing.insert(place_of(index).shard).second)
      log::warning(cat(failure.what(), " (sample ", index, " of the split '", name_,
                       "'); it is tried again for up to ", retry.seconds, " s"));
  }
  const double pause =
      std::min({std::max(first_pause, waited), longest_pause, std::max(retry.seconds - waited, 0.001)});
  const auto begin = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  while (passed() < pause && !(retry.cancelled && retry.cancelled()))
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(pause - passed(), first_pause)));
  waited += pause;
}

template <typename Real>
void SplitReader::read(std::int64_t index, Real* image, Real* mask, const ReadRetry& retry) const {
  read_with_retries(index, retry, [&](const ShardReader& shard, std::int64_t row) {
    shard.read_image(row, image);
    if (mask) shard.read_mask(row, mask);
  });
}

void SplitReader::read_stored(std::int64_t index, std::uint8_t* image, std::uint8_t* mask,
                              const ReadRetry& retry) const {
  read_with_retries(index, retry, [&](const ShardReader& shard, std::int64_t row) {
    shard.read_stored_image(row, image);
    if (mask) shard.read_stored_mask(row, mask);
  });
}

template void SplitReader::read<float>(std::int64_t, float*, float*, const ReadRetry&) const;
template void SplitReader::read<double>(std::int64_t, double*, double*, const ReadRetry&) const;

}  // namespace isnet
