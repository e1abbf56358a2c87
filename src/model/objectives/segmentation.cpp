// Segmentation: the masks are what is learnt; alone, or beside the images' classes
// (L = (1 − P)·L_c + P·L_s).
#include <ATen/ATen.h>

#include "base/error.h"
#include "base/profile.h"
#include "model/losses/classification_loss.h"
#include "model/losses/segmentation_loss.h"
#include "model/objectives/defaults.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

// The half that both have: pixels' logits against masks.
class MaskJudge {
 public:
  MaskJudge(const OptionValues& options, std::string objective)
      : loss_(options), objective_(std::move(objective)) {}

  bool sums_over_ranks() const { return loss_.sums_over_ranks(); }
  void without_samples(const Batch& batch) const { loss_.without_samples(batch); }

  // Appends the losses to `losses.parts`, counts pixels, and returns the loss.
  at::Tensor judge(const at::Tensor& logits, const Batch& batch, Losses& losses) const {
    if (!batch.masks.defined())
      fail(ErrorKind::data, "the data set has no masks, which --objective ", objective_,
           " needs; add them, or train a classifier");
    const std::int64_t classes = logits.size(1);
    const at::Tensor truth = pixel_classes(batch.masks, classes, logits.size(2), logits.size(3));
    const auto judged = loss_(logits, truth, batch);
    losses.parts.insert(losses.parts.end(), judged.begin(), judged.end());
    const std::int64_t counted = batch.counted_samples();
    losses.pixel_counts =
        count_pixels(truth.narrow(0, 0, counted), logits.detach().narrow(0, 0, counted).argmax(1), classes);
    return judged.front().second;
  }

 private:
  SegmentationLoss loss_;
  std::string objective_;
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
    losses.total = judge_.judge(logits, batch, losses);
    return losses;
  }

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
    losses.total = (1 - weight_) * classification + weight_ * judge_.judge(pixels, batch, losses);
    return losses;
  }

 private:
  std::uint64_t seed_;
  double weight_;
  ClassificationLoss classification_loss_;
  MaskJudge judge_;
};

std::vector<OptionSpec> multitask_options() {
  auto options = segmentation_loss_options();
  options.push_back(real_option("segmentation-weight", "0.5",
                                "multitask: P, the segmentation loss's share of the total", 0, 1));
  for (auto& more : classification_loss_options()) options.push_back(std::move(more));
  return options;
}

const ObjectiveDefaults of_segmentation("segmentation", {{"dropout", "0"}, {"recompute-bn-statistics", "0"}});
const ObjectiveDefaults of_multitask("multitask", {{"recompute-bn-statistics", "0"}});
const Registration<ObjectiveFactory> segmentation(
    objectives(), {"segmentation", "masks alone: a segmenter", segmentation_loss_options(),
                   [](const OptionValues& options) { return std::make_unique<Segmentation>(options); }});
const Registration<ObjectiveFactory> multitask(objectives(),
                                               {"multitask", "classes and masks from one network",
                                                multitask_options(), [](const OptionValues& options) {
                                                  return std::make_unique<Multitask>(options);
                                                }});

}  // namespace
}  // namespace isnet
