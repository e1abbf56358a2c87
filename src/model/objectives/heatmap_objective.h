// What objectives that penalise heatmaps outside masks have in common, however the heatmaps are made: the
// total (1 − P)·L_c + P·L_heat, P by epoch, supervised hidden layers, and cuts found by a warm-up.
#pragma once

#include <memory>

#include "model/losses/classification_loss.h"
#include "model/losses/supervision.h"
#include "model/objectives/forward_pass.h"
#include "model/objectives/heatmap_weight.h"
#include "model/objectives/objective.h"

namespace isnet {

/// Heatmaps of a batch, with what they are judged by.
struct JudgedHeatmaps {
  Heatmaps maps;
  at::Tensor masks;    ///< as HeatmapLoss::compute wants them
  at::Tensor classes;  ///< B×M, or undefined: all classes in order
};

/// Needs masks. Deriving classes say how heatmaps are made.
class HeatmapObjective : public Objective {
 public:
  bool needs_masks() const override { return true; }
  std::vector<double> class_weights() const override { return classification_loss_.class_weights(); }
  Losses compute(Network& network, const Batch& batch) override;

  void start_epoch(std::int64_t epoch) override;
  bool comparable(std::int64_t epoch) const override;
  std::vector<double> gathered() const override;
  void set_gathered(const std::vector<double>& numbers) override { tuning_.set_state(numbers); }
  void finish_epoch(const std::vector<std::vector<double>>& ranks) override;
  NamedTexts found_options() const override { return found_; }
  void set_found_options(const NamedTexts& found) override;
  NamedNumbers settings() const override;

 protected:
  /// `name`: the objective's, for messages. `groups`: kinds of maps (HeatmapSelection::groups). Errors:
  /// usage.
  HeatmapObjective(const OptionValues& options, std::string name, int groups);

  /// A forward pass that heatmaps() can start from.
  virtual ForwardPass forward(Network& network, const Batch& batch) = 0;
  virtual JudgedHeatmaps heatmaps(const ForwardPass& pass, const Batch& batch) const = 0;

  std::uint64_t seed() const { return seed_; }
  const std::vector<std::string>& layers() const { return supervision_->layers(); }

 private:
  Losses classified(Network& network, const Batch& batch);

  OptionValues options_;
  std::string name_;
  int groups_;
  HeatmapWeight weights_;
  double weight_;
  std::int64_t warm_up_epochs_;
  std::uint64_t seed_;
  ClassificationLoss classification_loss_;
  std::unique_ptr<Supervision> supervision_;
  CutTuning tuning_;
  NamedTexts found_;
  bool warm_up_ = false, gathering_ = false;
};

/// Their options: --heatmap-weight, --tune-cut, supervised layers. They use heatmap_loss_group() besides.
std::vector<OptionSpec> heatmap_objective_options();

}  // namespace isnet
