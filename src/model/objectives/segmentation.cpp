// Segmentation: the masks are what is learnt; alone, or beside the images' classes
// (L = (1 − P)·L_c + P·L_s).
#include <ATen/ATen.h>

#include "base/error.h"
#include "base/profile.h"
#include "model/losses/classification_loss.h"
#include "model/losses/mask_threshold.h"
#include "model/losses/segmentation_loss.h"
#include "model/objectives/objective.h"
#include "model/segmentation.h"

namespace isnet {
namespace {

// The half that both have: pixels' logits against masks.
class MaskJudge {
 public:
  MaskJudge(const OptionValues& options, std::string objective)
      : loss_(options),
        objective_(std::move(objective)),
        threshold_(options.real("mask-threshold")),
        tunes_(options.flag("tune-threshold")) {
    if (tunes_ && options.known("mask-classes") && options.integer("mask-classes") > 2)
      fail(ErrorKind::usage, "--tune-threshold: '1' is not allowed with --mask-classes ",
           options.text("mask-classes"), "; allowed with one region, --mask-classes 2");
  }

  bool sums_over_ranks() const { return loss_.sums_over_ranks(); }
  void without_samples(const Batch& batch) const { loss_.without_samples(batch); }

  // Appends the losses to `losses.parts`, counts pixels, and returns the loss.
  at::Tensor judge(const at::Tensor& logits, const Batch& batch, bool training, Losses& losses) const {
    if (!batch.masks.defined())
      fail(ErrorKind::data, "the data set has no masks, which --objective ", objective_,
           " needs; add them, or train a classifier");
    const std::int64_t classes = logits.size(1);
    const at::Tensor truth = pixel_classes(batch.masks, classes, logits.size(2), logits.size(3));
    const auto judged = loss_(logits, truth, batch);
    losses.parts.insert(losses.parts.end(), judged.begin(), judged.end());
    const std::int64_t counted = batch.counted_samples();
    const at::Tensor counted_logits = logits.detach().narrow(0, 0, counted);
    losses.pixel_counts = count_pixels(truth.narrow(0, 0, counted), predicted(counted_logits), classes);
    if (!training) losses.sums = sums_of(logits.detach(), truth);
    return judged.front().second;
  }

  // What the sums of a split make of its metrics; returns loss_segmentation.
  double summarise(NamedNumbers& means, const std::vector<double>& sums) const {
    double loss = number_of(means, "loss_segmentation");
    std::size_t place = 0;
    if (loss_.sums_over_ranks()) {
      const double cross_entropy = sums.at(0) / sums.at(1);
      loss = cross_entropy;
      for (auto& [name, value] : means) {
        if (name == "loss_cross_entropy") value = cross_entropy;
        if (name == "loss_dice") loss += value;
      }
      number_of(means, "loss_segmentation") = loss;
      place = 2;
    }
    if (sums.size() > place)
      choose_threshold(means, at::tensor(at::ArrayRef<double>(sums).slice(place), at::kDouble));
    return loss;
  }

  // Training goes on: validations choose the threshold.
  void train() { training_ = true; }
  void validated(const NamedNumbers& metrics) {
    for (const auto& [name, value] : metrics)
      if (name == found_threshold) set_found({{"mask-threshold", cat(value)}});
  }
  const NamedTexts& found() const { return found_; }
  void set_found(const NamedTexts& found) {
    found_ = found;
    for (const auto& [name, value] : found) threshold_ = std::stod(value);
  }

 private:
  static constexpr const char* found_threshold = "mask_threshold";  // a metric

  static at::Tensor region(const at::Tensor& logits) {
    return at::softmax(logits.to(at::promote_types(logits.scalar_type(), at::kFloat)), 1).select(1, 1);
  }

  // Of a region: where its probability is above the threshold; 0.5 is where it is the larger one.
  at::Tensor predicted(const at::Tensor& logits) const {
    if (logits.size(1) != 2 || threshold_ == 0.5) return logits.argmax(1);
    return region(logits).gt(threshold_).to(at::kLong);
  }

  at::Tensor sums_of(const at::Tensor& logits, const at::Tensor& classes) const {
    const at::Tensor weighted = loss_.weighted_sums(logits, classes);
    if (!tunes_ || !training_) return weighted;
    const at::Tensor counts = count_by_threshold(region(logits), classes).flatten();
    return weighted.defined() ? at::cat({weighted, counts}) : counts;
  }

  static void choose_threshold(NamedNumbers& means, const at::Tensor& counts) {
    const MaskThreshold best = best_mask_threshold(counts.view({2, -1}));
    const at::Tensor right = best.pixel_counts.diagonal(),
                     all = best.pixel_counts.sum(0) + best.pixel_counts.sum(1);
    for (std::int64_t k = 0; k < 2; ++k) {
      const double both = right[k].item<double>(), sum = all[k].item<double>();
      number_of(means, cat("dice_", k)) = 2 * both / sum;
      number_of(means, cat("iou_", k)) = both / (sum - both);
    }
    means.emplace_back(found_threshold, best.value);
  }

  SegmentationLoss loss_;
  std::string objective_;
  double threshold_;
  bool tunes_, training_ = false;
  NamedTexts found_;
};

// A rank without samples has nothing to compute where no batch statistics are exchanged.
bool idle(const Batch& batch) {
  return batch.size() == 0 && !batch.across;
}

class Segmentation : public Objective {
 public:
  explicit Segmentation(const OptionValues& options)
      : seed_(static_cast<std::uint64_t>(options.integer("seed"))), judge_(options, "segmentation") {}

  bool needs_masks() const override { return true; }
  bool needs_classes() const override { return false; }
  bool needs_pixels() const override { return true; }
  bool sums_over_ranks() const override { return judge_.sums_over_ranks(); }
  std::vector<std::string> loss_names() const override { return {"loss_segmentation"}; }

  Losses compute(Network& network, const Batch& batch) override {
    Losses losses;
    if (idle(batch)) {
      judge_.without_samples(batch);
      return losses;
    }
    profile::Scope scope(profile::Phase::forward);
    Tape tape(context_for(network, batch, seed_, /*recording=*/false));
    const at::Tensor logits = tape.output(network.outputs(tape, batch.images).pixels);
    scope.next(profile::Phase::loss);
    losses.total = judge_.judge(logits, batch, network.is_training(), losses);
    return losses;
  }

  void summarise(NamedNumbers& means, const std::vector<double>& sums) const override {
    const double loss = judge_.summarise(means, sums);
    number_of(means, "loss") = loss;
  }
  void start_epoch(std::int64_t) override { judge_.train(); }
  void validated(const NamedNumbers& metrics) override { judge_.validated(metrics); }
  NamedTexts found_options() const override { return judge_.found(); }
  void set_found_options(const NamedTexts& found) override { judge_.set_found(found); }

 private:
  std::uint64_t seed_;
  MaskJudge judge_;
};

class Multitask : public Objective {
 public:
  explicit Multitask(const OptionValues& options)
      : seed_(static_cast<std::uint64_t>(options.integer("seed"))),
        weight_(options.real("segmentation-weight")),
        classification_loss_(options),
        judge_(options, "multitask") {}

  bool needs_masks() const override { return true; }
  bool needs_pixels() const override { return true; }
  bool sums_over_ranks() const override { return judge_.sums_over_ranks(); }
  std::vector<double> class_weights() const override { return classification_loss_.class_weights(); }
  std::vector<std::string> loss_names() const override {
    return {"loss_classification", "loss_segmentation"};
  }

  Losses compute(Network& network, const Batch& batch) override {
    Losses losses;
    if (idle(batch)) {
      judge_.without_samples(batch);
      return losses;
    }
    profile::Scope scope(profile::Phase::forward);
    Tape tape(context_for(network, batch, seed_, /*recording=*/false));
    const Outputs out = network.outputs(tape, batch.images);
    losses.logits = tape.output(out.classes);
    const at::Tensor& pixels = tape.output(out.pixels);
    scope.next(profile::Phase::loss);
    const at::Tensor classification = classification_loss_(losses.logits, batch);
    losses.parts = {{"loss_classification", classification}};
    losses.total =
        (1 - weight_) * classification + weight_ * judge_.judge(pixels, batch, network.is_training(), losses);
    return losses;
  }

  void summarise(NamedNumbers& means, const std::vector<double>& sums) const override {
    const double loss = judge_.summarise(means, sums);
    number_of(means, "loss") = (1 - weight_) * number_of(means, "loss_classification") + weight_ * loss;
  }
  void start_epoch(std::int64_t) override { judge_.train(); }
  void validated(const NamedNumbers& metrics) override { judge_.validated(metrics); }
  NamedTexts found_options() const override { return judge_.found(); }
  void set_found_options(const NamedTexts& found) override { judge_.set_found(found); }

 private:
  std::uint64_t seed_;
  double weight_;
  ClassificationLoss classification_loss_;
  MaskJudge judge_;
};

std::vector<OptionSpec> mask_options() {
  auto options = segmentation_loss_options();
  options.push_back(mask_threshold_option());
  options.push_back(switch_option("tune-threshold", false,
                                  "segmentation, multitask: let each validation choose --mask-threshold, in "
                                  "hundredths, by the region's intersection over union; it is stored with the "
                                  "weights"));
  return options;
}

std::vector<OptionSpec> multitask_options() {
  auto options = mask_options();
  options.push_back(real_option("segmentation-weight", "0.5",
                                "multitask: P, the share of the segmentation loss in the total", 0, 1));
  for (auto& more : classification_loss_options()) options.push_back(std::move(more));
  return options;
}

const Registration<ObjectiveFactory> segmentation(
    objectives(),
    {.name = "segmentation",
     .description = "Masks alone: a segmenter",
     .options = mask_options(),
     .make = [](const OptionValues& options) { return std::make_unique<Segmentation>(options); },
     .defaults = {{"dropout", "0"}, {"recompute-bn-statistics", "0"}},
     .capabilities = {
         .needs_masks = true, .needs_classes = false, .needs_pixels = true, .trains_heatmaps = false}});
const Registration<ObjectiveFactory> multitask(
    objectives(), {.name = "multitask",
                   .description = "Classes and masks from one network",
                   .options = multitask_options(),
                   .make = [](const OptionValues& options) { return std::make_unique<Multitask>(options); },
                   .defaults = {{"dropout", "0.5"}, {"recompute-bn-statistics", "0"}},
                   .capabilities = {.needs_masks = true, .needs_pixels = true, .trains_heatmaps = false}});

}  // namespace
}  // namespace isnet
