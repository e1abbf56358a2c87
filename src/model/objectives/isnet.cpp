// ISNet: the classifier's loss and its heatmaps' loss, L = (1 − P)·L_c + P·L_LRP (arXiv 2202.00232); with
// heatmaps of hidden layers on request (arXiv 2401.08409), and C1 and C2 chosen by a warm-up on request.
#include <ATen/ATen.h>

#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/profile.h"
#include "model/losses/classification_loss.h"
#include "model/losses/supervision.h"
#include "model/lrp/first_layer.h"
#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "model/objectives/heatmap_weight.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

void count_nonfinite(Losses& losses, const Heatmaps& heatmaps, std::int64_t samples) {
  at::Tensor bad;  // by sample
  const auto look = [&](const at::Tensor& maps) {
    const at::Tensor finite = maps.detach().narrow(0, 0, samples).isfinite();
    if (finite.all().item<bool>()) return;
    const at::Tensor here = finite.logical_not().flatten(1).sum(1);
    bad = bad.defined() ? bad + here : here;
  };
  look(heatmaps.pixels);
  for (const auto& maps : heatmaps.hidden) look(maps);
  if (!bad.defined()) return;
  losses.nonfinite_values = bad.sum().item<std::int64_t>();
  losses.nonfinite_samples = bad.gt(0).sum().item<std::int64_t>();
}

class IsnetObjective : public Objective {
 public:
  explicit IsnetObjective(const OptionValues& options)
      : options_(options),
        weights_(options.text("heatmap-weight")),
        weight_(weights_.last()),
        warm_up_epochs_(options.integer("tune-cut")),
        seed_(static_cast<std::uint64_t>(options.integer("seed"))),
        classification_loss_(options),
        lrp_(lrp_options(options)),
        selection_(heatmap_selections().at(options.text("heatmaps")).make(options)),
        supervision_(std::make_unique<Supervision>(options, selection_->groups())),
        tuning_(supervision_->places()) {
    if (warm_up_epochs_ > 0 && !supervision_->uses_cuts())
      fail(ErrorKind::usage, "--tune-cut: '", warm_up_epochs_, "' is not allowed with --heatmap-loss ",
           options.text("heatmap-loss"), ", which has no cuts; allowed: 0");
  }

  bool needs_masks() const override { return true; }
  std::vector<double> class_weights() const override { return classification_loss_.class_weights(); }

  Losses compute(Network& network, const Batch& batch) override {
    if (!batch.masks.defined())
      fail(ErrorKind::data,
           "the data set has no masks, which --objective isnet needs; add them, or train a classifier");
    if (warm_up_) return classified(network, batch);
    profile::Scope scope(profile::Phase::forward);
    Tape tape(context_for(network, batch, seed_, /*recording=*/true));
    const Value out = network.forward(tape, batch.images);
    const at::Tensor& logits = tape.output(out);
    scope.next(profile::Phase::relevance);
    const Selected selected = selection_->select(logits_of(tape, out, lrp_), batch, seed_);
    const Heatmaps heatmaps = relevance(tape, out, selected, lrp_, supervision_->layers());
    scope.next(profile::Phase::loss);
    const at::Tensor classification = classification_loss_(logits, batch);
    auto judged = supervision_->judge(heatmaps, selected_masks(batch.masks, selected), selected.classes,
                                      logits.size(1), batch.across.get());
    Losses losses;
    losses.total = (1 - weight_) * classification + weight_ * judged.total;
    losses.parts = {{"loss_classification", classification}, {"loss_heatmap", judged.total}};
    losses.parts.insert(losses.parts.end(), judged.parts.begin(), judged.parts.end());
    losses.logits = logits;
    count_nonfinite(losses, heatmaps, batch.counted_samples());
    return losses;
  }

  void start_epoch(std::int64_t epoch) override {
    weight_ = weights_.at(epoch);
    warm_up_ = epoch < warm_up_epochs_;
    gathering_ = epoch + 1 == warm_up_epochs_;
    if (warm_up_epochs_ > 0 && !warm_up_ && found_.empty())
      fail(ErrorKind::checkpoint, "the checkpoint is one of epoch ", epoch,
           ", but lacks the cuts that --tune-cut ", warm_up_epochs_, " finds before");
  }

  bool comparable(std::int64_t epoch) const override {
    return epoch >= warm_up_epochs_ && weights_.at(epoch) == weights_.last();
  }

  std::vector<double> gathered() const override {
    return gathering_ && found_.empty() ? tuning_.state() : std::vector<double>{};
  }
  void set_gathered(const std::vector<double>& numbers) override { tuning_.set_state(numbers); }

  void finish_epoch(const std::vector<std::vector<double>>& ranks) override {
    const auto moments = CutTuning::merged(ranks);
    std::vector<Cuts> cuts;
    for (const auto& place : moments) cuts.push_back(cuts_of(place));
    set_found_options(supervision_->options_of(cuts));
    std::string text;
    for (const auto& [name, value] : found_) text += cat(" --", name, " ", value);
    log::info(cat("cuts from ", moments.front().count, " heatmaps:", text));
  }

  NamedTexts found_options() const override { return found_; }
  void set_found_options(const NamedTexts& found) override {
    found_ = found;
    for (const auto& [name, value] : found_) options_.set(name, value);
    supervision_ = std::make_unique<Supervision>(options_, selection_->groups());
  }

  NamedNumbers settings() const override {
    NamedNumbers settings;
    if (!weights_.constant() || warm_up_epochs_ > 0)
      settings.emplace_back("heatmap_weight", warm_up_ ? 0.0 : weight_);
    if (!found_.empty())
      for (const auto& named : supervision_->metrics()) settings.push_back(named);
    return settings;
  }

 private:
  // A step of the warm-up: the plain classifier; in its last epoch Σ|R| is looked at.
  Losses classified(Network& network, const Batch& batch) {
    const bool look = gathering_ && network.is_training();
    profile::Scope scope(profile::Phase::forward);
    Tape tape(context_for(network, batch, seed_, look));
    const Value out = network.forward(tape, batch.images);
    const at::Tensor& logits = tape.output(out);
    scope.next(profile::Phase::loss);
    Losses losses;
    losses.total = classification_loss_(logits, batch);
    losses.parts = {{"loss_classification", losses.total}};
    losses.logits = logits;
    if (!look) return losses;
    scope.next(profile::Phase::relevance);
    const at::NoGradGuard no_grad;
    const Selected selected = selection_->select(logits_of(tape, out, lrp_), batch, seed_);
    const Heatmaps heatmaps = relevance(tape, out, selected, lrp_, supervision_->layers());
    supervision_->gather(tuning_, heatmaps, batch.counted_samples());
    count_nonfinite(losses, heatmaps, batch.counted_samples());
    return losses;
  }

  OptionValues options_;
  HeatmapWeight weights_;
  double weight_;
  std::int64_t warm_up_epochs_;
  std::uint64_t seed_;
  ClassificationLoss classification_loss_;
  LrpOptions lrp_;
  std::unique_ptr<HeatmapSelection> selection_;
  std::unique_ptr<Supervision> supervision_;
  CutTuning tuning_;
  NamedTexts found_;
  bool warm_up_ = false, gathering_ = false;
};

std::vector<OptionSpec> isnet_options() {
  std::vector<OptionSpec> options{
      heatmap_weight_option(),
      integer_option(
          "tune-cut", "0",
          "isnet: train the plain classifier for this many epochs (5 is usual), in the last of them "
          "choose C1 and C2 from its heatmaps, and go on with these; 0: as --cut and --cut2 say",
          0),
      text_option("heatmaps", "all", "SELECTION", "isnet: which heatmaps a step computes"),
      text_option("heatmap-loss", "gwrp", "LOSS", "isnet: how relevance in the background is punished")};
  for (auto& more : {lrp_option_specs(), supervision_options()})
    options.insert(options.end(), more.begin(), more.end());
  return options;
}

const Registration<ObjectiveFactory> isnet(objectives(),
                                           {"isnet", "classifier and LRP heatmaps punished outside the mask",
                                            isnet_options(), [](const OptionValues& options) {
                                              return std::make_unique<IsnetObjective>(options);
                                            }});

}  // namespace
}  // namespace isnet
