#include "model/objectives/heatmap_objective.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/log.h"
#include "base/profile.h"

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
  losses.nonfinite_rows = bad.gt(0).nonzero().flatten().cpu();
  losses.nonfinite_samples = losses.nonfinite_rows.numel();
}

}  // namespace

HeatmapObjective::HeatmapObjective(const OptionValues& options, std::string name, int groups)
    : options_(options),
      name_(std::move(name)),
      groups_(groups),
      weights_(options.text("heatmap-weight")),
      weight_(weights_.last()),
      warm_up_epochs_(options.integer("tune-cut")),
      seed_(static_cast<std::uint64_t>(options.integer("seed"))),
      classification_loss_(options),
      supervision_(std::make_unique<Supervision>(options, groups)),
      tuning_(supervision_->places()) {
  if (warm_up_epochs_ > 0 && !supervision_->uses_cuts())
    fail(ErrorKind::usage, "--tune-cut: '", warm_up_epochs_, "' is not allowed with --heatmap-loss ",
         options.text("heatmap-loss"), ", which has no cuts; allowed: 0");
}

Losses HeatmapObjective::compute(Network& network, const Batch& batch) {
  if (!batch.masks.defined())
    fail(ErrorKind::data, "the data set has no masks, which --objective ", name_,
         " needs; add them, or train a classifier");
  if (warm_up_) return classified(network, batch);
  profile::Scope scope(profile::Phase::forward);
  const ForwardPass pass = forward(network, batch);
  scope.next(profile::Phase::relevance);
  const JudgedHeatmaps judged = heatmaps(pass, batch);
  scope.next(profile::Phase::loss);
  const at::Tensor classification = classification_loss_(*pass.tape, pass.logits, batch);
  auto judgement = supervision_->judge(judged.maps, judged.masks, judged.classes,
                                       pass.tape->output(pass.logits).size(1), batch.across.get());
  Losses losses;
  losses.total = (1 - weight_) * classification + weight_ * judgement.total;
  losses.parts = {{"loss_classification", classification}, {"loss_heatmap", judgement.total}};
  losses.parts.insert(losses.parts.end(), judgement.parts.begin(), judgement.parts.end());
  const auto& remarks = pass.tape->remarks();
  losses.parts.insert(losses.parts.end(), remarks.begin(), remarks.end());
  losses.logits = pass.tape->prediction(pass.logits);
  count_nonfinite(losses, judged.maps, batch.counted_samples());
  return losses;
}

// A step of the warm-up: the plain classifier; in its last epoch Σ|R| is looked at.
Losses HeatmapObjective::classified(Network& network, const Batch& batch) {
  const bool look = gathering_ && network.is_training();
  profile::Scope scope(profile::Phase::forward);
  ForwardPass pass;
  if (look) {
    pass = forward(network, batch);
  } else {
    pass.tape = std::make_unique<Tape>(context_for(network, batch, seed_, /*recording=*/false));
    pass.logits = network.forward(*pass.tape, batch.images);
  }
  scope.next(profile::Phase::loss);
  Losses losses;
  losses.total = classification_loss_(*pass.tape, pass.logits, batch);
  losses.parts = {{"loss_classification", losses.total}};
  losses.logits = pass.tape->prediction(pass.logits);
  if (!look) return losses;
  scope.next(profile::Phase::relevance);
  const at::NoGradGuard no_grad;
  const JudgedHeatmaps judged = heatmaps(pass, batch);
  supervision_->gather(tuning_, judged.maps, batch.counted_samples());
  count_nonfinite(losses, judged.maps, batch.counted_samples());
  return losses;
}

void HeatmapObjective::start_epoch(std::int64_t epoch) {
  weight_ = weights_.at(epoch);
  warm_up_ = epoch < warm_up_epochs_;
  gathering_ = epoch + 1 == warm_up_epochs_;
  if (warm_up_epochs_ > 0 && !warm_up_ && found_.empty())
    fail(ErrorKind::checkpoint, "the checkpoint is one of epoch ", epoch,
         ", but lacks the cuts that --tune-cut ", warm_up_epochs_, " finds before");
}

bool HeatmapObjective::comparable(std::int64_t epoch) const {
  return epoch >= warm_up_epochs_ && weights_.at(epoch) == weights_.last();
}

std::vector<double> HeatmapObjective::gathered() const {
  return gathering_ && found_.empty() ? tuning_.state() : std::vector<double>{};
}

void HeatmapObjective::finish_epoch(const std::vector<std::vector<double>>& ranks) {
  const auto moments = CutTuning::merged(ranks);
  std::vector<Cuts> cuts;
  for (const auto& place : moments) cuts.push_back(cuts_of(place));
  set_found_options(supervision_->options_of(cuts));
  std::string text;
  for (const auto& [name, value] : found_) text += cat(" --", name, " ", value);
  log::info(cat("cuts from ", moments.front().count, " heatmaps:", text));
}

void HeatmapObjective::set_found_options(const NamedTexts& found) {
  found_ = found;
  for (const auto& [name, value] : found_) options_.set(name, value);
  supervision_ = std::make_unique<Supervision>(options_, groups_);
}

NamedNumbers HeatmapObjective::settings() const {
  NamedNumbers settings;
  if (!weights_.constant() || warm_up_epochs_ > 0)
    settings.emplace_back("heatmap_weight", warm_up_ ? 0.0 : weight_);
  if (!found_.empty())
    for (const auto& named : supervision_->metrics()) settings.push_back(named);
  return settings;
}

std::vector<OptionSpec> heatmap_objective_options() {
  std::vector<OptionSpec> options{
      heatmap_weight_option(),
      fixed_at_resume(integer_option(
          "tune-cut", "0",
          "isnet, gradient-x-input: train the plain classifier for this many epochs (5 is usual), choose C1 "
          "and C2 from its heatmaps in the last of them, and train with these; 0: use --cut and --cut2",
          0))};
  for (auto& more : supervision_options()) options.push_back(std::move(more));
  return options;
}

}  // namespace isnet
