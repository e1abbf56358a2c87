#include "run/score_predictions.h"

#include <algorithm>
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "data/data_set.h"
#include "evaluation/probability_scores.h"
#include "run/report_file.h"
#include "run/report_options.h"
#include "run/result_files.h"
#include "run/split_names.h"
#include "run/split_pass.h"

namespace isnet {
namespace {

PredictionsInput input_of(const OptionValues& options, const std::string& split) {
  PredictionsInput input;
  input.split = split;
  input.implicit_class = options.text("implicit-class");
  if (options.has("task"))
    input.kind = options.text("task") == "multi-label" ? ScoreKind::multi_label : ScoreKind::single_label;
  return input;
}

// Decisions are scored as the file has them; where they are not those of its probabilities, both are right,
// and that is said.
void warn_of_other_decisions(const Predictions& predictions, const std::string& where) {
  if (predictions.kind == ScoreKind::multi_label) return;
  std::size_t others = 0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const auto row = predictions.row(i);
    others +=
        row[static_cast<std::size_t>(predictions.predicted[i])] < *std::max_element(row.begin(), row.end());
  }
  if (others > 0)
    log::warning(cat(
        where, ": ", others, " of ", predictions.size(),
        " predictions are not the class with the largest probability; they are scored as they are written"));
}

// Labels and groups of the data set, which has to have the same samples.
void take_labels(const DataSet& data, PredictionsBySplit& splits, const std::string& where) {
  for (auto& [name, predictions] : splits) {
    const auto split = data.split(name);
    if (split->layout().labels == LabelKind::none)
      fail(ErrorKind::data, data.path().string(), ": split ", name, " has no labels; evaluate needs them");
    std::vector<std::string> names = data.description().class_names;
    if (data.is_single_shard()) names = predictions.class_names;
    const Predictions truth = labels_of(*split, names);
    if (truth.kind != predictions.kind)
      fail(ErrorKind::data, where, ": is ",
           predictions.kind == ScoreKind::multi_label ? "multi-label" : "single-label", ", split ", name,
           " of ", data.path().string(), " is not; --task says how to read the file");
    predictions =
        aligned(std::move(predictions), truth, where, cat("split ", name, " of ", data.path().string()));
  }
}

PredictionsBySplit read_file(const OptionValues& options, const std::string& file, const std::string& split,
                             const DataSet* data) {
  PredictionsInput input = input_of(options, split);
  if (data && !input.kind && input.implicit_class.empty() && data->description().task != LabelKind::none)
    input.kind =
        data->description().task == LabelKind::multi ? ScoreKind::multi_label : ScoreKind::single_label;
  PredictionsBySplit splits = read_predictions(file, input);
  if (data) take_labels(*data, splits, file);
  for (const auto& [name, predictions] : splits) {
    if (!predictions.labelled())
      fail(ErrorKind::data, file, ": has no column 'label'; add it, or give the data set with --data");
    warn_of_other_decisions(predictions, file);
  }
  return splits;
}

const Predictions* find(const PredictionsBySplit& splits, const std::string& name) {
  for (const auto& [known, predictions] : splits)
    if (known == name) return &predictions;
  return nullptr;
}

std::vector<std::string> names_of(const PredictionsBySplit& splits) {
  std::vector<std::string> names;
  for (const auto& [name, predictions] : splits) names.push_back(name);
  return names;
}

// Those of --split, else all but the one that is chosen on.
PredictionsBySplit wanted(const OptionValues& options, PredictionsBySplit all, const std::string& file,
                          const std::string& validation) {
  PredictionsBySplit result;
  if (options.has("split") && all.size() > 1) {
    for (const auto& name : options.list("split")) {
      const auto* found = find(all, name);
      if (!found) fail(ErrorKind::data, file, ": has no split '", name, "'");
      result.emplace_back(name, *found);
    }
    return result;
  }
  for (auto& one : all)
    if (one.first != validation || all.size() == 1) result.push_back(std::move(one));
  return result;
}

}  // namespace

std::vector<OptionSpec> prediction_file_options() {
  return {text_option("predictions", "", "FILE.csv",
                      "Score this file of any program (id, label, prediction, a probability for each class) "
                      "instead of a network; with --data labels and groups are the data set's"),
          text_option("validation-predictions", "", "FILE.csv",
                      "The same of the validation samples, to choose on (default: the validation split of "
                      "--predictions)"),
          choice_option("task", "", "What --predictions is (default: as its labels say)",
                        {"single-label", "multi-label"})};
}

Scores scores_of(const Predictions& predictions) {
  Scores scores(predictions.kind, predictions.class_names);
  double loss = 0;
  const std::size_t classes = predictions.classes();
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    loss += log_loss(predictions, i) / static_cast<double>(predictions.size());
    if (predictions.kind == ScoreKind::single_label)
      scores.add(predictions.labels[i], predictions.predicted[i]);
    else
      scores.add({predictions.label_flags.data() + i * classes, classes},
                 {predictions.predicted_flags.data() + i * classes, classes});
  }
  scores.add_loss("loss", loss, static_cast<double>(predictions.size()));
  return scores;
}

int score_predictions(const OptionValues& options, const std::string& default_split) {
  const std::string& file = options.text("predictions");
  for (const char* other : {"checkpoint", "weights"})
    if (options.has(other)) fail(ErrorKind::usage, "--predictions and --", other, " exclude each other");
  refuse_results_over_inputs(options);
  prepare_report(options, InputFiles(options));
  std::unique_ptr<DataSet> data;
  if (options.has("data")) data = std::make_unique<DataSet>(options.text("data"));
  const std::vector<std::string> named = options.list("split");
  PredictionsBySplit all =
      read_file(options, file, named.empty() ? default_split : named.front(), data.get());
  const ValidationRequest request = validation_request(options);
  std::optional<ValidationChoices> choices;
  std::string validation;  // the split of `file` that is chosen on
  if (request.any()) {
    if (options.has("validation-predictions")) {
      const std::string& other = options.text("validation-predictions");
      const auto chosen_on = read_file(options, other, "val", data.get());
      const auto name = chosen_on.size() == 1 ? chosen_on.front().first
                                              : validation_split(options, names_of(chosen_on), other);
      if (chosen_on.front().second.class_names != all.front().second.class_names)
        fail(ErrorKind::data, other, ": its classes are not those of ", file);
      choices = choose_on_validation(*find(chosen_on, name), request, name);
    } else {
      validation = validation_split(options, names_of(all), file);
      choices = choose_on_validation(*find(all, validation), request, validation);
    }
  }
  const PredictionsBySplit splits = wanted(options, std::move(all), file, validation);
  ScoresBySplit scores;
  ReportsBySplit reports;
  for (const auto& [name, predictions] : splits) {
    scores.emplace_back(name, scores_of(predictions));
    reports[name] = make_report(predictions, report_options(options),
                                choices && name != validation ? &*choices : nullptr);
    add_group_tables(options, predictions, reports[name]);
  }
  std::cout << summary_table(scores) << result_tables(scores, reports);
  if (options.has("output"))
    write_results(options.text("output"), scores, reports, splits, options.flag("logits"));
  if (options.has("report")) write_report(options, file, data.get(), {scores, reports, splits});
  return 0;
}

}  // namespace isnet
