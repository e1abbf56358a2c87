// Bayesian posteriors of scores from a confusion matrix.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace isnet {

/// Mean, standard deviation and 95 % highest-density interval of a score's posterior.
struct PosteriorSummary {
  double mean = 0;
  double deviation = 0;
  double low = 0;
  double high = 0;

  /// {"mean", "deviation", "low", "high"}.
  nlohmann::ordered_json to_json() const;
};

/// Posteriors of the scores of one class.
struct ClassPosterior {
  PosteriorSummary precision, recall, f1;
};

/// Posteriors of a model's scores.
struct ScorePosteriors {
  PosteriorSummary accuracy, macro_precision, macro_recall, macro_f1;
  std::vector<ClassPosterior> classes;
  std::size_t draws = 0;
};

/// How posteriors are drawn.
struct PosteriorOptions {
  std::uint64_t seed = 0;
  std::size_t draws = 100'000;
  double prior = 1;  ///< of every Dirichlet distribution: 1, uniform
  int threads = 1;   ///< results do not depend on it
};

/// The model of Zhang, Wang and Zhao ("Estimating the uncertainty of average F1 scores", ICTIR 2015), after
/// Goutte and Gaussier (ECIR 2005): labels are drawn from a class distribution μ ~ Dirichlet(prior), the
/// predictions of class j from θ_j ~ Dirichlet(prior); accuracy is Σ μ_j θ_jj, recall θ_jj, precision μ_j
/// θ_jj / Σ_i μ_i θ_ij, F1 their harmonic mean, macro scores means over classes. Both posteriors are
/// Dirichlet distributions, so that draws are independent and need no Markov chain. counts: K×K, row = label,
/// column = predicted class.
ScorePosteriors score_posteriors(std::span<const std::int64_t> counts, std::size_t classes,
                                 const PosteriorOptions& options);

/// The narrowest interval that holds 95 % of the draws. Errors: internal (no draws).
PosteriorSummary summary_of_draws(std::vector<double> draws);

/// Draws that keep the work bounded with many classes: at most `wanted`, at least 1000.
std::size_t affordable_draws(std::size_t classes, std::size_t wanted);

}  // namespace isnet
