#include "evaluation/predictions.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "base/error.h"

namespace isnet {
namespace {

template <typename Value>
void take(const std::vector<Value>& from, std::size_t sample, std::size_t width, std::vector<Value>& into) {
  if (from.empty()) return;
  const auto first = from.begin() + static_cast<std::ptrdiff_t>(sample * width);
  into.insert(into.end(), first, first + static_cast<std::ptrdiff_t>(width));
}

void softmax(std::span<const double> logits, double temperature, std::span<double> result) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (std::size_t k = 0; k < logits.size(); ++k)
    sum += result[k] = std::exp((logits[k] - largest) / temperature);
  for (double& value : result) value /= sum;
}

double sigmoid(double logit) {
  return logit >= 0 ? 1 / (1 + std::exp(-logit)) : std::exp(logit) / (1 + std::exp(logit));
}

void check_row(const Predictions& predictions, std::size_t sample, const std::string& where) {
  double sum = 0;
  for (const double p : predictions.row(sample)) {
    if (std::isnan(p) || p < 0 || p > 1)
      fail(ErrorKind::data, where, ": sample '", predictions.ids[sample], "': ", p,
           " is not a probability; allowed: 0 to 1");
    sum += p;
  }
  if (predictions.kind == ScoreKind::single_label && std::abs(sum - 1) > sum_tolerance)
    fail(ErrorKind::data, where, ": sample '", predictions.ids[sample], "': its probabilities sum to ", sum,
         " instead of 1; write probabilities (softmax), or the labels of a multi-label task");
}

std::string some_of(const std::vector<std::string>& ids) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(ids.size(), 3); ++i)
    text += cat(i == 0 ? "'" : ", '", ids[i], "'");
  return ids.size() > 3 ? cat(text, ", … (", ids.size(), " in all)") : text;
}

// The columns in another order of classes.
void order_classes(Predictions& predictions, const std::vector<std::string>& names, const std::string& where,
                   const std::string& reference) {
  if (predictions.class_names == names) return;
  std::vector<std::size_t> from;
  for (const auto& name : names) {
    const auto found = std::find(predictions.class_names.begin(), predictions.class_names.end(), name);
    if (found == predictions.class_names.end() || predictions.class_names.size() != names.size())
      fail(ErrorKind::data, where, ": its ", predictions.class_names.size(), " classes are not the ",
           names.size(), " of ", reference, "; class '", name, "' ",
           found == predictions.class_names.end() ? "is missing" : "is not the only one");
    from.push_back(static_cast<std::size_t>(found - predictions.class_names.begin()));
  }
  const Predictions old = predictions;
  const std::size_t classes = names.size();
  const auto reorder = [&](const auto& source, auto& target) {
    for (std::size_t i = 0; i < source.size(); ++i) target[i] = source[i - i % classes + from[i % classes]];
  };
  reorder(old.probabilities, predictions.probabilities);
  reorder(old.logits, predictions.logits);
  reorder(old.label_flags, predictions.label_flags);
  reorder(old.predicted_flags, predictions.predicted_flags);
  const auto renumber = [&](std::vector<std::int64_t>& numbers) {
    for (auto& number : numbers)
      number = std::find(from.begin(), from.end(), static_cast<std::size_t>(number)) - from.begin();
  };
  renumber(predictions.labels);
  renumber(predictions.predicted);
  predictions.class_names = names;
}

}  // namespace

std::vector<double> Predictions::probabilities_of(std::size_t index) const {
  std::vector<double> values(size());
  for (std::size_t i = 0; i < size(); ++i) values[i] = probabilities[i * classes() + index];
  return values;
}

std::vector<std::uint8_t> Predictions::is_of_class(std::size_t index) const {
  std::vector<std::uint8_t> flags(size());
  for (std::size_t i = 0; i < size(); ++i) flags[i] = is_of(i, index);
  return flags;
}

bool Predictions::right(std::size_t sample) const {
  if (kind == ScoreKind::single_label) return labels[sample] == predicted[sample];
  const auto first = static_cast<std::ptrdiff_t>(sample * classes());
  const auto end = first + static_cast<std::ptrdiff_t>(classes());
  return std::equal(label_flags.begin() + first, label_flags.begin() + end, predicted_flags.begin() + first);
}

Predictions Predictions::subset(std::span<const std::size_t> samples) const {
  Predictions result;
  result.kind = kind;
  result.class_names = class_names;
  for (const std::size_t i : samples) {
    take(ids, i, 1, result.ids);
    take(labels, i, 1, result.labels);
    take(label_flags, i, classes(), result.label_flags);
    take(probabilities, i, classes(), result.probabilities);
    take(logits, i, classes(), result.logits);
    take(predicted, i, 1, result.predicted);
    take(predicted_flags, i, classes(), result.predicted_flags);
    take(groups, i, 1, result.groups);
  }
  return result;
}

void set_probabilities_from_logits(Predictions& predictions, double temperature) {
  const std::size_t classes = predictions.classes();
  predictions.probabilities.resize(predictions.logits.size());
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const std::span<const double> logits(predictions.logits.data() + i * classes, classes);
    const std::span<double> row(predictions.probabilities.data() + i * classes, classes);
    if (predictions.kind == ScoreKind::single_label)
      softmax(logits, temperature, row);
    else
      std::transform(logits.begin(), logits.end(), row.begin(),
                     [&](double logit) { return sigmoid(logit / temperature); });
  }
}

void decide(Predictions& predictions) {
  const bool from_logits = !predictions.logits.empty();
  const auto& values = from_logits ? predictions.logits : predictions.probabilities;
  predictions.predicted.clear();
  predictions.predicted_flags.clear();
  if (predictions.kind == ScoreKind::multi_label) {
    for (const double value : values) predictions.predicted_flags.push_back(value > (from_logits ? 0 : 0.5));
    return;
  }
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const std::span<const double> row(values.data() + i * predictions.classes(), predictions.classes());
    predictions.predicted.push_back(std::max_element(row.begin(), row.end()) - row.begin());
  }
}

void check(const Predictions& predictions, const std::string& where) {
  if (predictions.size() == 0) fail(ErrorKind::data, where, ": has no samples: there is nothing to score");
  if (predictions.probabilities.size() != predictions.size() * predictions.classes())
    fail(ErrorKind::internal, where, ": ", predictions.probabilities.size(), " probabilities of ",
         predictions.size(), " samples and ", predictions.classes(), " classes");
  for (std::size_t i = 0; i < predictions.labels.size(); ++i)
    if (predictions.labels[i] < 0 ||
        predictions.labels[i] >= static_cast<std::int64_t>(predictions.classes()))
      fail(ErrorKind::data, where, ": sample '", predictions.ids[i], "': label ", predictions.labels[i],
           " is outside the ", predictions.classes(), " classes (0 to ", predictions.classes() - 1, ")");
  for (std::size_t i = 0; i < predictions.size(); ++i) check_row(predictions, i, where);
}

Predictions aligned(Predictions predictions, const Predictions& reference, const std::string& where,
                    const std::string& reference_name) {
  order_classes(predictions, reference.class_names, where, reference_name);
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < predictions.size(); ++i)
    if (!place.emplace(predictions.ids[i], i).second)
      fail(ErrorKind::data, where, ": id '", predictions.ids[i], "' appears twice");
  std::vector<std::size_t> order;
  std::vector<std::string> missing;
  std::set<std::string> wanted;
  for (const auto& id : reference.ids) {
    if (!wanted.insert(id).second) fail(ErrorKind::data, reference_name, ": id '", id, "' appears twice");
    if (const auto found = place.find(id); found != place.end())
      order.push_back(found->second);
    else
      missing.push_back(id);
  }
  if (!missing.empty())
    fail(ErrorKind::data, where, ": samples of ", reference_name, " are missing: ", some_of(missing));
  std::vector<std::string> unknown;
  for (const auto& id : predictions.ids)
    if (!wanted.contains(id)) unknown.push_back(id);
  if (!unknown.empty())
    fail(ErrorKind::data, where, ": samples that ", reference_name, " does not have: ", some_of(unknown));
  Predictions result = predictions.subset(order);
  for (std::size_t i = 0; i < result.size() && result.labelled() && reference.labelled(); ++i)
    for (std::size_t k = 0; k < result.classes(); ++k)
      if (result.is_of(i, k) != reference.is_of(i, k))
        fail(ErrorKind::data, where, ": sample '", result.ids[i], "' has another label than in ",
             reference_name);
  if (!result.labelled()) {
    result.labels = reference.labels;
    result.label_flags = reference.label_flags;
  }
  if (result.groups.empty()) result.groups = reference.groups;
  return result;
}

}  // namespace isnet
