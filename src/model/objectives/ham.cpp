// Hierarchical attention mining (Ouyang et al., IEEE TMI 40(10), 2021): maps of classes inside the map of
// what is abnormal, which they explain, and near masks where there are any.
#include <ATen/ATen.h>

#include "base/error.h"
#include "base/profile.h"
#include "model/losses/ham_loss.h"
#include "model/losses/heatmap_loss.h"
#include "model/networks/ham.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

class HamObjective : public Objective {
 public:
  explicit HamObjective(const OptionValues& options)
      : seed_(static_cast<std::uint64_t>(options.integer("seed"))), loss_(options) {
    for (const char* name : {"class-weights", "positive-weights"})
      if (options.known(name) && options.has(name))
        fail(ErrorKind::usage, "--", name, " is not allowed with --objective ham, whose losses have none");
  }

  bool sums_over_ranks() const override { return true; }
  std::vector<std::string> loss_names() const override {
    return {"loss_classification", "loss_anomaly", "loss_bound", "loss_union", "loss_supervision"};
  }

  Losses compute(Network& network, const Batch& batch) override {
    auto* mining = dynamic_cast<AttentionMiningNetwork*>(&network);
    if (!mining)
      fail(ErrorKind::usage,
           "--objective ham needs maps of each class, which this network does not yield; allowed: --network "
           "ham");
    const std::int64_t classes = mining->num_classes() - 1;
    if (batch.size() == 0 && !batch.across) {
      loss_.compute_without_samples(classes, batch.masks.defined(), batch);
      return {};
    }
    profile::Scope scope(profile::Phase::forward);
    Tape tape(context_for(network, batch, seed_, /*recording=*/false));
    const HamOutputs out = mining->mine(tape, batch.images);
    scope.next(profile::Phase::loss);
    const HamInputs inputs{out.anomaly,
                           out.classes,
                           out.anomaly_maps,
                           out.class_maps,
                           out.refined_class_maps,
                           abnormal_labels(batch, mining->normal_class(), mining->num_classes()),
                           {}};
    const HamInputs with_masks = masked(inputs, batch, mining->normal_class());
    const HamLosses parts = loss_.compute(with_masks, batch);
    Losses losses;
    losses.total = loss_.total(parts);
    losses.parts = {{"loss_classification", parts.classification},
                    {"loss_anomaly", parts.anomaly},
                    {"loss_bound", parts.bound},
                    {"loss_union", parts.unity},
                    {"loss_supervision", parts.supervision}};
    losses.logits = tape.output(out.logits);
    if (!network.is_training()) losses.sums = parts.sums;
    return losses;
  }

  // Three of the terms divide by labels and masks of the whole split.
  void summarise(NamedNumbers& means, const std::vector<double>& sums) const override {
    const auto mean = [&](const char* name) {
      return at::scalar_tensor(number_of(means, name), at::kDouble);
    };
    HamLosses parts;
    parts.classification = mean("loss_classification");
    parts.anomaly = mean("loss_anomaly");
    HamLoss::summarise(parts, at::tensor(sums, at::kDouble));
    number_of(means, "loss_bound") = parts.bound.item<double>();
    number_of(means, "loss_union") = parts.unity.item<double>();
    number_of(means, "loss_supervision") = parts.supervision.item<double>();
    number_of(means, "loss") = loss_.total(parts).item<double>();
  }

 private:
  // B×K without the normal class; a single label as a row with one 1, or none.
  static at::Tensor abnormal_labels(const Batch& batch, std::int64_t normal, std::int64_t classes) {
    if (!batch.labels.defined())
      fail(ErrorKind::data, "the data set has no labels, which this objective needs");
    const at::Tensor all = batch.labels.dim() == 1 ? at::one_hot(batch.labels, classes) : batch.labels;
    return without(all, normal).to(batch.images.scalar_type());
  }

  static at::Tensor without(const at::Tensor& all, std::int64_t normal) {
    return at::cat({all.narrow(1, 0, normal), all.narrow(1, normal + 1, all.size(1) - normal - 1)}, 1);
  }

  // Masks by class, or one mask an image, which is that of each of its labels.
  static HamInputs masked(HamInputs inputs, const Batch& batch, std::int64_t normal) {
    if (!batch.masks.defined()) return inputs;
    const at::Tensor one_channel = batch.masks.amax(-3);  // B×H×W, or B×(K + 1)×H×W
    inputs.masks = batch.masks.dim() == 5
                       ? without(one_channel, normal)
                       : one_channel.unsqueeze(1) * inputs.labels.unsqueeze(-1).unsqueeze(-1);
    return inputs;
  }

  std::uint64_t seed_;
  HamLoss loss_;
};

const Registration<ObjectiveFactory> registration(
    objectives(), {.name = "ham",
                   .description = "Hierarchical attention mining, with --network ham",
                   .options = HamLoss::options(),
                   .make = [](const OptionValues& values) { return std::make_unique<HamObjective>(values); },
                   .defaults = {{"gradient-clip-val", "1"}}});

}  // namespace
}  // namespace isnet
