#include "run/validation_scores.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "data/split_names.h"
#include "evaluation/figures.h"
#include "run/split_pass.h"

namespace isnet {
namespace {

struct Score {
  const char* name;
  const char* single_label;  // by the names of evaluate
  const char* multi_label;
};
constexpr Score scores[] = {{"auc", "auc_macro", "auc_macro"},
                            {"average_precision", "average_precision_macro", "average_precision_macro"},
                            {"balanced_accuracy", "balanced_accuracy", "macro_recall"},
                            {"f1", "macro_f1", "macro_f1"}};

class ScoresOfLogits : public SplitScorer {
 public:
  ScoresOfLogits(std::vector<Score> wanted, const SplitReader& split)
      : wanted_(std::move(wanted)), split_(split) {}

  void add(const Batch& batch, const Losses& losses, std::int64_t samples) override {
    if (!losses.logits.defined()) return;
    if (!collector_) collector_.emplace(static_cast<std::size_t>(losses.logits.size(1)));
    collector_->add(batch.ids, losses.logits, samples);
  }

  Metrics finish(const Communicator& communicator) override {
    // A rank without a batch learns from the others how many classes there are.
    const std::int64_t classes =
        communicator.maximum(collector_ ? static_cast<std::int64_t>(collector_->classes()) : 0);
    Metrics metrics;
    if (classes == 0) return metrics;
    if (!collector_) collector_.emplace(static_cast<std::size_t>(classes));
    std::vector<std::string> names;
    for (std::int64_t k = 0; k < classes; ++k) names.push_back(cat(k));
    const ScoreKind kind =
        split_.layout().labels == LabelKind::multi ? ScoreKind::multi_label : ScoreKind::single_label;
    const Predictions predictions = collector_->gather(split_, kind, names, communicator);
    std::vector<double> values(wanted_.size(), 0);
    if (communicator.is_main()) values = values_of(predictions);
    communicator.all_reduce_sum(values);  // those of rank 0, and zeros
    for (std::size_t i = 0; i < wanted_.size(); ++i) metrics.emplace_back(wanted_[i].name, values[i]);
    return metrics;
  }

 private:
  std::vector<double> values_of(const Predictions& predictions) const {
    constexpr double undefined = std::numeric_limits<double>::quiet_NaN();
    const bool finite = std::all_of(predictions.logits.begin(), predictions.logits.end(),
                                    [](double logit) { return std::isfinite(logit); });
    if (!finite || predictions.size() == 0) return std::vector<double>(wanted_.size(), undefined);
    const Figures figures(predictions);
    const std::vector<double> all = figures.values();
    std::vector<double> values;
    for (const auto& score : wanted_)
      values.push_back(all[figures.index(
          {predictions.kind == ScoreKind::multi_label ? score.multi_label : score.single_label, -1})]);
    return values;
  }

  std::vector<Score> wanted_;
  const SplitReader& split_;
  std::optional<PredictionCollector> collector_;
};

}  // namespace

std::vector<OptionSpec> validation_options() {
  OptionSpec of_splits =
      text_option("val-scores", "", "NAME,…",
                  "Scores of whole splits besides losses and accuracy: auc, average_precision, "
                  "balanced_accuracy, f1 (macro means; default: the one that --monitor names)");
  of_splits.refusal = [](const std::string& text) -> std::string {
    OptionValues values({text_option("val-scores", "", "", "")});
    values.set("val-scores", text);
    for (const auto& name : values.list("val-scores"))
      if (std::none_of(std::begin(scores), std::end(scores),
                       [&](const Score& one) { return name == one.name; }))
        return "auc, average_precision, balanced_accuracy, f1, separated by commas";
    return "";
  };
  return {text_option("val-splits", "", "NAME,…",
                      "Splits to validate on, each with its own rows in metrics.csv and its own prefix for "
                      "--monitor (NAME_loss); default: val"),
          of_splits};
}

std::vector<std::string> validation_splits(const OptionValues& options, const DataSet& data) {
  std::vector<std::string> names = options.list("val-splits");
  if (names.empty()) {
    if (!data.is_single_shard() && data.has_split("val")) names.emplace_back("val");
    return names;
  }
  std::vector<std::string> seen;
  for (const auto& name : names) {
    const std::string known = validation_name(name);
    if (canonical_split_name(name) == "train" || name == "step")
      fail(ErrorKind::usage, "--val-splits: '", name,
           "' is not allowed: metrics have this name already; allowed: other splits of the data set");
    if (std::find(seen.begin(), seen.end(), known) != seen.end())
      fail(ErrorKind::usage, "--val-splits: names '", name, "' twice");
    seen.push_back(known);
    if (data.is_single_shard() || !data.has_split(name)) {
      std::string there;
      for (const auto& one : data.split_names()) there += (there.empty() ? "" : ", ") + one;
      fail(ErrorKind::usage, "--val-splits: ", data.path().string(), " has no split '", name, "'; it has ",
           there);
    }
  }
  return names;
}

std::string validation_name(const std::string& split) {
  return canonical_split_name(split) == "val" ? "val" : split;
}

std::optional<SplitScoring> validation_scoring(const OptionValues& options,
                                               const std::vector<std::string>& names) {
  const std::vector<std::string> asked = options.list("val-scores");
  std::vector<Score> wanted;
  SplitScoring scoring;
  for (const Score& score : scores) {
    const auto is_monitored = [&](const std::string& split) {
      return options.text("monitor") == cat(split, "_", score.name);
    };
    if (std::find(asked.begin(), asked.end(), score.name) == asked.end() &&
        std::none_of(names.begin(), names.end(), is_monitored))
      continue;
    wanted.push_back(score);
    scoring.names.emplace_back(score.name);
  }
  if (wanted.empty()) return {};
  scoring.make = [wanted](const SplitReader& split) {
    return std::make_unique<ScoresOfLogits>(wanted, split);
  };
  return scoring;
}

}  // namespace isnet
