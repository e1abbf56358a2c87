#include "trainer/exchanged_backgrounds.h"

#include <ATen/ATen.h>

#include <optional>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "data/loader.h"
#include "model/background_exchange.h"
#include "trainer/batches.h"
#include "trainer/metrics.h"

namespace isnet {
namespace {

constexpr const char* off = "none";

// What a draw is for: each has numbers of its own, in every epoch.
enum class Use : std::uint64_t { augmentation, chance, second_pass, count };

std::optional<BackgroundKind> kind_of(const OptionValues& options, const char* name) {
  if (options.text(name) == off) return std::nullopt;
  return background_kind(options.text(name), name);
}

// Makes images with other backgrounds; donors are read from the split.
class Exchange {
 public:
  Exchange(std::shared_ptr<const SplitReader> donors, std::uint64_t seed, double retry_seconds)
      : donors_(std::move(donors)), seed_(seed), retry_seconds_(retry_seconds) {}

  /// B×3×H×W. `own`: the batch is of the donors' split; then no sample is its own donor.
  at::Tensor operator()(const Batch& batch, BackgroundKind kind, Use use, bool own) const {
    if (batch.size() == 0) return batch.images;
    const BackgroundOptions options = options_of(batch, use);
    const at::Tensor ids = batch.ids.cpu().contiguous();
    if (kind != BackgroundKind::swap)
      return change_backgrounds(batch.images, batch.masks, ids, kind, options);
    const Batch donors = donors_of(batch, ids, options, own);
    return exchange_backgrounds(batch.images, batch.masks, donors.images, donors.masks, options.fill);
  }

  /// B: which samples are changed, each with this chance.
  at::Tensor chosen(const Batch& batch, double chance) const {
    const BackgroundOptions options = options_of(batch, Use::chance);
    const at::Tensor ids = batch.ids.cpu().contiguous();
    at::Tensor chosen = at::empty({batch.size()}, at::kBool);
    for (std::int64_t i = 0; i < batch.size(); ++i)
      chosen.data_ptr<bool>()[i] = random_of(ids, i, options).uniform() < chance;
    return chosen.to(batch.images.device());
  }

 private:
  BackgroundOptions options_of(const Batch& batch, Use use) const {
    BackgroundOptions options;
    options.seed = seed_;
    options.draw = batch.epoch * static_cast<std::uint64_t>(Use::count) + static_cast<std::uint64_t>(use);
    return options;
  }

  static SampleRandom random_of(const at::Tensor& ids, std::int64_t place, const BackgroundOptions& options) {
    return {options.seed, Purpose::background, options.draw,
            static_cast<std::uint64_t>(ids.const_data_ptr<std::int64_t>()[place])};
  }

  Batch donors_of(const Batch& batch, const at::Tensor& ids, const BackgroundOptions& options,
                  bool own) const {
    const std::int64_t others = donors_->size() - (own ? 1 : 0);
    BatchPlan plan;
    for (std::int64_t i = 0; i < ids.numel(); ++i) {
      const std::int64_t id = ids.const_data_ptr<std::int64_t>()[i];
      std::int64_t donor = 0;
      if (others > 0) donor = random_of(ids, i, options).below(static_cast<std::uint32_t>(others));
      if (own && others > 0 && donor >= id) ++donor;
      plan.ids.push_back(donor);
    }
    plan.counted.assign(plan.ids.size(), 1);
    LoaderOptions reading;
    reading.double_precision = batch.images.scalar_type() == at::kDouble;
    return to_batch(read_batch(*donors_, plan, batch.epoch, reading, ReadRetry{retry_seconds_, {}}),
                    batch.images.device(), batch.images.scalar_type());
  }

  std::shared_ptr<const SplitReader> donors_;
  std::uint64_t seed_;
  double retry_seconds_;
};

class ExchangedBackgrounds : public Objective {
 public:
  ExchangedBackgrounds(std::shared_ptr<Objective> objective, const OptionValues& options,
                       std::shared_ptr<const SplitReader> train)
      : objective_(std::move(objective)),
        seed_(static_cast<std::uint64_t>(options.integer("seed"))),
        exchange_(std::move(train), seed_, options.real("read-retry-seconds")),
        augmentation_(kind_of(options, "augment-background")),
        chance_(options.real("augment-background-chance")),
        consistency_(options.real("background-consistency")),
        flips_(kind_of(options, "background-flips")) {}

  bool needs_masks() const override { return objective_->needs_masks(); }
  bool sums_over_ranks() const override { return objective_->sums_over_ranks(); }
  std::vector<std::string> loss_names() const override { return objective_->loss_names(); }
  void summarise(NamedNumbers& means, const std::vector<double>& sums) const override {
    objective_->summarise(means, sums);
  }
  bool needs_classes() const override { return objective_->needs_classes(); }
  bool needs_pixels() const override { return objective_->needs_pixels(); }
  std::vector<double> class_weights() const override { return objective_->class_weights(); }
  void start_epoch(std::int64_t epoch) override { objective_->start_epoch(epoch); }
  bool comparable(std::int64_t epoch) const override { return objective_->comparable(epoch); }
  std::vector<double> gathered() const override { return objective_->gathered(); }
  void set_gathered(const std::vector<double>& numbers) override { objective_->set_gathered(numbers); }
  void finish_epoch(const std::vector<std::vector<double>>& ranks) override { objective_->finish_epoch(ranks); }
  void validated(const NamedNumbers& metrics) override { objective_->validated(metrics); }
  NamedTexts found_options() const override { return objective_->found_options(); }
  void set_found_options(const NamedTexts& found) override { objective_->set_found_options(found); }
  NamedNumbers settings() const override { return objective_->settings(); }

  Losses compute(Network& network, const Batch& batch) override {
    const bool training = network.is_training();
    Losses losses = objective_->compute(network, training ? augmented(batch) : batch);
    if (consistency_ > 0) add_consistency(losses, network, batch, training);
    if (flips_ && !training && batch.size() > 0) add_flips(losses, network, batch);
    return losses;
  }

 private:
  Batch augmented(const Batch& batch) const {
    if (!augmentation_ || batch.size() == 0) return batch;
    Batch changed = batch;
    changed.images = exchange_(batch, *augmentation_, Use::augmentation, /*own=*/true);
    if (chance_ < 1)
      changed.images = at::where(exchange_.chosen(batch, chance_).view({-1, 1, 1, 1}), changed.images, batch.images);
    return changed;
  }

  // Batch norms take the batch's statistics in training, and leave the running ones to the first pass.
  at::Tensor predicted(Network& network, const Batch& batch, const at::Tensor& images) const {
    TapeContext context = context_for(network, batch, seed_, /*recording=*/false);
    if (context.statistics == BatchStatistics::batch_update) context.statistics = BatchStatistics::batch;
    Tape tape(std::move(context));
    const Value logits = network.forward(tape, images);
    return tape.prediction(logits);
  }

  void add_consistency(Losses& losses, Network& network, const Batch& batch, bool training) const {
    if (batch.size() == 0 && !batch.across) return;
    const at::Tensor other =
        predicted(network, batch, exchange_(batch, BackgroundKind::swap, Use::second_pass, training));
    at::Tensor penalty = other.sum() * 0;  // of a rank without samples
    if (batch.size() > 0) {
      if (losses.logits.sizes() != other.sizes())
        fail(ErrorKind::usage,
             "--background-consistency: this objective predicts other classes than the network has logits of; "
             "allowed: 0");
      penalty = (losses.logits - other).square().mean();
      losses.parts.emplace_back("loss_background", penalty);
    }
    penalty = consistency_ * penalty;
    losses.total = losses.total.defined() ? losses.total + penalty : penalty;
  }

  void add_flips(Losses& losses, Network& network, const Batch& batch) const {
    const at::Tensor own = predicted(network, batch, batch.images);
    const at::Tensor other = predicted(network, batch, exchange_(batch, *flips_, Use::second_pass, /*own=*/false));
    const bool several = batch.labels.defined() && batch.labels.dim() == 2;
    const at::Tensor changed =
        several ? own.gt(0).ne(other.gt(0)) : own.argmax(1).ne(other.argmax(1));
    losses.parts.emplace_back("background_flips", changed.to(at::kFloat).mean());
    if (!batch.labels.defined()) return;
    const auto [right, all] = correct_answers(other, batch.labels, batch.size());
    losses.parts.emplace_back("background_accuracy", at::scalar_tensor(right / all, at::kDouble));
  }

  std::shared_ptr<Objective> objective_;
  std::uint64_t seed_;
  Exchange exchange_;
  std::optional<BackgroundKind> augmentation_;
  double chance_, consistency_;
  std::optional<BackgroundKind> flips_;
};

OptionSpec kind_option(const char* name, std::string help) {
  std::vector<std::string> names{off};
  names.insert(names.end(), background_kinds().begin(), background_kinds().end());
  return choice_option(name, off, std::move(help), names);
}

}  // namespace

std::vector<OptionSpec> exchanged_background_options() {
  return {kind_option("augment-background",
                      "Put the objects of training images on other backgrounds: another training image's without "
                      "its object (swap), noise, their own blurred, grey, or their own with pixels in random "
                      "order (needs masks)"),
          real_option("augment-background-chance", "1", "The chance that a training image gets another background",
                      0, 1),
          real_option("background-consistency", "0",
                      "Weight of a penalty: the mean squared change of the logits when the background becomes "
                      "another training image's (needs masks; one more forward pass)",
                      0, 1e300),
          kind_option("background-flips",
                      "Let each validation exchange backgrounds too: background_flips is the share of samples "
                      "whose prediction changes, background_accuracy the accuracy on other backgrounds "
                      "(--monitor val_background_flips)")};
}

std::shared_ptr<Objective> with_exchanged_backgrounds(std::shared_ptr<Objective> objective,
                                                      const OptionValues& options,
                                                      std::shared_ptr<const SplitReader> train) {
  std::vector<std::string> given;
  for (const char* name : {"augment-background", "background-flips"})
    if (options.text(name) != off) given.emplace_back(name);
  if (options.real("background-consistency") > 0) given.emplace_back("background-consistency");
  if (given.empty()) return objective;
  if (train->layout().mask_channels == 0)
    fail(ErrorKind::usage, "--", given.front(), ": needs masks, which the split ", train->name(),
         " lacks; add masks, or leave the option out");
  if (given.back() != "augment-background" && !objective->needs_classes())
    fail(ErrorKind::usage, "--", given.back(), ": needs an objective that classifies images");
  return std::make_shared<ExchangedBackgrounds>(std::move(objective), options, std::move(train));
}

}  // namespace isnet
