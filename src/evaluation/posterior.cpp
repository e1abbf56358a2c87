#include "evaluation/posterior.h"

#include <algorithm>
#include <boost/random/gamma_distribution.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "evaluation/estimate.h"

namespace isnet {
namespace {

// A Dirichlet draw: independent gamma variables over their sum.
void draw_dirichlet(std::span<const std::int64_t> counts, double prior, SampleRandom& random,
                    std::span<double> result) {
  double sum = 0;
  for (std::size_t k = 0; k < result.size(); ++k) {
    boost::random::gamma_distribution<double> gamma(static_cast<double>(counts[k]) + prior, 1.0);
    result[k] = gamma(random);
    sum += result[k];
  }
  for (double& value : result) value /= sum;
}

double harmonic_mean(double a, double b) {
  return a + b > 0 ? 2 * a * b / (a + b) : 0;
}

// Where the values of a draw lie: accuracy, macro precision, recall, F1, then three of each class.
constexpr std::size_t of_all = 4, of_class = 3;

class Drawer {
 public:
  Drawer(std::span<const std::int64_t> counts, std::size_t classes, const PosteriorOptions& options)
      : counts_(counts), classes_(classes), options_(options), labels_(classes) {
    for (std::size_t j = 0; j < classes; ++j)
      for (std::size_t k = 0; k < classes; ++k) labels_[j] += counts[j * classes + k];
  }

  std::vector<double> draw(std::size_t number) const {
    SampleRandom random(options_.seed, Purpose::posterior, 0, number);
    std::vector<double> share(classes_), row(classes_), right(classes_), recall(classes_),
        predicted(classes_, 0.0);
    draw_dirichlet(labels_, options_.prior, random, share);
    for (std::size_t j = 0; j < classes_; ++j) {
      draw_dirichlet(counts_.subspan(j * classes_, classes_), options_.prior, random, row);
      recall[j] = row[j];
      right[j] = share[j] * row[j];
      for (std::size_t k = 0; k < classes_; ++k) predicted[k] += share[j] * row[k];
    }
    return scores(right, recall, predicted);
  }

 private:
  std::vector<double> scores(const std::vector<double>& right, const std::vector<double>& recall,
                             const std::vector<double>& predicted) const {
    std::vector<double> values(of_all + of_class * classes_, 0.0);
    const double mean = 1 / static_cast<double>(classes_);
    for (std::size_t k = 0; k < classes_; ++k) {
      double* own = &values[of_all + of_class * k];
      own[0] = predicted[k] > 0 ? right[k] / predicted[k] : 0;
      own[1] = recall[k];
      own[2] = harmonic_mean(own[0], own[1]);
      values[0] += right[k];
      for (std::size_t i = 0; i < of_class; ++i) values[1 + i] += mean * own[i];
    }
    return values;
  }

  std::span<const std::int64_t> counts_;
  std::size_t classes_;
  PosteriorOptions options_;
  std::vector<std::int64_t> labels_;
};

}  // namespace

nlohmann::ordered_json PosteriorSummary::to_json() const {
  return {{"mean", mean}, {"deviation", deviation}, {"low", low}, {"high", high}};
}

PosteriorSummary summary_of_draws(std::vector<double> draws) {
  if (draws.empty()) fail(ErrorKind::internal, "a posterior without draws");
  std::sort(draws.begin(), draws.end());
  const auto count = static_cast<double>(draws.size());
  PosteriorSummary summary;
  for (const double value : draws) summary.mean += value / count;
  for (const double value : draws)
    summary.deviation += (value - summary.mean) * (value - summary.mean) / count;
  summary.deviation = std::sqrt(summary.deviation);
  const std::size_t inside = std::min(draws.size() - 1, static_cast<std::size_t>(interval_level * count));
  std::size_t narrowest = 0;
  for (std::size_t i = 0; i + inside < draws.size(); ++i)
    if (draws[i + inside] - draws[i] < draws[narrowest + inside] - draws[narrowest]) narrowest = i;
  summary.low = draws[narrowest];
  summary.high = draws[narrowest + inside];
  return summary;
}

std::size_t affordable_draws(std::size_t classes, std::size_t wanted) {
  constexpr std::size_t gamma_variables = 20'000'000;
  return std::min(wanted, std::max<std::size_t>(1000, gamma_variables / (classes * (classes + 1) + 1)));
}

ScorePosteriors score_posteriors(std::span<const std::int64_t> counts, std::size_t classes,
                                 const PosteriorOptions& options) {
  if (classes == 0 || counts.size() != classes * classes)
    fail(ErrorKind::internal, "posteriors: ", counts.size(), " counts for ", classes, " classes");
  const Drawer drawer(counts, classes, options);
  const std::size_t figures = of_all + of_class * classes;
  std::vector<std::vector<double>> columns(figures, std::vector<double>(options.draws));
  in_parallel(options.draws, options.threads, [&](std::size_t number) {
    const std::vector<double> values = drawer.draw(number);
    for (std::size_t i = 0; i < figures; ++i) columns[i][number] = values[i];
  });
  std::vector<PosteriorSummary> summaries(figures);
  in_parallel(figures, options.threads,
              [&](std::size_t i) { summaries[i] = summary_of_draws(std::move(columns[i])); });
  ScorePosteriors result{summaries[0], summaries[1], summaries[2], summaries[3], {}, options.draws};
  for (std::size_t k = 0; k < classes; ++k) {
    const auto* own = &summaries[of_all + of_class * k];
    result.classes.push_back({own[0], own[1], own[2]});
  }
  return result;
}

}  // namespace isnet
