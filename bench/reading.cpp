#include "bench/reading.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "base/error.h"
#include "base/random.h"
#include "data/kernels/pixels.h"
#include "data/loader.h"
#include "data/split_writer.h"

namespace isnet::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Sampler sampler_of(std::int64_t samples, const Reading& reading) {
  return Sampler({.size = samples,
                  .batch_size = reading.batch_size,
                  .shuffle = true,
                  .seed = reading.seed,
                  .last_batch = LastBatch::short_});
}

}  // namespace

std::vector<std::filesystem::path> write_samples(const std::filesystem::path& folder, std::int64_t samples,
                                                 std::int64_t side) {
  SampleLayout layout;
  layout.channels = 3;
  layout.height = layout.width = side;
  layout.mask_channels = 1;
  layout.labels = LabelKind::single;
  SplitWriter writer(folder, "train", layout, samples, 512);
  std::vector<std::uint8_t> image(static_cast<std::size_t>(3 * side * side)),
      mask(static_cast<std::size_t>(side * side));
  for (std::int64_t i = 0; i < samples; ++i) {
    SampleRandom random(0, Purpose::mark, 0, static_cast<std::uint64_t>(i));
    const double wave = 0.02 + 0.1 * random.uniform();
    for (std::size_t p = 0; p < image.size(); p += 4) {
      const std::uint32_t noise = random();
      for (std::size_t k = 0; k < 4 && p + k < image.size(); ++k)
        image[p + k] = static_cast<std::uint8_t>(120 + 100 * std::sin(wave * static_cast<double>(p + k)) +
                                                 static_cast<double>(noise >> (8 * k) & 15));
    }
    const auto half = static_cast<std::size_t>(side) / 2;
    for (std::size_t p = 0; p < mask.size(); ++p)
      mask[p] = p % static_cast<std::size_t>(side) < half ? 255 : 0;
    writer.add(image.data(), mask.data(), i % 3, cat(i));
  }
  std::vector<std::filesystem::path> shards;
  for (const auto& entry : writer.finish()) shards.push_back(folder / entry.file);
  return shards;
}

std::shared_ptr<const SplitReader> open_split(const std::vector<std::filesystem::path>& shards) {
  std::vector<std::int64_t> counts;
  for (const auto& shard : shards) counts.push_back(ShardReader(shard).size());
  return std::make_shared<SplitReader>("train", shards, counts, std::nullopt);
}

struct LoaderPass::State {
  Loader loader;
  std::uint64_t epoch = 0;
};

LoaderPass::LoaderPass(std::shared_ptr<const SplitReader> split, const Reading& reading, bool as_stored) {
  LoaderOptions options;
  options.workers = reading.threads;
  options.prefetch = 2 * reading.threads;
  options.as_stored = as_stored;
  const Sampler sampler = sampler_of(split->size(), reading);
  state_.reset(new State{.loader{std::move(split), sampler, options}});
}
LoaderPass::~LoaderPass() = default;

double LoaderPass::operator()() {
  const auto begin = Clock::now();
  std::int64_t samples = 0;
  state_->loader.start(state_->epoch++);
  while (const auto batch = state_->loader.next()) samples += batch->size;
  const double seconds = seconds_since(begin);
  if (samples != state_->loader.split().size())
    fail(ErrorKind::internal, "an epoch of ", samples, " samples");
  return seconds;
}

struct BarePass::State {
  State(Sampler the_sampler, const Reading& the_reading, bool converts)
      : sampler(std::move(the_sampler)), reading(the_reading), convert(converts) {}
  ~State() {
    for (const int file : files) ::close(file);
  }
  void work(int thread);
  void read(std::int64_t index, std::uint8_t* image, std::uint8_t* mask) const;

  Sampler sampler;
  Reading reading;
  bool convert;
  std::int64_t image_bytes = 0, mask_bytes = 0;
  std::vector<int> files;
  std::vector<std::int64_t> first, first_image, first_mask;  // of each shard: sample, bytes
  std::vector<PixelBuffer<std::uint8_t>> bytes;              // of each thread
  std::vector<PixelBuffer<float>> values;
  std::uint64_t epoch = 0;
  std::atomic<bool> failed = false;
};

BarePass::BarePass(const std::vector<std::filesystem::path>& shards, const Reading& reading, bool convert) {
  std::int64_t samples = 0;
  std::vector<std::shared_ptr<const ShardPlan>> plans;
  for (const auto& shard : shards) plans.push_back(ShardReader(shard).plan());
  for (const auto& plan : plans) samples += plan->size;
  state_.reset(new State(sampler_of(samples, reading), reading, convert));
  state_->image_bytes = plans.front()->images.row_bytes;
  state_->mask_bytes = plans.front()->masks.row_bytes;
  std::int64_t first = 0;
  for (const auto& plan : plans) {
    state_->files.push_back(::open(plan->path.c_str(), O_RDONLY | O_CLOEXEC));
    state_->first.push_back(first);
    state_->first_image.push_back(plan->images.first);
    state_->first_mask.push_back(plan->masks.first);
    first += plan->size;
  }
  const auto sample = static_cast<std::size_t>(state_->image_bytes + state_->mask_bytes);
  const auto batch = sample * static_cast<std::size_t>(reading.batch_size);
  for (int t = 0; t < reading.threads; ++t) {
    state_->bytes.emplace_back(convert ? sample : batch, std::uint8_t{0});
    state_->values.emplace_back(convert ? batch : 0, 0.0f);
  }
}
BarePass::~BarePass() = default;

void BarePass::State::read(std::int64_t index, std::uint8_t* image, std::uint8_t* mask) const {
  std::size_t shard = first.size() - 1;
  while (first[shard] > index) --shard;
  const std::int64_t row = index - first[shard];
  if (::pread(files[shard], image, static_cast<std::size_t>(image_bytes),
              first_image[shard] + row * image_bytes) != image_bytes ||
      ::pread(files[shard], mask, static_cast<std::size_t>(mask_bytes),
              first_mask[shard] + row * mask_bytes) != mask_bytes)
    fail(ErrorKind::runtime, "bench data: pread failed");
}

void BarePass::State::work(int thread) {
  auto& own_bytes = bytes[static_cast<std::size_t>(thread)];
  auto& own_values = values[static_cast<std::size_t>(thread)];
  const auto& loops = pixels::table<float>();
  for (std::int64_t step = thread; step < sampler.steps_per_epoch(); step += reading.threads) {
    const auto ids = sampler.plan(epoch, step).ids;
    const auto count = static_cast<std::int64_t>(ids.size());
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t place = convert ? 0 : i * image_bytes;
      const std::int64_t mask_place = convert ? image_bytes : count * image_bytes + i * mask_bytes;
      read(ids[static_cast<std::size_t>(i)], own_bytes.data() + place, own_bytes.data() + mask_place);
      if (!convert) continue;
      loops.from_uint8(own_bytes.data(), image_bytes, own_values.data() + i * image_bytes);
      loops.from_uint8(own_bytes.data() + image_bytes, mask_bytes,
                       own_values.data() + count * image_bytes + i * mask_bytes);
    }
  }
}

double BarePass::operator()() {
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < state_->reading.threads; ++t)
    threads.emplace_back([this, t] {
      try {
        state_->work(t);
      } catch (const std::exception&) {
        state_->failed = true;
      }
    });
  for (auto& thread : threads) thread.join();
  ++state_->epoch;
  if (state_->failed) fail(ErrorKind::runtime, "bench data: a file could not be read");
  return seconds_since(begin);
}

}  // namespace isnet::bench
