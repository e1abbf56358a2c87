// How good probabilities are as probabilities.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evaluation/predictions.h"
#include "evaluation/ranking.h"

namespace isnet {

/// −log p of the label; multi-label: the mean over classes of the binary cross-entropy. Probabilities are
/// kept 2^−52 away from 0 and 1.
double log_loss(const Predictions& predictions, std::size_t sample);

/// Σ_k (p_k − y_k)², halved with two classes, where it is the binary Brier score; multi-label: the mean over
/// classes of (p − y)².
double brier_score(const Predictions& predictions, std::size_t sample);

/// The number of classes that come before the label when classes are ordered by probability, the first among
/// equals first. Single-label.
std::int64_t rank_of_label(const Predictions& predictions, std::size_t sample);

/// Probabilities in bins of equal width, (0, 1/15], …, 0 in the first.
inline constexpr std::size_t reliability_bins = 15;

/// One bin of a reliability curve.
struct ReliabilityBin {
  double low = 0, high = 0;
  double weight = 0;      ///< decisions in it
  double confidence = 0;  ///< their mean probability; 0 without any
  double frequency = 0;   ///< share of them that came true; 0 without any
};

/// Confidence against accuracy. A sample's confidence is the probability of its predicted class, and it comes
/// true where that is the label; multi-label: the probability of each class is one decision, which comes true
/// where the sample has that class.
std::vector<ReliabilityBin> reliability_curve(const Predictions& predictions, SampleWeights weights = {});

/// Σ over bins of share·|frequency − confidence| (Naeini et al., AAAI 2015; Guo et al., ICML 2017).
double expected_calibration_error(const std::vector<ReliabilityBin>& bins);
/// The largest |frequency − confidence| of a bin that is not empty.
double maximum_calibration_error(const std::vector<ReliabilityBin>& bins);

}  // namespace isnet
