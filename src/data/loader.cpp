#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/augmentation/augmentation.h"

namespace isnet {
namespace {

bool delivered_as_stored(const SampleLayout& layout, const LoaderOptions& options) {
  return options.as_stored && !options.augmentation && layout.image_type == hdf5::ElementType::uint8 &&
         (layout.mask_channels == 0 || layout.mask_type == hdf5::ElementType::uint8);
}

// Reads each sample of the plan to its place in the two buffers.
template <typename Value, typename Read>
void read_pixels(const HostBatch& batch, std::int64_t channels, PixelBuffer<Value>& images,
                 PixelBuffer<Value>& masks, Read&& read) {
  const std::int64_t image = channels * batch.height * batch.width;
  const std::int64_t mask = batch.mask_channels * batch.height * batch.width;
  images.resize(static_cast<std::size_t>(batch.size * image));
  masks.resize(static_cast<std::size_t>(batch.size * mask));
  for (std::int64_t i = 0; i < batch.size; ++i)
    read(batch.ids[static_cast<std::size_t>(i)], images.data() + i * image,
         mask ? masks.data() + i * mask : nullptr);
}

void read_labels(const SplitReader& split, HostBatch& batch) {
  if (split.layout().labels == LabelKind::single)
    for (const auto id : batch.ids) batch.labels.push_back(split.label(id));
  if (split.layout().labels != LabelKind::multi) return;
  batch.label_classes = split.layout().label_classes;
  batch.multi_labels.resize(static_cast<std::size_t>(batch.size * batch.label_classes));
  for (std::int64_t i = 0; i < batch.size; ++i)
    split.multi_label(batch.ids[static_cast<std::size_t>(i)],
                      batch.multi_labels.data() + i * batch.label_classes);
}

}  // namespace

HostBatch read_batch(const SplitReader& split, const BatchPlan& plan, std::uint64_t epoch,
                     const LoaderOptions& options, const ReadRetry& retry) {
  const auto& layout = split.layout();
  HostBatch batch;
  batch.size = static_cast<std::int64_t>(plan.ids.size());
  batch.height = layout.height;
  batch.width = layout.width;
  batch.mask_channels = layout.mask_channels;
  batch.masks_per_class = layout.masks_per_class;
  batch.ids = plan.ids;
  batch.counted = plan.counted;
  batch.epoch = epoch;
  batch.step = plan.step;
  batch.share = plan.share;
  read_labels(split, batch);
  const auto read = [&](std::int64_t index, auto* image, auto* mask) {
    split.read(index, image, mask, retry);
    if (options.augmentation) options.augmentation->apply(image, mask, layout, epoch, index);
  };
  if (delivered_as_stored(layout, options)) {
    batch.stored_channels = layout.channels;
    read_pixels(batch, layout.channels, batch.images8, batch.masks8,
                [&](std::int64_t index, std::uint8_t* image, std::uint8_t* mask) {
                  split.read_stored(index, image, mask, retry);
                });
  } else if (options.double_precision) {
    read_pixels(batch, 3, batch.images64, batch.masks64, read);
  } else {
    read_pixels(batch, 3, batch.images, batch.masks, read);
  }
  return batch;
}

/// What workers and consumer share. Passes are handed out in order and kept by number until their turn comes.
struct Loader::State {
  State(std::shared_ptr<const SplitReader> the_split, const Sampler& the_sampler,
        const LoaderOptions& the_options)
      : split(std::move(the_split)), sampler(the_sampler), options(the_options), ahead(batches_ahead()) {}
  ~State() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    may_read.notify_all();
    for (auto& worker : workers) worker.join();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  struct Result {
    HostBatch batch;
    std::exception_ptr error;
  };

  void work();
  Result read(std::uint64_t of_epoch, std::int64_t pass) const;
  std::int64_t steps() const;
  std::int64_t batches_ahead() const;
  // Workers are woken when half of the batches ahead are used up, not for each: waking one takes a consumer
  // longer than all else here.
  bool may_sleep_on() const { return 2 * (next_to_read - next_to_deliver) > ahead; }
  bool has_work() const { return next_to_read < end && next_to_read < next_to_deliver + ahead; }

  const std::shared_ptr<const SplitReader> split;
  const Sampler sampler;
  const LoaderOptions options;
  const std::int64_t ahead;

  std::mutex mutex;  // guards all below
  std::condition_variable may_read;
  std::condition_variable is_ready;
  std::atomic<bool> stopping = false;  // read without the mutex by waiting reads
  std::uint64_t generation = 0;        // of start(): results of an earlier one are dropped
  std::uint64_t epoch = 0;
  std::int64_t next_to_read = 0;
  std::int64_t next_to_deliver = 0;
  std::int64_t end = 0;
  std::map<std::int64_t, Result> ready;
  std::vector<std::thread> workers;
};

std::int64_t Loader::State::batches_ahead() const {
  if (options.workers < 1 || options.prefetch < 1)
    fail(ErrorKind::internal, "loader: ", options.workers, " workers, ", options.prefetch, " batches ahead");
  const auto& layout = split->layout();
  const bool stored = delivered_as_stored(layout, options);
  const std::int64_t values = ((stored ? layout.channels : 3) + layout.mask_channels) * layout.pixels();
  const std::int64_t sample = values * (stored ? 1 : options.double_precision ? 8 : 4);
  return std::clamp<std::int64_t>(options.prefetch_bytes / sample / sampler.options().batch_size, 1,
                                  options.prefetch);
}

std::int64_t Loader::State::steps() const {
  const std::int64_t steps = sampler.steps_per_epoch();
  return options.limit < 0 ? steps : std::min(steps, options.limit);
}

Loader::State::Result Loader::State::read(std::uint64_t of_epoch, std::int64_t pass) const {
  Result result;
  try {
    const ReadRetry retry{options.retry_seconds, [this] { return stopping.load(); }};
    BatchPlan plan = sampler.plan(of_epoch, pass);
    if (plan.step >= steps()) {  // the ranks before have taken the last shares
      plan.ids.clear();
      plan.counted.clear();
    }
    result.batch = read_batch(*split, plan, of_epoch, options, retry);
  } catch (...) {  // handed to next()
    result.error = std::current_exception();
  }
  return result;
}

void Loader::State::work() {
  std::unique_lock lock(mutex);
  for (;;) {
    may_read.wait(lock, [this] { return stopping || has_work(); });
    if (stopping) return;
    const std::int64_t pass = next_to_read++;
    const std::uint64_t of_epoch = epoch, of_generation = generation;
    lock.unlock();
    Result result = read(of_epoch, pass);
    lock.lock();
    if (of_generation != generation) continue;
    ready.emplace(pass, std::move(result));
    is_ready.notify_one();
  }
}

Loader::Loader(std::shared_ptr<const SplitReader> split, const Sampler& sampler, const LoaderOptions& options)
    : state_(std::make_unique<State>(std::move(split), sampler, options)) {
  if (sampler.options().size != state_->split->size())
    fail(ErrorKind::internal, "loader: a sampler for ", sampler.options().size, " samples and a split of ",
         state_->split->size());
  for (int i = 0; i < options.workers; ++i)
    state_->workers.emplace_back([state = state_.get()] { state->work(); });
}

Loader::~Loader() = default;

const Sampler& Loader::sampler() const {
  return state_->sampler;
}
const SplitReader& Loader::split() const {
  return *state_->split;
}

std::int64_t Loader::batches_ahead() const {
  return state_->ahead;
}

std::int64_t Loader::steps_per_epoch() const {
  return state_->steps();
}

const LoaderOptions& Loader::options() const {
  return state_->options;
}

void Loader::start(std::uint64_t epoch, std::int64_t first_pass) {
  if (first_pass < 0) fail(ErrorKind::internal, "loader: start at pass ", first_pass);
  {
    std::lock_guard lock(state_->mutex);
    ++state_->generation;
    state_->epoch = epoch;
    state_->next_to_read = state_->next_to_deliver = first_pass;
    state_->end = passes_per_epoch();
    state_->ready.clear();
  }
  state_->may_read.notify_all();
}

std::optional<HostBatch> Loader::next() {
  State::Result result;
  bool wakes = false;
  {
    std::unique_lock lock(state_->mutex);
    if (state_->next_to_deliver >= state_->end) return std::nullopt;
    state_->is_ready.wait(lock, [this] { return state_->ready.contains(state_->next_to_deliver); });
    result = std::move(state_->ready.extract(state_->next_to_deliver).mapped());
    ++state_->next_to_deliver;
    wakes = !state_->may_sleep_on();
    if (result.error) state_->end = state_->next_to_deliver;
  }
  if (wakes) state_->may_read.notify_all();
  if (result.error) std::rethrow_exception(result.error);
  return std::move(result.batch);
}

}  // namespace isnet
