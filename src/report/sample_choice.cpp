#include "report/sample_choice.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "base/random.h"
#include "evaluation/probability_scores.h"

namespace isnet {
namespace {

using Json = nlohmann::ordered_json;

// How sure a decision is; multi-label: the surest of the wrong ones.
double confidence(const Predictions& of, std::size_t sample) {
  const auto row = of.row(sample);
  if (of.kind == ScoreKind::single_label) return row[static_cast<std::size_t>(of.predicted[sample])];
  double surest = 0;
  for (std::size_t k = 0; k < of.classes(); ++k)
    if (of.is_of(sample, k) != of.decided_for(sample, k))
      surest = std::max(surest, std::max(row[k], 1 - row[k]));
  return surest;
}

// The first `count` of `samples` by a key, the largest first; equals in the order of the samples.
template <typename Key>
std::vector<std::size_t> largest(std::vector<std::size_t> samples, std::size_t count, Key key) {
  count = std::min(count, samples.size());
  std::vector<double> keys(samples.empty() ? 0 : 1 + *std::max_element(samples.begin(), samples.end()));
  for (const auto sample : samples) keys[sample] = key(sample);
  std::partial_sort(
      samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(count), samples.end(),
      [&](std::size_t a, std::size_t b) { return keys[a] != keys[b] ? keys[a] > keys[b] : a < b; });
  samples.resize(count);
  return samples;
}

// The class by which best samples take turns.
std::int64_t turn_of(const Predictions& of, std::size_t sample) {
  if (of.kind == ScoreKind::single_label) return of.labels[sample];
  for (std::size_t k = 0; k < of.classes(); ++k)
    if (of.is_of(sample, k)) return static_cast<std::int64_t>(k);
  return -1;
}

std::vector<std::size_t> best_by_class(const Predictions& of, const std::vector<std::size_t>& right,
                                       std::size_t count) {
  std::map<std::int64_t, std::vector<std::size_t>> classes;
  for (const auto sample : right) classes[turn_of(of, sample)].push_back(sample);
  for (auto& [k, samples] : classes)
    samples = largest(std::move(samples), count, [&](std::size_t i) { return -log_loss(of, i); });
  std::vector<std::size_t> best;
  for (std::size_t turn = 0; turn < count; ++turn)
    for (const auto& [k, samples] : classes)
      if (turn < samples.size() && best.size() < count) best.push_back(samples[turn]);
  return best;
}

std::vector<std::size_t> drawn(std::size_t size, std::size_t count, std::uint64_t seed) {
  SampleRandom random(seed, Purpose::order, 0, size);
  std::set<std::size_t> chosen;
  for (std::size_t last = size - std::min(count, size); last < size; ++last) {  // Floyd's algorithm
    const std::size_t draw = random.below(static_cast<std::uint32_t>(last + 1));
    chosen.insert(chosen.contains(draw) ? last : draw);
  }
  return {chosen.begin(), chosen.end()};
}

Json classes_json(const Predictions& of, std::size_t sample, bool labels) {
  if (of.kind == ScoreKind::single_label) return labels ? of.labels[sample] : of.predicted[sample];
  Json numbers = Json::array();
  for (std::size_t k = 0; k < of.classes(); ++k)
    if (labels ? of.is_of(sample, k) : of.decided_for(sample, k)) numbers.push_back(k);
  return numbers;
}

Json probabilities_json(const Predictions& of, std::size_t sample) {
  constexpr std::size_t shown = 5;
  std::vector<std::size_t> order(of.classes());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto row = of.row(sample);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return row[a] > row[b]; });
  Json pairs = Json::array();
  for (std::size_t place = 0; place < order.size(); ++place) {
    const std::size_t k = order[place];
    if (place < shown || of.is_of(sample, k) || of.decided_for(sample, k))
      pairs.push_back({k, std::round(row[k] * 1e6) / 1e6});
  }
  return pairs;
}

// Collects samples, each once.
class ChosenSamples {
 public:
  void add(const char* kind, const std::vector<std::size_t>& samples) {
    for (const auto sample : samples) {
      auto found = std::find_if(chosen_.begin(), chosen_.end(),
                                [&](const ChosenSample& one) { return one.sample == sample; });
      if (found == chosen_.end()) found = chosen_.insert(found, {sample, {}});
      found->kinds.push_back(kind);
    }
  }
  std::vector<ChosenSample> take() { return std::move(chosen_); }

 private:
  std::vector<ChosenSample> chosen_;
};

// The probability of what is true; multi-label: the geometric mean over classes.
double probability_of_truth(const Predictions& of, std::size_t sample) {
  return std::exp(-log_loss(of, sample));
}

}  // namespace

std::vector<ChosenSample> choose_samples(const Predictions& predictions, std::size_t of_each,
                                         std::uint64_t seed) {
  std::vector<std::size_t> all(predictions.size()), right, wrong;
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (const auto sample : all) (predictions.right(sample) ? right : wrong).push_back(sample);
  const auto loss = [&](std::size_t sample) { return log_loss(predictions, sample); };
  const auto sureness = [&](std::size_t sample) { return confidence(predictions, sample); };
  ChosenSamples chosen;
  chosen.add("confident_error", largest(wrong, of_each, sureness));
  chosen.add("worst", largest(all, of_each, loss));
  chosen.add("best", best_by_class(predictions, right, of_each));
  chosen.add("random", drawn(predictions.size(), of_each, seed));
  return chosen.take();
}

Json sample_json(const Predictions& predictions, const ChosenSample& chosen) {
  const std::size_t i = chosen.sample;
  Json json{{"id", predictions.ids[i]},
            {"label", classes_json(predictions, i, true)},
            {"predicted", classes_json(predictions, i, false)},
            {"right", predictions.right(i)},
            {"probabilities", probabilities_json(predictions, i)},
            {"loss", std::round(log_loss(predictions, i) * 1e6) / 1e6},
            {"kinds", chosen.kinds}};
  if (!predictions.groups.empty()) json["group"] = predictions.groups[i];
  return json;
}

std::vector<ChosenSample> choose_samples(const std::vector<ComparedModel>& models, std::size_t of_each,
                                         std::uint64_t seed) {
  const std::size_t size = models.front().predictions.size();
  std::vector<std::size_t> different, wrong;
  for (std::size_t i = 0; i < size; ++i) {
    const auto right = std::count_if(models.begin(), models.end(),
                                     [&](const ComparedModel& model) { return model.predictions.right(i); });
    if (right == 0) wrong.push_back(i);
    if (right > 0 && right < static_cast<std::ptrdiff_t>(models.size())) different.push_back(i);
  }
  const auto difference = [&](std::size_t i) {
    double low = 1, high = 0;
    for (const auto& model : models) {
      const double p = probability_of_truth(model.predictions, i);
      low = std::min(low, p);
      high = std::max(high, p);
    }
    return high - low;
  };
  const auto sureness = [&](std::size_t i) {
    double sum = 0;
    for (const auto& model : models) sum += confidence(model.predictions, i);
    return sum;
  };
  ChosenSamples chosen;
  chosen.add("disagreement", largest(different, of_each, difference));
  chosen.add("all_wrong", largest(wrong, of_each, sureness));
  chosen.add("random", drawn(size, of_each, seed));
  return chosen.take();
}

Json sample_json(const std::vector<ComparedModel>& models, const ChosenSample& chosen) {
  const Predictions& first = models.front().predictions;
  const std::size_t i = chosen.sample;
  Json json{{"id", first.ids[i]}, {"label", classes_json(first, i, true)}, {"kinds", chosen.kinds}};
  json["models"] = Json::array();
  for (const auto& [name, predictions] : models) {
    Json one{{"predicted", classes_json(predictions, i, false)}, {"right", predictions.right(i)}};
    one["probability"] = predictions.kind == ScoreKind::single_label
                             ? Json(std::round(confidence(predictions, i) * 1e6) / 1e6)
                             : Json();
    json["models"].push_back(std::move(one));
  }
  if (!first.groups.empty()) json["group"] = first.groups[i];
  return json;
}

}  // namespace isnet
