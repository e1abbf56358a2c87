#include "evaluation/score_report.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "evaluation/delong.h"
#include "evaluation/hypothesis_tests.h"

namespace isnet {
namespace {

// Below that, an interval by group says little.
constexpr std::size_t few_groups = 10;

std::vector<BinaryCounts> counts_by_class(const Predictions& predictions) {
  std::vector<BinaryCounts> counts(predictions.classes());
  for (std::size_t i = 0; i < predictions.size(); ++i)
    for (std::size_t k = 0; k < counts.size(); ++k)
      counts[k].add(predictions.is_of(i, k), predictions.decided_for(i, k));
  return counts;
}

// Successes and trials of a figure that is a proportion of independent samples.
struct Proportion {
  std::int64_t part = 0, whole = 0;
};
std::optional<Proportion> proportion(const FigureName& name, double value, const Predictions& predictions,
                                     const std::vector<BinaryCounts>& counts) {
  const auto samples = static_cast<std::int64_t>(predictions.size());
  const bool of_samples = name.name == "exact_match" || name.name.starts_with("top_") ||
                          (name.name == "accuracy" && predictions.kind == ScoreKind::single_label);
  if (of_samples) return Proportion{std::llround(value * static_cast<double>(samples)), samples};
  if (name.of_class < 0) return {};
  const BinaryCounts& of = counts[static_cast<std::size_t>(name.of_class)];
  const auto ratio = [](std::int64_t part, std::int64_t rest) { return Proportion{part, part + rest}; };
  if (name.name == "precision") return ratio(of.true_positive, of.false_positive);
  if (name.name == "recall") return ratio(of.true_positive, of.false_negative);
  if (name.name == "specificity") return ratio(of.true_negative, of.false_positive);
  if (name.name == "npv") return ratio(of.true_negative, of.false_negative);
  return {};
}

std::string why_undefined(const FigureName& name) {
  if (name.name.starts_with("auc")) return "undefined: all samples are of one kind";
  if (name.name.starts_with("average_precision")) return "undefined: no sample is of the class";
  return "undefined: labels and predictions are of one class";
}

// Value and interval of each figure.
class Estimator {
 public:
  Estimator(const Figures& figures, const ReportOptions& options, ScoreReport& report)
      : figures_(figures), values_(figures.values()), report_(report) {
    const Predictions& predictions = figures.predictions();
    const ResamplingPlan plan = resampling_plan(predictions, options.resample_groups);
    report.by_group = plan.by_group();
    report.units = plan.units();
    report.seed = options.seed;
    report.replicates = options.bootstrap.value_or(affordable_replicates(predictions));
    replicates_ = bootstrap(plan, [&](SampleWeights weights) { return figures.values(weights); },
                            {options.seed, report.replicates, options.threads});
  }

  NamedEstimate estimate(std::size_t index) const {
    const FigureName& name = figures_.names()[index];
    Estimate result;
    result.value = values_[index];
    if (!result.defined()) {
      result.note = why_undefined(name);
      return {name, result};
    }
    if (!report_.by_group) {
      if (const auto of = proportion(name, result.value, figures_.predictions(), report_.counts)) {
        const Estimate with_interval = wilson(of->part, of->whole);
        if (with_interval.defined()) return {name, with_interval};
        result.note = with_interval.note;  // the value is 0 by definition
        return {name, result};
      }
      if (name.name == "auc") {
        const auto k = static_cast<std::size_t>(name.of_class);
        return {name, delong_interval(figures_.predictions().probabilities_of(k), figures_.positive(k))};
      }
    }
    add_percentile_interval(result, replicates_, index, report_.by_group);
    return {name, result};
  }

 private:
  const Figures& figures_;
  std::vector<double> values_;
  const ScoreReport& report_;
  std::vector<std::vector<double>> replicates_;
};

void add_curves(const Figures& figures, const ReportOptions& options, ScoreReport& report) {
  for (std::size_t k = 0; k < figures.predictions().classes(); ++k) {
    const std::vector<double> scores = figures.predictions().probabilities_of(k);
    report.curves.push_back(
        {roc_curve(scores, figures.ranking(k), figures.positive(k), options.curve_points),
         precision_recall_curve(scores, figures.ranking(k), figures.positive(k), options.curve_points)});
  }
}

void add_posteriors(const Predictions& predictions, const ReportOptions& options, ScoreReport& report) {
  const bool single = predictions.kind == ScoreKind::single_label;
  const std::size_t classes = predictions.classes();
  if (options.posterior_draws == 0 || (single && classes < 2)) return;
  PosteriorOptions drawing{options.seed, 0, 1, options.threads};
  if (single) {
    std::vector<std::int64_t> counts(classes * classes, 0);
    for (std::size_t i = 0; i < predictions.size(); ++i)
      ++counts[static_cast<std::size_t>(predictions.labels[i]) * classes +
               static_cast<std::size_t>(predictions.predicted[i])];
    drawing.draws = affordable_draws(classes, options.posterior_draws);
    report.posteriors = score_posteriors(counts, classes, drawing);
    report.class_posteriors = report.posteriors->classes;
  } else {
    drawing.draws = affordable_draws(2 * classes, options.posterior_draws);
    for (const auto& of : report.counts) {
      const std::vector<std::int64_t> counts{of.true_negative, of.false_positive, of.false_negative,
                                             of.true_positive};
      report.class_posteriors.push_back(score_posteriors(counts, 2, drawing).classes[1]);
    }
  }
  report.posterior_draws = drawing.draws;
}

void add_choices(const Predictions& predictions, const ValidationChoices& choices, ScoreReport& report) {
  for (OperatingPoint point : choices.operating_points) {
    point.counts = counts_at(predictions.probabilities_of(point.of_class),
                             predictions.is_of_class(point.of_class), point.threshold);
    report.operating_points.push_back(std::move(point));
  }
  if (choices.temperature) {
    CalibrationReport& of = report.calibration.emplace();
    of.temperature = *choices.temperature;
    const Predictions after = calibrated(predictions, of.temperature);
    for (int i = 0; i < 2; ++i) {
      const Predictions& which = i == 0 ? predictions : after;
      of.log_loss[i] = of.brier[i] = 0;
      for (std::size_t sample = 0; sample < which.size(); ++sample) {
        of.log_loss[i] += log_loss(which, sample) / static_cast<double>(which.size());
        of.brier[i] += brier_score(which, sample) / static_cast<double>(which.size());
      }
      of.reliability = reliability_curve(which);
      of.ece[i] = expected_calibration_error(of.reliability);
    }
  }
  if (choices.implicit_class) {
    ImplicitClassReport& of = report.implicit_class.emplace();
    of.chosen = *choices.implicit_class;
    of.matrix = implicit_confusion(predictions, of.chosen.threshold, "these samples");
    std::int64_t right = 0;
    for (std::int64_t k = 0; k < of.matrix.classes(); ++k) right += of.matrix.count(k, k);
    of.accuracy = wilson(right, of.matrix.samples());
    of.auc = implicit_auc(predictions);
  }
}

void add_remarks(const Predictions& predictions, const ReportOptions& options, ScoreReport& report) {
  std::size_t absent = 0;
  for (const auto& counts : report.counts) absent += counts.true_positive + counts.false_negative == 0;
  const std::size_t present = report.counts.size() - absent;
  if (predictions.kind == ScoreKind::single_label && present == 1)
    report.remarks.push_back("All samples are of one class: areas under curves are undefined.");
  else if (absent > 0)
    report.remarks.push_back(cat("No sample is of ", absent, " of the ", report.counts.size(),
                                 " classes: means of areas and average precisions leave them out."));
  if (report.by_group && report.units < few_groups)
    report.remarks.push_back(
        cat("There are only ", report.units,
            " groups: intervals by group are unreliable (--bootstrap-by sample takes samples)."));
  if (!options.bootstrap && report.replicates < 1000)
    report.remarks.push_back(
        report.replicates == 0
            ? std::string(
                  "The bootstrap is left out with so many samples and classes; --bootstrap N does it anyway.")
            : cat("The bootstrap has ", report.replicates,
                  " replicates, as there are many samples; --bootstrap N sets another number."));
}

}  // namespace

ResamplingPlan resampling_plan(const Predictions& predictions, bool by_group) {
  const std::span<const std::string> groups(predictions.groups);
  return ResamplingPlan(predictions.size(), predictions.labels, by_group ? groups : groups.first(0));
}

std::size_t affordable_replicates(const Predictions& predictions) {
  const std::size_t work = predictions.size() * (predictions.classes() + 1);
  const std::size_t affordable = std::min<std::size_t>(1000, 1'000'000'000 / std::max<std::size_t>(1, work));
  return affordable < 100 ? 0 : affordable;
}

ScoreReport make_report(const Predictions& predictions, const ReportOptions& options,
                        const ValidationChoices* choices) {
  ScoreReport report;
  report.kind = predictions.kind;
  report.class_names = predictions.class_names;
  report.samples = static_cast<std::int64_t>(predictions.size());
  report.counts = counts_by_class(predictions);
  std::vector<std::int64_t> top_k;
  for (const auto k : options.top_k)
    if (k < static_cast<std::int64_t>(predictions.classes())) top_k.push_back(k);
  const Figures figures(predictions, top_k);
  const Estimator estimator(figures, options, report);
  for (std::size_t i = 0; i < figures.names().size(); ++i) report.figures.push_back(estimator.estimate(i));
  report.reliability = reliability_curve(predictions);
  add_curves(figures, options, report);
  add_posteriors(predictions, options, report);
  if (choices) add_choices(predictions, *choices, report);
  add_remarks(predictions, options, report);
  return report;
}

const Estimate& ScoreReport::figure(const std::string& name, std::int64_t of_class) const {
  for (const auto& one : figures)
    if (one.name == FigureName{name, of_class}) return one.estimate;
  fail(ErrorKind::internal, "no figure is named '", name, "'");
}

}  // namespace isnet
