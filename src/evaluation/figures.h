// Every figure of a set of predictions, for any weights of its samples: for the set itself and for its
// bootstrap replicates alike.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "evaluation/predictions.h"
#include "evaluation/ranking.h"

namespace isnet {

/// Which figure a value is: its name, and the class that it is of (−1: of all).
struct FigureName {
  std::string name;  ///< "accuracy", "macro.f1", "auc", … (docs/evaluation.md)
  std::int64_t of_class = -1;

  bool operator==(const FigureName&) const = default;
};

/// Computes figures. Preparing sorts the samples once by the probability of each class: O(K·N log N) time,
/// 5·K·N bytes; each evaluation is one pass. Thread-safe once made. The predictions have to be labelled and
/// checked, and to outlive this.
class Figures {
 public:
  /// `top_k`: accuracies of the k most probable classes to compute, each below K; single-label only.
  explicit Figures(const Predictions& predictions, std::vector<std::int64_t> top_k = {});
  ~Figures();
  Figures(const Figures&) = delete;
  Figures& operator=(const Figures&) = delete;

  const std::vector<FigureName>& names() const { return names_; }
  /// The place of a figure. Errors: internal (unknown).
  std::size_t index(const FigureName& name) const;
  /// A value for each name; NaN where it is undefined.
  std::vector<double> values(SampleWeights weights = {}) const;

  const Predictions& predictions() const { return predictions_; }
  const Ranking& ranking(std::size_t index) const;
  const std::vector<std::uint8_t>& positive(std::size_t index) const;

 private:
  struct Parts;
  void name_figures(const std::vector<std::int64_t>& top_k);

  const Predictions& predictions_;
  std::vector<FigureName> names_;
  std::unique_ptr<Parts> parts_;
};

/// Mean over ordered pairs of classes (i, j) of the probability that a sample of i has a larger probability
/// of i than one of j (Hand and Till, Machine Learning 2001); pairs of which a class does not occur are left
/// out. NaN without any pair.
double hand_till_auc(const Predictions& predictions, const std::vector<Ranking>& rankings,
                     SampleWeights weights = {});

}  // namespace isnet
