#include "evaluation/figures.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "evaluation/confusion.h"
#include "evaluation/probability_scores.h"

namespace isnet {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

struct NamedRatio {
  const char* name;
  double (BinaryCounts::*value)() const;
};
constexpr NamedRatio averaged[] = {{"precision", &BinaryCounts::precision},
                                   {"recall", &BinaryCounts::recall},
                                   {"specificity", &BinaryCounts::specificity},
                                   {"npv", &BinaryCounts::npv},
                                   {"f1", &BinaryCounts::f1}};
constexpr NamedRatio of_class_alone[] = {{"balanced_accuracy", &BinaryCounts::balanced_accuracy},
                                         {"mcc", &BinaryCounts::mcc},
                                         {"kappa", &BinaryCounts::kappa}};

// Means of what is defined; weights may be empty.
double mean_of_defined(const std::vector<double>& values, const std::vector<double>& weights = {}) {
  double sum = 0, total = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (std::isnan(values[k])) continue;
    const double weight = weights.empty() ? 1 : weights[k];
    sum += weight * values[k];
    total += weight;
  }
  return total > 0 ? sum / total : undefined;
}

double weighted_mean(const std::vector<double>& values, SampleWeights weights) {
  double sum = 0, total = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += weight_of(weights, i) * values[i];
    total += weight_of(weights, i);
  }
  return sum / total;
}

// The decisions of a resampled set.
struct Decisions {
  std::vector<BinaryCounts> classes;
  ConfusionMatrix matrix{0};  // single-label
  double exact = 0;           // multi-label: share of samples with every class right

  BinaryCounts together() const {
    BinaryCounts sum;
    for (const auto& one : classes) {
      sum.true_positive += one.true_positive;
      sum.false_positive += one.false_positive;
      sum.false_negative += one.false_negative;
      sum.true_negative += one.true_negative;
    }
    return sum;
  }
};

Decisions single_label_decisions(const Predictions& predictions, SampleWeights weights) {
  Decisions decisions;
  decisions.matrix = ConfusionMatrix(static_cast<std::int64_t>(predictions.classes()));
  for (std::size_t i = 0; i < predictions.size(); ++i)
    decisions.matrix.add(predictions.labels[i], predictions.predicted[i], weight_of(weights, i));
  for (std::int64_t k = 0; k < decisions.matrix.classes(); ++k)
    decisions.classes.push_back(decisions.matrix.of_class(k));
  return decisions;
}

Decisions multi_label_decisions(const Predictions& predictions, SampleWeights weights) {
  Decisions decisions;
  decisions.classes.resize(predictions.classes());
  std::int64_t exact = 0, all = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const std::int64_t weight = weight_of(weights, i);
    all += weight;
    exact += predictions.right(i) ? weight : 0;
    for (std::size_t k = 0; k < decisions.classes.size(); ++k)
      decisions.classes[k].add(predictions.is_of(i, k), predictions.decided_for(i, k), weight);
  }
  decisions.exact = static_cast<double>(exact) / static_cast<double>(all);
  return decisions;
}

}  // namespace

struct Figures::Parts {
  std::vector<Ranking> rankings;
  std::vector<std::vector<std::uint8_t>> positive;
  std::vector<double> losses, briers;
  std::vector<std::int64_t> ranks;  // of labels; empty unless single-label
  std::vector<std::int64_t> top_k;
};

Figures::Figures(const Predictions& predictions, std::vector<std::int64_t> top_k)
    : predictions_(predictions), parts_(std::make_unique<Parts>()) {
  if (!predictions.labelled() || predictions.size() == 0)
    fail(ErrorKind::internal, "figures of samples without labels");
  for (std::size_t k = 0; k < predictions.classes(); ++k) {
    parts_->rankings.emplace_back(predictions.probabilities_of(k));
    parts_->positive.push_back(predictions.is_of_class(k));
  }
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    parts_->losses.push_back(log_loss(predictions, i));
    parts_->briers.push_back(brier_score(predictions, i));
    if (predictions.kind == ScoreKind::single_label) parts_->ranks.push_back(rank_of_label(predictions, i));
  }
  if (predictions.kind == ScoreKind::multi_label) top_k.clear();
  parts_->top_k = std::move(top_k);
  name_figures(parts_->top_k);
}

Figures::~Figures() = default;

const Ranking& Figures::ranking(std::size_t index) const {
  return parts_->rankings.at(index);
}

const std::vector<std::uint8_t>& Figures::positive(std::size_t index) const {
  return parts_->positive.at(index);
}

void Figures::name_figures(const std::vector<std::int64_t>& top_k) {
  const bool single = predictions_.kind == ScoreKind::single_label;
  const auto add = [&](std::string name, std::int64_t of_class = -1) {
    names_.push_back({std::move(name), of_class});
  };
  add("accuracy");
  if (single)
    for (const char* name : {"balanced_accuracy", "kappa", "mcc"}) add(name);
  else
    add("exact_match");
  for (const auto k : top_k) add(cat("top_", k, "_accuracy"));
  for (const char* name : {"auc_macro", "auc_weighted"}) add(name);
  if (single && predictions_.classes() > 2) add("auc_hand_till");
  for (const char* name :
       {"average_precision_macro", "average_precision_weighted", "log_loss", "brier", "ece"})
    add(name);
  for (const char* average : {"macro", "micro", "weighted"})
    for (const auto& ratio : averaged) add(cat(average, "_", ratio.name));
  for (std::int64_t k = 0; k < static_cast<std::int64_t>(predictions_.classes()); ++k) {
    for (const auto& ratio : averaged) add(ratio.name, k);
    for (const auto& ratio : of_class_alone) add(ratio.name, k);
    add("auc", k);
    add("average_precision", k);
  }
}

std::size_t Figures::index(const FigureName& name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) fail(ErrorKind::internal, "no figure is named '", name.name, "'");
  return static_cast<std::size_t>(found - names_.begin());
}

std::vector<double> Figures::values(SampleWeights weights) const {
  const bool single = predictions_.kind == ScoreKind::single_label;
  const std::size_t classes = predictions_.classes();
  const Decisions decisions =
      single ? single_label_decisions(predictions_, weights) : multi_label_decisions(predictions_, weights);
  const BinaryCounts together = decisions.together();
  std::vector<double> areas(classes), precisions(classes), supports(classes);
  for (std::size_t k = 0; k < classes; ++k) {
    areas[k] = auc(parts_->rankings[k], parts_->positive[k], weights);
    precisions[k] = average_precision(parts_->rankings[k], parts_->positive[k], weights);
    supports[k] =
        static_cast<double>(decisions.classes[k].true_positive + decisions.classes[k].false_negative);
  }
  std::vector<double> values;  // in the order of name_figures()
  values.reserve(names_.size());
  if (single)
    values.insert(values.end(), {decisions.matrix.accuracy(), decisions.matrix.balanced_accuracy(),
                                 decisions.matrix.kappa(), decisions.matrix.mcc()});
  else
    values.insert(values.end(), {together.accuracy(), decisions.exact});
  for (const auto k : parts_->top_k) {
    std::vector<double> within;
    for (const auto rank : parts_->ranks) within.push_back(rank < k);
    values.push_back(weighted_mean(within, weights));
  }
  values.insert(values.end(), {mean_of_defined(areas), mean_of_defined(areas, supports)});
  if (single && classes > 2) values.push_back(hand_till_auc(predictions_, parts_->rankings, weights));
  values.insert(values.end(), {mean_of_defined(precisions), mean_of_defined(precisions, supports),
                               weighted_mean(parts_->losses, weights), weighted_mean(parts_->briers, weights),
                               expected_calibration_error(reliability_curve(predictions_, weights))});
  const auto average = [&](double (BinaryCounts::*ratio)() const, const std::vector<double>& by) {
    std::vector<double> each;
    for (const auto& counts : decisions.classes) each.push_back((counts.*ratio)());
    return mean_of_defined(each, by);
  };
  for (const auto& ratio : averaged) values.push_back(average(ratio.value, {}));
  for (const auto& ratio : averaged) values.push_back((together.*ratio.value)());
  for (const auto& ratio : averaged) values.push_back(average(ratio.value, supports));
  for (std::size_t k = 0; k < classes; ++k) {
    for (const auto& ratio : averaged) values.push_back((decisions.classes[k].*ratio.value)());
    for (const auto& ratio : of_class_alone) values.push_back((decisions.classes[k].*ratio.value)());
    values.push_back(areas[k]);
    values.push_back(precisions[k]);
  }
  return values;
}

double hand_till_auc(const Predictions& predictions, const std::vector<Ranking>& rankings,
                     SampleWeights weights) {
  const std::size_t classes = predictions.classes();
  std::vector<std::uint64_t> sizes(classes, 0);
  for (std::size_t i = 0; i < predictions.size(); ++i)
    sizes[static_cast<std::size_t>(predictions.labels[i])] += weight_of(weights, i);
  double sum = 0, pairs = 0;
  for (std::size_t own = 0; own < classes; ++own) {
    const Ranking& ranking = rankings[own];
    std::vector<std::uint64_t> below(classes, 0), equal(classes, 0), twice(classes, 0);
    std::vector<std::size_t> touched;
    for (std::size_t place = 0; place < ranking.size();) {
      touched.clear();
      do {
        const std::uint32_t sample = ranking.sample(place);
        const auto label = static_cast<std::size_t>(predictions.labels[sample]);
        equal[label] += weight_of(weights, sample);
        touched.push_back(label);
      } while (++place < ranking.size() && !ranking.begins(place));
      if (equal[own] > 0)
        for (std::size_t k = 0; k < classes; ++k) twice[k] += equal[own] * (2 * below[k] + equal[k]);
      for (const auto label : touched) {
        below[label] += equal[label];
        equal[label] = 0;
      }
    }
    for (std::size_t k = 0; k < classes; ++k) {
      if (k == own || sizes[k] == 0 || sizes[own] == 0) continue;
      sum += static_cast<double>(twice[k]) /
             (2 * static_cast<double>(sizes[own]) * static_cast<double>(sizes[k]));
      ++pairs;
    }
  }
  return pairs > 0 ? sum / pairs : undefined;
}

}  // namespace isnet
