#include "evaluation/implicit_class.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "evaluation/delong.h"
#include "evaluation/ranking.h"

namespace isnet {
namespace {

// The label of a sample, K where it has none.
std::size_t label_of(const Predictions& predictions, std::size_t sample, const std::string& where) {
  const std::size_t classes = predictions.classes();
  const auto* flags = predictions.label_flags.data() + sample * classes;
  const auto labels = std::count_if(flags, flags + classes, [](std::uint8_t flag) { return flag != 0; });
  if (labels > 1)
    fail(ErrorKind::data, where, ": sample '", predictions.ids[sample], "' has ", labels,
         " labels; an implicit class needs one or none");
  return static_cast<std::size_t>(
      std::find_if(flags, flags + classes, [](std::uint8_t flag) { return flag != 0; }) - flags);
}

std::size_t most_probable(const Predictions& predictions, std::size_t sample) {
  const auto row = predictions.row(sample);
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

std::vector<double> largest_probabilities(const Predictions& predictions) {
  std::vector<double> values;
  for (std::size_t i = 0; i < predictions.size(); ++i)
    values.push_back(predictions.row(i)[most_probable(predictions, i)]);
  return values;
}

// Counts of K + 1 classes, while samples move from their class to the implicit one.
struct MovingCounts {
  std::vector<double> labels, predicted, right;

  explicit MovingCounts(std::size_t classes) : labels(classes), predicted(classes), right(classes) {}
  void count(std::size_t label, std::size_t decision, double sign) {
    predicted[decision] += sign;
    if (label == decision) right[label] += sign;
  }
  double macro_f1() const {
    double sum = 0;
    for (std::size_t k = 0; k < labels.size(); ++k)
      if (labels[k] + predicted[k] > 0) sum += 2 * right[k] / (labels[k] + predicted[k]);
    return sum / static_cast<double>(labels.size());
  }
};

}  // namespace

ImplicitClass choose_implicit_class(const Predictions& validation, const std::string& name,
                                    const std::string& where) {
  const std::size_t classes = validation.classes();
  MovingCounts counts(classes + 1);
  std::vector<std::size_t> labels;
  for (std::size_t i = 0; i < validation.size(); ++i) {
    labels.push_back(label_of(validation, i, where));
    ++counts.labels[labels.back()];
    counts.count(labels.back(), most_probable(validation, i), 1);
  }
  if (counts.labels[classes] == 0)
    fail(ErrorKind::data, where, ": no sample is of the implicit class '", name,
         "' (without a label): there is nothing to choose its threshold from");
  const std::vector<double> largest = largest_probabilities(validation);
  const Ranking ranking(largest);
  ImplicitClass best{name, largest[ranking.sample(0)], counts.macro_f1(), ""};
  for (std::size_t place = 0; place < ranking.size();) {
    do {
      const std::uint32_t sample = ranking.sample(place);
      counts.count(labels[sample], most_probable(validation, sample), -1);
      counts.count(labels[sample], classes, 1);
    } while (++place < ranking.size() && !ranking.begins(place));
    if (counts.macro_f1() <= best.macro_f1) continue;
    best.macro_f1 = counts.macro_f1();
    best.threshold = place < ranking.size() ? largest[ranking.sample(place)]
                                            : std::nextafter(largest[ranking.sample(place - 1)],
                                                             std::numeric_limits<double>::infinity());
  }
  return best;
}

ConfusionMatrix implicit_confusion(const Predictions& predictions, double threshold,
                                   const std::string& where) {
  const std::size_t classes = predictions.classes();
  ConfusionMatrix matrix(static_cast<std::int64_t>(classes + 1));
  const std::vector<double> largest = largest_probabilities(predictions);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const std::size_t decision = largest[i] < threshold ? classes : most_probable(predictions, i);
    matrix.add(static_cast<std::int64_t>(label_of(predictions, i, where)),
               static_cast<std::int64_t>(decision));
  }
  return matrix;
}

Estimate implicit_auc(const Predictions& predictions) {
  std::vector<double> scores = largest_probabilities(predictions);
  std::vector<std::uint8_t> implicit;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    scores[i] = 1 - scores[i];
    const auto* flags = predictions.label_flags.data() + i * predictions.classes();
    implicit.push_back(std::count(flags, flags + predictions.classes(), 1) == 0);
  }
  return delong_interval(scores, implicit);
}

}  // namespace isnet
