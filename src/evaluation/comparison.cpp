#include "evaluation/comparison.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "evaluation/bootstrap.h"
#include "evaluation/figures.h"

namespace isnet {
namespace {

// Figures whose differences are tested by the bootstrap, where there are such.
const std::vector<std::string>& compared_figures() {
  static const std::vector<std::string> names{
      "accuracy",  "exact_match",   "balanced_accuracy",       "macro_f1", "kappa", "mcc",
      "auc_macro", "auc_hand_till", "average_precision_macro", "log_loss", "brier", "ece"};
  return names;
}

// Replicates of all models, each row the compared figures of the first model, then those of the second, …
class PairedBootstrap {
 public:
  PairedBootstrap(const std::vector<ComparedModel>& models, const ReportOptions& options) {
    for (const auto& model : models) figures_.push_back(std::make_unique<Figures>(model.predictions));
    for (const auto& name : compared_figures()) {
      const auto& known = figures_.front()->names();
      const auto found = std::find(known.begin(), known.end(), FigureName{name, -1});
      if (found == known.end()) continue;
      names_.push_back(name);
      places_.push_back(static_cast<std::size_t>(found - known.begin()));
    }
    const Predictions& first = models.front().predictions;
    const ResamplingPlan plan = resampling_plan(first, options.resample_groups);
    by_group_ = plan.by_group();
    count_ = options.bootstrap.value_or(affordable_replicates(first));
    values_ = row({});
    replicates_ = bootstrap(plan, [&](SampleWeights weights) { return row(weights); },
                            {options.seed, count_, options.threads});
  }

  std::size_t count() const { return count_; }
  bool by_group() const { return by_group_; }

  std::vector<FigureDifference> differences(std::size_t first, std::size_t second) const {
    std::vector<FigureDifference> result;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const std::size_t a = first * names_.size() + i, b = second * names_.size() + i;
      std::vector<std::vector<double>> differences;
      for (const auto& replicate : replicates_) differences.push_back({replicate[a] - replicate[b]});
      FigureDifference one{names_[i], {}, bootstrap_p(differences, 0), 1};
      one.difference.value = values_[a] - values_[b];
      add_percentile_interval(one.difference, differences, 0, by_group_);
      if (!one.difference.defined()) one.difference.note = "undefined for one of the models";
      result.push_back(std::move(one));
    }
    return result;
  }

 private:
  std::vector<double> row(SampleWeights weights) const {
    std::vector<double> result;
    for (const auto& figures : figures_) {
      const std::vector<double> values = figures->values(weights);
      for (const std::size_t place : places_) result.push_back(values[place]);
    }
    return result;
  }

  std::vector<std::unique_ptr<Figures>> figures_;
  std::vector<std::string> names_;
  std::vector<std::size_t> places_;
  std::vector<double> values_;
  std::vector<std::vector<double>> replicates_;
  std::size_t count_ = 0;
  bool by_group_ = false;
};

McNemar mcnemar_of(const Predictions& first, const Predictions& second) {
  std::int64_t only_first = 0, only_second = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    only_first += first.right(i) && !second.right(i);
    only_second += second.right(i) && !first.right(i);
  }
  return mcnemar(only_first, only_second);
}

std::vector<ClassAucDifference> areas_of(const Predictions& first, const Predictions& second) {
  std::vector<ClassAucDifference> result;
  for (const std::size_t k : telling_classes(first))
    result.push_back(
        {k, delong_test(first.probabilities_of(k), second.probabilities_of(k), first.is_of_class(k)), 1});
  return result;
}

// Adjusts the p-values that `of` names, all together.
void adjust(const std::vector<std::pair<double, double*>>& of) {
  std::vector<double> values;
  for (const auto& [p, adjusted] : of) values.push_back(p);
  const std::vector<double> adjusted = holm(values);
  for (std::size_t i = 0; i < of.size(); ++i) *of[i].second = adjusted[i];
}

void adjust_all(std::vector<ComparedPair>& pairs) {
  std::vector<std::pair<double, double*>> mcnemars, areas;
  for (auto& pair : pairs) {
    mcnemars.emplace_back(pair.mcnemar.exact_p, &pair.adjusted_mcnemar_p);
    for (auto& area : pair.areas) areas.emplace_back(area.test.p, &area.adjusted_p);
  }
  adjust(mcnemars);
  adjust(areas);
  for (std::size_t i = 0; i < pairs.front().figures.size(); ++i) {
    std::vector<std::pair<double, double*>> of_figure;
    for (auto& pair : pairs) of_figure.emplace_back(pair.figures[i].p, &pair.figures[i].adjusted_p);
    adjust(of_figure);
  }
}

}  // namespace

Comparison compare_models(const std::vector<ComparedModel>& models, const ReportOptions& options) {
  if (models.size() < 2) fail(ErrorKind::internal, "a comparison of fewer than two models");
  Comparison result;
  result.class_names = models.front().predictions.class_names;
  result.samples = static_cast<std::int64_t>(models.front().predictions.size());
  ReportOptions of_each = options;
  of_each.posterior_draws = 0;
  for (const auto& model : models) {
    result.models.push_back(model.name);
    result.reports.push_back(make_report(model.predictions, of_each));
  }
  const PairedBootstrap replicates(models, options);
  result.replicates = replicates.count();
  result.by_group = replicates.by_group();
  for (std::size_t a = 0; a < models.size(); ++a)
    for (std::size_t b = a + 1; b < models.size(); ++b) {
      ComparedPair pair;
      pair.first = a;
      pair.second = b;
      pair.mcnemar = mcnemar_of(models[a].predictions, models[b].predictions);
      pair.areas = areas_of(models[a].predictions, models[b].predictions);
      pair.figures = replicates.differences(a, b);
      result.pairs.push_back(std::move(pair));
    }
  adjust_all(result.pairs);
  result.remarks = result.reports.front().remarks;
  if (result.by_group)
    result.remarks.push_back(
        "Samples of a group are not independent: of the tests only the bootstrap, which draws groups, takes "
        "account of it.");
  return result;
}

}  // namespace isnet
