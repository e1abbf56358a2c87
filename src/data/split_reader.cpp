// SplitReader of data/data_set.h.
#include <algorithm>
#include <list>
#include <mutex>

#include "base/error.h"
#include "data/data_set.h"

namespace isnet {

/// Open shards, the last used first.
struct SplitReader::Cache {
  std::mutex mutex;
  std::list<std::pair<std::size_t, std::shared_ptr<const ShardReader>>> open;
};

SplitReader::SplitReader(std::string name, std::vector<std::filesystem::path> shards,
                         std::vector<std::int64_t> counts, std::optional<std::int64_t> class_count)
    : name_(std::move(name)),
      shards_(std::move(shards)),
      class_count_(class_count),
      cache_(std::make_unique<Cache>()) {
  for (std::size_t number = 0; number < shards_.size(); ++number) {
    const ShardReader reader(shards_[number], class_count_);
    if (reader.size() != counts.at(number))
      fail(ErrorKind::data, shards_[number].string(), ": holds ", reader.size(),
           " samples, but dataset.json says ", counts[number], ": copy the data set again, or pack it again");
    take_over(reader, number);
  }
  first_.push_back(size_);
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
  std::lock_guard lock(cache_->mutex);
  auto& open = cache_->open;
  const auto found =
      std::find_if(open.begin(), open.end(), [&](const auto& entry) { return entry.first == number; });
  if (found != open.end()) {
    open.splice(open.begin(), open, found);
    return found->second;
  }
  open.emplace_front(number,
                     std::make_shared<ShardReader>(shards_[number], class_count_, ShardChecks::pixels_only));
  if (open.size() > max_open_files) open.pop_back();  // closed when the last thread has done with it
  return open.front().second;
}

template <typename Real>
void SplitReader::read(std::int64_t index, Real* image, Real* mask) const {
  const Place place = place_of(index);
  const auto reader = shard(place.shard);
  reader->read_image(place.index, image);
  if (mask) reader->read_mask(place.index, mask);
}

template void SplitReader::read<float>(std::int64_t, float*, float*) const;
template void SplitReader::read<double>(std::int64_t, double*, double*) const;

}  // namespace isnet
