// What a model says about samples, and what is true of them: what all scores are computed from.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "evaluation/score_kind.h"

namespace isnet {

/// N samples with probabilities of K classes. Where there are no labels, `labels` and `label_flags` are
/// empty.
struct Predictions {
  ScoreKind kind = ScoreKind::single_label;   ///< not none
  std::vector<std::string> class_names;       ///< K
  std::vector<std::string> ids;               ///< N
  std::vector<std::int64_t> labels;           ///< N; single-label
  std::vector<std::uint8_t> label_flags;      ///< N×K zeros and ones; multi-label
  std::vector<double> probabilities;          ///< N×K
  std::vector<double> logits;                 ///< N×K, or empty
  std::vector<std::int64_t> predicted;        ///< N; single-label: the class that is decided for
  std::vector<std::uint8_t> predicted_flags;  ///< N×K; multi-label
  std::vector<std::string> groups;            ///< N ("" : none), or empty

  std::size_t size() const { return ids.size(); }
  std::size_t classes() const { return class_names.size(); }
  bool labelled() const { return !labels.empty() || !label_flags.empty(); }
  std::span<const double> row(std::size_t sample) const {
    return {probabilities.data() + sample * classes(), classes()};
  }
  /// N probabilities of a class.
  std::vector<double> probabilities_of(std::size_t index) const;
  /// Whether a sample is of a class, and whether the decision is that it is.
  bool is_of(std::size_t sample, std::size_t index) const {
    return kind == ScoreKind::multi_label ? label_flags[sample * classes() + index] != 0
                                          : labels[sample] == static_cast<std::int64_t>(index);
  }
  bool decided_for(std::size_t sample, std::size_t index) const {
    return kind == ScoreKind::multi_label ? predicted_flags[sample * classes() + index] != 0
                                          : predicted[sample] == static_cast<std::int64_t>(index);
  }
  /// N flags: whether a sample is of this class.
  std::vector<std::uint8_t> is_of_class(std::size_t index) const;
  /// Whether the decision about a sample is right; multi-label: about all of its classes.
  bool right(std::size_t sample) const;
  /// Samples in this order.
  Predictions subset(std::span<const std::size_t> samples) const;
};

/// Softmax or sigmoid of logits, in place of the probabilities; `temperature` divides the logits first.
void set_probabilities_from_logits(Predictions& predictions, double temperature = 1);

/// The class with the largest probability, the first among equals; multi-label: every class above 0.5. From
/// logits where there are any (largest; above 0).
void decide(Predictions& predictions);

/// Checks what scores rely on: equal lengths, labels within the classes, probabilities that are finite,
/// within [0, 1] and, single-label, sum to 1. Errors: data, beginning with `where`, naming the sample.
void check(const Predictions& predictions, const std::string& where);

/// The same predictions in the order of `reference`, with its labels and groups where these have none.
/// Classes are matched by name. Errors: data, beginning with `where`: other classes, unknown or missing ids,
/// another label.
Predictions aligned(Predictions predictions, const Predictions& reference, const std::string& where,
                    const std::string& reference_name);

/// How far the probabilities of a sample may sum to other than 1.
inline constexpr double sum_tolerance = 1e-3;

}  // namespace isnet
