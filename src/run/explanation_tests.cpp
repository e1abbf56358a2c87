#include "run/explanation_tests.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/activity.h"
#include "base/error.h"
#include "evaluation/background_share.h"
#include "evaluation/heatmap_measures.h"
#include "run/class_choice.h"
#include "run/explainer.h"
#include "run/perturbation.h"
#include "run/sample_rows.h"
#include "trainer/batches.h"
#include "trainer/eval_mode.h"

namespace isnet {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

std::vector<double> doubles(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kDouble).contiguous();
  return {host.const_data_ptr<double>(), host.const_data_ptr<double>() + host.numel()};
}

// The mean of what is defined.
class DefinedMean {
 public:
  void add(double value) {
    if (std::isnan(value)) return;
    sum_ += value;
    ++count_;
  }
  double value() const { return count_ > 0 ? sum_ / count_ : undefined; }

 private:
  double sum_ = 0;
  int count_ = 0;
};

// Numbers of the samples of one batch, row by row.
class RowMaker {
 public:
  RowMaker(const ScoredModel& model, const ExplanationRow& row, bool multi_label)
      : model_(model), row_(row), multi_label_(multi_label) {}

  std::vector<std::vector<double>> rows(const Batch& batch, const Explained& explained) const {
    std::vector<std::vector<double>> rows;
    for (std::int64_t i = 0; i < batch.size(); ++i) {
      rows.push_back(measures(explained, i));
      for (std::size_t region = 0; region < row_.regions.size(); ++region)
        rows.back().push_back(share_in(explained, i, batch.masks[i][static_cast<std::int64_t>(region)]));
    }
    if (row_.steps > 0)
      for (const auto perturbation : {Perturbation::deletion, Perturbation::insertion})
        append_curves(batch, explained, perturbation, rows);
    return rows;
  }

 private:
  // Means over the maps of a sample.
  static std::vector<double> measures(const Explained& explained, std::int64_t i) {
    DefinedMean share, mass, rank, pointing;
    for (std::int64_t map = 0; map < explained.heatmaps.size(1); ++map) {
      const HeatmapMeasures of =
          measure_heatmap(doubles(explained.heatmaps[i][map]), doubles(explained.mask_of(i, map)));
      share.add(of.background_share);
      mass.add(of.relevance_mass_accuracy);
      rank.add(of.relevance_rank_accuracy);
      pointing.add(of.pointing_game);
    }
    return {share.value(), mass.value(), rank.value(), pointing.value()};
  }

  // The share of |relevance| in a region; undefined where the image does not have it.
  static double share_in(const Explained& explained, std::int64_t i, const at::Tensor& region) {
    const std::vector<double> mask = doubles(region);
    if (std::none_of(mask.begin(), mask.end(), [](double value) { return value >= 0.5; })) return undefined;
    DefinedMean share;
    for (std::int64_t map = 0; map < explained.heatmaps.size(1); ++map) {
      const std::vector<double> heatmap = doubles(explained.heatmaps[i][map]);
      if (std::any_of(heatmap.begin(), heatmap.end(), [](double value) { return value != 0; }))
        share.add(1 - background_share(heatmap, mask));
    }
    return share.value();
  }

  void append_curves(const Batch& batch, const Explained& explained, Perturbation perturbation,
                     std::vector<std::vector<double>>& rows) const {
    const at::Tensor predicted = explained.logits.argmax(1);
    at::Tensor classes = predicted;
    if (explained.classes.defined()) {
      const at::Tensor of_map = explained.classes.select(1, 0).to(predicted.device());
      classes = at::where(of_map < 0, predicted, of_map);
    }
    const at::Tensor curves =
        perturbation_curves(model_.network, batch.images, explained.heatmaps.select(1, 0).sum(1), classes,
                            static_cast<std::int64_t>(row_.steps), perturbation, multi_label_);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto curve = doubles(curves[static_cast<std::int64_t>(i)]);
      rows[i].insert(rows[i].end(), curve.begin(), curve.end());
    }
  }

  const ScoredModel& model_;
  const ExplanationRow& row_;
  bool multi_label_;
};

}  // namespace

std::vector<OptionSpec> explanation_test_options() {
  OptionSpec methods = text_option("explanation", "", "METHOD,…",
                                   "Measure where heatmaps lie: lrp, gradient-x-input, integrated-gradients, "
                                   "grad-cam, rollout (vit); needs masks");
  methods.refusal = [](const std::string& text) -> std::string {
    OptionValues values({text_option("explanation", "", "", "")});
    values.set("explanation", text);
    const auto& known = explanation_methods();
    for (const auto& one : values.list("explanation"))
      if (std::find(known.begin(), known.end(), one) == known.end())
        return "lrp, gradient-x-input, integrated-gradients, grad-cam, rollout, separated by commas";
    return "";
  };
  return {methods,
          text_option("explanation-class", "predicted", class_choice_words, "Class whose maps are measured"),
          integer_option("deletion-steps", "10",
                         "Steps of the deletion and insertion curves, each a pass of the network; 0: none", 0,
                         10'000),
          integration_steps_option()};
}

std::optional<ExplanationTests> explanation_tests(const OptionValues& options) {
  const std::vector<std::string> names = options.list("explanation");
  if (names.empty()) return {};
  for (auto name = names.begin(); name != names.end(); ++name)
    if (std::find(names.begin(), name, *name) != name)
      fail(ErrorKind::usage, "--explanation: names '", *name, "' twice");
  return ExplanationTests{names, options.text("explanation-class"), options.integer("deletion-steps"),
                          options.integer("integration-steps")};
}

std::vector<ExplanationScores> test_explanations(const ScoredModel& model,
                                                 const std::shared_ptr<const SplitReader>& split,
                                                 const ExplanationTests& tests, const OptionValues& options,
                                                 const std::string& limit, const ReportOptions& report,
                                                 const Communicator& communicator) {
  const activity::Stage stage("explanations");
  const at::NoGradGuard no_grad;
  const EvalMode eval(model.network);
  const bool multi = split->layout().labels == LabelKind::multi;
  const bool one_map = tests.of_class != "all";
  ExplanationRow row;
  if (split->layout().masks_per_class) row.regions = model.class_names;
  if (one_map) row.steps = static_cast<std::size_t>(tests.deletion_steps);
  const RowMaker maker(model, row, multi);
  const std::shared_ptr<const HeatmapSelection> selection =
      select_classes(tests.of_class, "explanation-class", model.class_names, multi, options);
  const Predictions labels = labels_of(*split, model.class_names);
  std::vector<ExplanationScores> results;
  for (const auto& method : tests.methods) {
    ExplainerOptions how;
    how.method = method;
    how.integration_steps = tests.integration_steps;
    const Explainer explainer(model.network, selection, options, how);
    SampleRows collected(row.width());
    const auto loader = split_loader(split, options, false, communicator, limit);
    loader->start(0);
    while (auto host = loader->next()) {
      activity::progress();
      if (host->size == 0) continue;
      const Batch batch = to_batch(std::move(*host), model.place.device, model.place.dtype);
      const auto rows = maker.rows(batch, explainer.explain(batch));
      for (std::size_t i = 0; i < rows.size(); ++i)
        collected.add(batch.ids.const_data_ptr<std::int64_t>()[i], rows[i]);
    }
    std::vector<double> all;
    std::vector<std::size_t> samples;
    collected.gather(split->size(), communicator, [&](std::int64_t sample, std::span<const double> of) {
      samples.push_back(static_cast<std::size_t>(sample));
      all.insert(all.end(), of.begin(), of.end());
    });
    if (!communicator.is_main()) continue;
    results.push_back(explanation_scores(method, tests.of_class, row, all, labels.subset(samples), report));
    if (!one_map && tests.deletion_steps > 0)
      results.back().remarks.push_back("Deletion and insertion are left out: they need one class.");
  }
  return results;
}

}  // namespace isnet
