// Keeps the samples of steps that were left out because something was not finite (docs/formats.md, "Bad
// steps").
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "data/shard_writer.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

constexpr std::int64_t most_samples = 512;  // of a rank in one dump

SampleLayout layout_of_dump(const SampleLayout& stored, bool double_precision) {
  SampleLayout layout = stored;
  const auto real = double_precision ? hdf5::ElementType::float64 : hdf5::ElementType::float32;
  layout.image_type = layout.mask_type = real;
  layout.channels = 3;
  return layout;
}

void write_labels(ShardWriter& shard, std::int64_t first, const HostBatch& batch) {
  if (!batch.labels.empty()) shard.write_labels(first, batch.size, batch.labels.data());
  if (batch.multi_labels.empty()) return;
  const std::vector<std::uint8_t> labels(batch.multi_labels.begin(), batch.multi_labels.end());
  shard.write_multi_labels(first, batch.size, labels.data());
}

// Pixels as the network gets them: scaled and augmented, not normalised.
void write_batch(ShardWriter& shard, std::int64_t first, const HostBatch& batch) {
  const bool masks = batch.mask_channels > 0;
  if (batch.images64.empty()) {
    shard.write_images(first, batch.size, batch.images.data());
    if (masks) shard.write_masks(first, batch.size, batch.masks.data());
  } else {
    shard.write_images(first, batch.size, batch.images64.data());
    if (masks) shard.write_masks(first, batch.size, batch.masks64.data());
  }
  write_labels(shard, first, batch);
}

class BadStepDump : public Callback {
 public:
  BadStepDump(std::filesystem::path folder, std::int64_t limit) : folder_(std::move(folder)), limit_(limit) {}

  // Each rank writes its own samples. A dump that cannot be written is no reason to end.
  void on_bad_step(Trainer& trainer, const BadStep& step) override {
    if (written_ >= limit_) return;
    ++written_;
    try {
      dump(trainer, step);
    } catch (const Error& e) {
      log::warning(cat("the samples of the bad step were not written: ", e.what()));
      return;
    }
    if (trainer.communicator().is_main())
      log::info(cat("the samples of the bad step are in ", folder_.string(),
                    ", for isnet evaluate, explain and "
                    "inspect"));
  }

 private:
  // The shares of this rank, as far as the epoch has them and there is room.
  static std::vector<BatchPlan> plans_of(const Trainer& trainer, const BadStep& step) {
    std::vector<BatchPlan> plans;
    for (std::int64_t pass = step.first_pass; pass < step.end_pass; ++pass) {
      BatchPlan plan = trainer.train_loader().sampler().plan(epoch_of(trainer), pass);
      if (plan.step < trainer.batches_per_epoch() && !plan.ids.empty()) plans.push_back(std::move(plan));
    }
    return plans;
  }
  static std::uint64_t epoch_of(const Trainer& trainer) {
    return static_cast<std::uint64_t>(trainer.position().epoch);
  }

  void dump(const Trainer& trainer, const BadStep& step) const {
    auto plans = plans_of(trainer, step);
    if (plans.empty()) return;
    std::int64_t samples = 0;
    std::size_t taken = 0;
    for (; taken < plans.size(); ++taken) {
      const auto more = static_cast<std::int64_t>(plans[taken].ids.size());
      if (taken > 0 && samples + more > most_samples) break;
      samples += more;
    }
    const std::size_t left_out = plans.size() - taken;
    plans.resize(taken);
    create_own_folder(folder_.parent_path(), folder_.filename().string());
    char name[96];
    std::snprintf(name, sizeof name, "epoch=%03lld-batch=%06lld-rank=%d",
                  static_cast<long long>(trainer.position().epoch),
                  static_cast<long long>(plans.front().step), trainer.communicator().rank());
    write_shard(folder_ / (std::string(name) + ".h5"), trainer, plans, samples);
    write_file_atomically(folder_ / (std::string(name) + ".json"),
                          facts(trainer, step, plans, left_out).dump(2) + "\n");
  }

  static void write_shard(const std::filesystem::path& file, const Trainer& trainer,
                          const std::vector<BatchPlan>& plans, std::int64_t samples) {
    const SplitReader& split = trainer.train_loader().split();
    LoaderOptions options = trainer.train_loader().options();
    options.as_stored = false;
    ShardWriter shard(file, samples, layout_of_dump(split.layout(), options.double_precision));
    if (split.layout().mask_channels > 0) shard.declare_soft_masks();  // as the network got them
    std::vector<std::string> ids;
    for (const auto& plan : plans) {
      write_batch(shard, static_cast<std::int64_t>(ids.size()),
                  read_batch(split, plan, epoch_of(trainer), options));
      for (const auto id : plan.ids) ids.push_back(split.id(id));
    }
    shard.write_ids(ids);
    shard.commit();
  }

  static nlohmann::ordered_json facts(const Trainer& trainer, const BadStep& step,
                                      const std::vector<BatchPlan>& plans, std::size_t left_out) {
    const SplitReader& split = trainer.train_loader().split();
    nlohmann::ordered_json facts{{"cause", step.cause},
                                 {"epoch", trainer.position().epoch},
                                 {"global_step", trainer.position().global_step},
                                 {"rank", trainer.communicator().rank()},
                                 {"ranks", trainer.communicator().world_size()},
                                 {"seed", trainer.options().seed},
                                 {"batches_left_out", left_out},
                                 {"samples", nlohmann::ordered_json::array()}};
    for (const auto& plan : plans)
      for (std::size_t i = 0; i < plan.ids.size(); ++i)
        facts["samples"].push_back({{"id", split.id(plan.ids[i])},
                                    {"index", plan.ids[i]},
                                    {"batch", plan.step},
                                    {"counted", plan.counted[i] != 0}});
    return facts;
  }

  std::filesystem::path folder_;
  std::int64_t limit_, written_ = 0;
};

const Registration<CallbackFactory> registration(
    callbacks(),
    {"bad-step-dump",
     "Keeps the samples of steps that are not finite",
     {integer_option("dump-bad-steps", "4",
                     "Largest number of steps with a loss or gradient that is not finite "
                     "whose samples are written to bad-steps/",
                     0)},
     [](const CallbackContext& context) -> std::shared_ptr<Callback> {
       const std::int64_t limit = context.options.integer("dump-bad-steps");
       if (limit == 0) return nullptr;
       return std::make_shared<BadStepDump>(context.folder.path() / "bad-steps", limit);
     }});

}  // namespace
}  // namespace isnet
