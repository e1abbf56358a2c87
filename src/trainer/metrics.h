// Means of losses and scores over samples, exact over batches and ranks.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "distributed/communicator.h"
#include "model/objectives/objective.h"

namespace isnet {

/// Name and value, in a fixed order: loss, its parts, accuracy.
using Metrics = std::vector<std::pair<std::string, double>>;

/// The value of this name; NaN where there is none.
double metric(const Metrics& metrics, const std::string& name);

/// Adds up batches. Each metric is Σ (value of the batch × its samples) / Σ samples.
class MetricSums {
 public:
  /// The losses of a batch of `samples` samples, and its accuracy where labels are there: the share of images
  /// whose largest logit is the label, or of labels whose logit has the right sign (multi-label). Where
  /// pixels are classified, dice_k and iou_k of each class k: ratios of sums over all samples; NaN where the
  /// class is nowhere.
  void add(const Losses& losses, const at::Tensor& labels, std::int64_t samples);
  /// Those of further batches, with the same metrics.
  void add(const MetricSums& others) { add(others.names_, others.sums_); }

  /// Over all ranks; collective. Ranks without a batch take part. The number of samples is among them:
  /// "samples".
  Metrics reduced(const Communicator& communicator) const;
  /// The values of this rank alone.
  Metrics local() const { return means(names_, sums_); }

  /// For checkpoints: names and sums, which set() takes back bitwise.
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<double>& sums() const { return sums_; }
  void set(std::vector<std::string> names, std::vector<double> sums);

 private:
  void add(const std::vector<std::string>& names, const std::vector<double>& sums);
  static Metrics means(const std::vector<std::string>& names, const std::vector<double>& sums);

  std::vector<std::string> names_;  // of sums_[1], sums_[2], …
  std::vector<double> sums_;        // samples, then one sum for each name; a ratio's whole follows its part
};

/// The number in a tensor with one element.
double value_of(const at::Tensor& scalar);

/// Correct answers among a batch's first samples, of how many; see MetricSums::add.
std::pair<double, double> correct_answers(const at::Tensor& logits, const at::Tensor& labels,
                                          std::int64_t samples);

}  // namespace isnet
