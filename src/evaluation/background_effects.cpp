#include "evaluation/background_effects.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "evaluation/score_report.h"

namespace isnet {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

bool finite_row(const std::vector<double>& values, std::size_t sample, std::size_t classes) {
  const auto* row = values.data() + sample * classes;
  return std::all_of(row, row + classes, [](double value) { return std::isfinite(value); });
}

// Of one sample's decisions, the share that is right.
double right_share(const Predictions& of, std::size_t sample) {
  if (of.kind == ScoreKind::single_label) return of.right(sample) ? 1 : 0;
  std::size_t right = 0;
  for (std::size_t k = 0; k < of.classes(); ++k) right += of.is_of(sample, k) == of.decided_for(sample, k);
  return static_cast<double>(right) / static_cast<double>(of.classes());
}

bool decides_alike(const Predictions& a, const Predictions& b, std::size_t sample) {
  for (std::size_t k = 0; k < a.classes(); ++k)
    if (a.decided_for(sample, k) != b.decided_for(sample, k)) return false;
  return true;
}

double total_change(const std::vector<double>& a, const std::vector<double>& b, std::size_t sample,
                    std::size_t classes) {
  double sum = 0;
  for (std::size_t i = sample * classes; i < (sample + 1) * classes; ++i) sum += std::abs(a[i] - b[i]);
  return sum;
}

std::vector<double> difference(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> result(a.size());
  std::transform(a.begin(), a.end(), b.begin(), result.begin(), std::minus<>());
  return result;
}

const ConditionOutcome* find(const std::vector<ConditionOutcome>& outcomes, const std::string& name) {
  for (const auto& outcome : outcomes)
    if (outcome.condition.name == name) return &outcome;
  return nullptr;
}

std::vector<SampleFigure> figures_of(const ConditionOutcome& outcome, bool original) {
  std::vector<SampleFigure> figures{{"accuracy", outcome.right, true, false, true}};
  if (original) return figures;
  figures.push_back({"flip_rate", outcome.flipped, true});
  figures.push_back({"logit_change", outcome.logit_change});
  figures.push_back({"probability_change", outcome.probability_change});
  const auto& follows = outcome.follows;
  if (std::any_of(follows.begin(), follows.end(), [](double value) { return !std::isnan(value); }))
    figures.push_back({"follows_background", follows, true});
  return figures;
}

// Differences of accuracies on the same samples.
std::vector<SampleFigure> gaps_of(const std::vector<ConditionOutcome>& outcomes) {
  std::vector<SampleFigure> gaps;
  const auto* same = find(outcomes, "mixed_same");
  const auto* any = find(outcomes, "mixed_rand");
  if (same && any) gaps.push_back({"background_gap", difference(same->right, any->right)});
  for (const auto& outcome : outcomes)
    if (&outcome != &outcomes.front() && outcome.condition.name != "only_background")
      gaps.push_back({cat("original_minus_", outcome.condition.name),
                      difference(outcomes.front().right, outcome.right)});
  return gaps;
}

void add_remarks(const std::vector<ConditionOutcome>& outcomes, BackgroundEffects& effects) {
  const auto& setting = effects.setting;
  if (setting.without_object > 0)
    effects.remarks.push_back(
        cat("Samples without an object in their masks are left out: ", setting.without_object, "."));
  if (setting.without_background > 0)
    effects.remarks.push_back(
        cat("Samples whose masks leave no background are left out: ", setting.without_background, "."));
  for (const auto& outcome : outcomes) {
    if (outcome.without_donor > 0)
      effects.remarks.push_back(cat(outcome.condition.name, ": no such background for ",
                                    outcome.without_donor, " samples, which are left out."));
    if (outcome.not_finite > 0)
      effects.remarks.push_back(cat(outcome.condition.name, ": the network's output is not finite ",
                                    outcome.not_finite, " times; these are left out."));
  }
}

}  // namespace

void ConditionAccumulator::Sums::add(std::size_t sample, double value) {
  sum[sample] += value;
  ++count[sample];
}

std::vector<double> ConditionAccumulator::Sums::means() const {
  std::vector<double> result(sum.size(), undefined);
  for (std::size_t i = 0; i < sum.size(); ++i)
    if (count[i] > 0) result[i] = sum[i] / count[i];
  return result;
}

ConditionAccumulator::ConditionAccumulator(ConditionName condition, const Predictions& original)
    : condition_(std::move(condition)), original_(original), left_out_(original.size(), 0) {
  for (Sums* sums : {&right_, &flipped_, &logit_change_, &probability_change_, &follows_}) {
    sums->sum.assign(original.size(), 0);
    sums->count.assign(original.size(), 0);
  }
  by_class_.sum.assign(original.classes(), 0);
  by_class_.count.assign(original.classes(), 0);
}

void ConditionAccumulator::add(const Predictions& changed, std::span<const std::int64_t> donor_classes,
                               std::span<const std::uint8_t> has_donor) {
  if (changed.ids != original_.ids)
    fail(ErrorKind::internal, condition_.name, ": other samples than the original's");
  const std::size_t classes = original_.classes();
  const bool single = original_.kind == ScoreKind::single_label;
  for (std::size_t i = 0; i < changed.size(); ++i) {
    if (!has_donor.empty() && !has_donor[i]) {
      left_out_[i] = 1;
      continue;
    }
    if (!finite_row(changed.logits, i, classes)) {
      ++not_finite_;
      continue;
    }
    right_.add(i, right_share(changed, i));
    flipped_.add(i, decides_alike(changed, original_, i) ? 0 : 1);
    logit_change_.add(
        i, total_change(changed.logits, original_.logits, i, classes) / static_cast<double>(classes));
    probability_change_.add(i, total_change(changed.probabilities, original_.probabilities, i, classes) /
                                   (single ? 2 : static_cast<double>(classes)));
    for (std::size_t k = 0; k < classes; ++k)
      by_class_.add(k, std::abs(changed.logits[i * classes + k] - original_.logits[i * classes + k]));
    if (single && !donor_classes.empty() && donor_classes[i] >= 0 && donor_classes[i] != original_.labels[i])
      follows_.add(i, changed.predicted[i] == donor_classes[i] ? 1 : 0);
  }
}

ConditionOutcome ConditionAccumulator::outcome() const {
  ConditionOutcome outcome{condition_,
                           right_.means(),
                           flipped_.means(),
                           logit_change_.means(),
                           probability_change_.means(),
                           follows_.means(),
                           by_class_.means(),
                           std::count(left_out_.begin(), left_out_.end(), 1),
                           not_finite_};
  return outcome;
}

BackgroundEffects background_effects(const std::vector<ConditionOutcome>& outcomes, const Predictions& facts,
                                     const BackgroundSetting& setting, const ReportOptions& options) {
  BackgroundEffects effects;
  effects.class_names = facts.class_names;
  effects.samples = static_cast<std::int64_t>(facts.size());
  for (std::size_t k = 0; k < facts.classes(); ++k) {
    const auto members = facts.is_of_class(k);
    effects.samples_by_class.push_back(std::count(members.begin(), members.end(), 1));
  }
  effects.setting = setting;
  if (facts.kind == ScoreKind::single_label && effects.samples > 0)
    effects.majority_share = static_cast<double>(*std::max_element(effects.samples_by_class.begin(),
                                                                   effects.samples_by_class.end())) /
                             static_cast<double>(effects.samples);
  for (const auto& outcome : outcomes) {
    const bool original = &outcome == &outcomes.front();
    effects.conditions.push_back({outcome.condition, summarise(figures_of(outcome, original), facts, options),
                                  original ? std::vector<double>() : outcome.logit_change_by_class});
  }
  effects.gaps = summarise(gaps_of(outcomes), facts, options);
  add_remarks(outcomes, effects);
  return effects;
}

const BackgroundCondition& BackgroundEffects::condition(const std::string& name) const {
  for (const auto& one : conditions)
    if (one.condition.name == name) return one;
  fail(ErrorKind::internal, "no condition is named '", name, "'");
}

}  // namespace isnet
