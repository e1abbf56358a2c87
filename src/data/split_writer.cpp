#include "data/split_writer.h"

#include <algorithm>
#include <iomanip>

#include "base/error.h"
#include "base/files.h"
#include "base/names.h"

namespace isnet {
namespace {

constexpr std::size_t buffered_samples = 256;

std::string shard_name(const std::string& split, std::size_t number) {
  std::ostringstream name;
  name << split << "/shard-" << std::setw(5) << std::setfill('0') << number << ".h5";
  return name.str();
}

}  // namespace

SplitWriter::SplitWriter(const std::filesystem::path& folder, const std::string& split,
                         const SampleLayout& layout, std::int64_t samples, std::int64_t shard_size)
    : folder_(folder), split_(split), layout_(layout), left_(samples), shard_size_(shard_size) {
  check_stored_name(NameKind::split, "split name", split, folder.string(), ErrorKind::usage);
  create_own_folder(folder, split);
}

void SplitWriter::open_shard() {
  shard_samples_ = std::min(left_, shard_size_);
  if (shard_samples_ < 1) fail(ErrorKind::internal, "split '", split_, "': more samples than announced");
  left_ -= shard_samples_;
  written_ = 0;
  shard_ =
      std::make_unique<ShardWriter>(folder_ / shard_name(split_, entries_.size()), shard_samples_, layout_);
}

void SplitWriter::add(const std::uint8_t* image, const std::uint8_t* mask, std::int64_t label,
                      const std::string& id) {
  if (!shard_) open_shard();
  images_.insert(images_.end(), image, image + layout_.channels * layout_.pixels());
  if (layout_.mask_channels > 0) masks_.insert(masks_.end(), mask, mask + layout_.pixels());
  labels_.push_back(label);
  ids_.push_back(id);
  const auto buffered = static_cast<std::int64_t>(labels_.size());
  if (labels_.size() == buffered_samples || written_ + buffered == shard_samples_) flush();
  if (written_ == shard_samples_) close_shard();
}

void SplitWriter::flush() {
  const auto count = static_cast<std::int64_t>(labels_.size());
  shard_->write_images(written_, count, images_.data());
  if (layout_.mask_channels > 0) shard_->write_masks(written_, count, masks_.data());
  shard_->write_labels(written_, count, labels_.data());
  written_ += count;
  images_.clear();
  masks_.clear();
  labels_.clear();
}

void SplitWriter::close_shard() {
  shard_->write_ids(ids_);
  shard_->commit();
  shard_.reset();
  ids_.clear();
  const std::string name = shard_name(split_, entries_.size());
  entries_.push_back({name, shard_samples_, sha256_of_file(folder_ / name)});
}

std::vector<ShardEntry> SplitWriter::finish() {
  if (shard_ || left_ != 0) fail(ErrorKind::internal, "split '", split_, "': fewer samples than announced");
  return entries_;
}

}  // namespace isnet
