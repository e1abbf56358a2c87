#include "evaluation/sample_figures.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "evaluation/hypothesis_tests.h"
#include "evaluation/score_report.h"

namespace isnet {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t most_classes_with_intervals = 100;

// Sums of a figure over samples, some of which may count several times.
struct WeightedMean {
  double sum = 0, weight = 0;
  void add(double value, double times) {
    sum += value * times;
    weight += times;
  }
  double value() const { return weight > 0 ? sum / weight : undefined; }
};

// The samples of one class after the other.
std::vector<std::vector<std::uint32_t>> members_of(const Predictions& facts) {
  std::vector<std::vector<std::uint32_t>> members(facts.classes());
  if (!facts.labelled()) return members;
  for (std::uint32_t i = 0; i < facts.size(); ++i)
    for (std::size_t k = 0; k < members.size(); ++k)
      if (facts.is_of(i, k)) members[k].push_back(i);
  return members;
}

// One figure with what is wanted of it, in a row of numbers that resampling yields again and again.
class Summary {
 public:
  Summary(const SampleFigure& figure, const std::vector<std::vector<std::uint32_t>>& members, bool by_class)
      : figure_(figure), members_(members), by_class_(by_class) {
    if (figure.median) {
      for (std::uint32_t i = 0; i < figure.values.size(); ++i)
        if (!std::isnan(figure.values[i])) ascending_.push_back(i);
      std::stable_sort(ascending_.begin(), ascending_.end(),
                       [&](std::uint32_t a, std::uint32_t b) { return figure.values[a] < figure.values[b]; });
    }
  }

  // mean, median, mean of classes, each class: as far as they are wanted.
  void append(SampleWeights weights, std::vector<double>& row) const {
    WeightedMean all;
    for (std::size_t i = 0; i < figure_.values.size(); ++i) add(all, i, weights);
    row.push_back(all.value());
    if (figure_.median) row.push_back(median(weights));
    if (!figure_.class_mean && !by_class_) return;
    std::vector<double> means;
    WeightedMean of_means;
    for (const auto& members : members_) {
      WeightedMean mean;
      for (const auto i : members) add(mean, i, weights);
      means.push_back(mean.value());
      if (!std::isnan(means.back())) of_means.add(means.back(), 1);
    }
    if (figure_.class_mean) row.push_back(of_means.value());
    if (by_class_) row.insert(row.end(), means.begin(), means.end());
  }

 private:
  void add(WeightedMean& mean, std::size_t sample, SampleWeights weights) const {
    if (const double value = figure_.values[sample]; !std::isnan(value))
      mean.add(value, weight_of(weights, sample));
  }

  // The mean of the middle two of an even number.
  double median(SampleWeights weights) const {
    std::uint64_t total = 0;
    for (const auto i : ascending_) total += weight_of(weights, i);
    if (total == 0) return undefined;
    const std::uint64_t lower = (total - 1) / 2, upper = total / 2;
    std::uint64_t before = 0;
    double low = undefined;
    for (const auto i : ascending_) {
      before += weight_of(weights, i);
      if (std::isnan(low) && before > lower) low = figure_.values[i];
      if (before > upper) return low + (figure_.values[i] - low) / 2;
    }
    return low;
  }

  const SampleFigure& figure_;
  const std::vector<std::vector<std::uint32_t>>& members_;
  bool by_class_;
  std::vector<std::uint32_t> ascending_;
};

bool is_zero_or_one(double value) {
  return std::isnan(value) || value == 0 || value == 1;
}

// Estimates from a row of values and its replicates, column after column.
class Reader {
 public:
  Reader(std::vector<double> values, std::vector<std::vector<double>> replicates, bool by_group)
      : values_(std::move(values)), replicates_(std::move(replicates)), by_group_(by_group) {}

  Estimate next() {
    Estimate estimate;
    estimate.value = values_[column_];
    if (estimate.defined())
      add_percentile_interval(estimate, replicates_, column_, by_group_);
    else
      estimate.note = "undefined: no sample has it";
    ++column_;
    return estimate;
  }
  bool by_group() const { return by_group_; }

 private:
  std::vector<double> values_;
  std::vector<std::vector<double>> replicates_;
  bool by_group_;
  std::size_t column_ = 0;
};

// Wilson's interval of a mean of zeros and ones over these samples.
template <typename Samples>
void replace_by_wilson(Estimate& estimate, const std::vector<double>& values, const Samples& samples) {
  std::int64_t ones = 0, all = 0;
  for (const auto i : samples) {
    if (std::isnan(values[i])) continue;
    ones += values[i] == 1;
    ++all;
  }
  if (all > 0) estimate = wilson(ones, all);
}

}  // namespace

std::vector<FigureSummary> summarise(const std::vector<SampleFigure>& figures, const Predictions& facts,
                                     const ReportOptions& options) {
  const auto members = members_of(facts);
  const bool by_class = facts.labelled() && facts.classes() <= most_classes_with_intervals;
  std::vector<Summary> summaries;
  for (const auto& figure : figures) {
    if (figure.values.size() != facts.size())
      fail(ErrorKind::internal, "figure ", figure.name, ": ", figure.values.size(), " values of ",
           facts.size(), " samples");
    summaries.emplace_back(figure, members, by_class);
  }
  const auto row_of = [&](SampleWeights weights) {
    std::vector<double> row;
    for (const auto& summary : summaries) summary.append(weights, row);
    return row;
  };
  const ResamplingPlan plan = resampling_plan(facts, options.resample_groups);
  const std::size_t count = options.bootstrap.value_or(affordable_replicates(facts));
  Reader reader(row_of({}), bootstrap(plan, row_of, {options.seed, count, options.threads}), plan.by_group());
  std::vector<std::uint32_t> every(facts.size());
  std::iota(every.begin(), every.end(), 0u);
  std::vector<FigureSummary> results;
  for (const auto& figure : figures) {
    const auto& values = figure.values;
    FigureSummary result;
    result.name = figure.name;
    result.samples = std::count_if(values.begin(), values.end(), [](double v) { return !std::isnan(v); });
    const bool counted =
        figure.proportion && !plan.by_group() && std::all_of(values.begin(), values.end(), is_zero_or_one);
    result.mean = reader.next();
    if (counted) replace_by_wilson(result.mean, values, every);
    if (figure.median) result.median = reader.next();
    if (figure.class_mean) result.class_mean = reader.next();
    for (std::size_t k = 0; by_class && k < members.size(); ++k) {
      result.by_class.push_back(reader.next());
      if (counted) replace_by_wilson(result.by_class.back(), values, members[k]);
    }
    results.push_back(std::move(result));
  }
  return results;
}

const FigureSummary* find_figure(const std::vector<FigureSummary>& figures, const std::string& name) {
  const auto found =
      std::find_if(figures.begin(), figures.end(), [&](const auto& figure) { return figure.name == name; });
  return found == figures.end() ? nullptr : &*found;
}

const FigureSummary& figure_of(const std::vector<FigureSummary>& figures, const std::string& name) {
  if (const auto* found = find_figure(figures, name)) return *found;
  fail(ErrorKind::internal, "no figure is named '", name, "'");
}

}  // namespace isnet
