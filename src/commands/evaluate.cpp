// isnet evaluate: losses and scores of a trained network on splits of a data set.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "data/loading_options.h"
#include "run/background_tests.h"
#include "run/explanation_tests.h"
#include "run/model_options.h"
#include "run/report_file.h"
#include "run/report_options.h"
#include "run/result_files.h"
#include "run/score_predictions.h"
#include "run/split_names.h"
#include "run/split_pass.h"
#include "run/trained_model.h"
#include "trainer/bn_statistics.h"
#include "trainer/data_agreement.h"
#include "trainer/evaluation_loop.h"
#include "trainer/options.h"

namespace isnet::cli {
namespace {

// The commands differ in the splits that they look at.
struct Kind {
  std::string prefix;  // of the splits that are meant where none is named
  std::string limit;   // the option for fewer batches
};
const Kind test_splits{"test", "limit-test-batches"}, validation_splits{"val", "limit-val-batches"};

std::vector<OptionGroup> evaluate_options(const Kind& kind) {
  std::vector<OptionGroup> groups = trained_model_groups({
      text_option("data", "", "DIR|FILE.h5", "Data set, or one shard (required)"),
      text_option("split", "", "NAME,NAME",
                  cat("Splits to evaluate (default: all whose names begin with ", kind.prefix, ")")),
      batch_limit_option(kind.limit, "How many batches of a split: a number, or a share as 0.5"),
      verify_data_option(),
      text_option("output", "", "DIR",
                  "Folder for metrics.json, scores.csv, curves.csv and predictions.csv"),
      integer_option("batch-size", "64", "Samples of a batch", 1),
      integer_option(
          "recompute-bn-statistics", "0",
          "Batches of split train for re-estimating BN statistics first; scores without it are shown too",
          0),
      num_workers_option(),
      integer_option("seed", "0",
                     "Seed of stochastic heatmaps, the order for BN statistics, bootstrap and posteriors", 0)});
  const std::vector<OptionGroup> own{{"Predictions of other programs", prediction_file_options(), {}},
                                     {"Scores", report_option_specs(), {}},
                                     {"Other backgrounds", background_test_options(), {}},
                                     {"Explanations", explanation_test_options(), {}},
                                     {"Report", report_page_options(), {}},
                                     {"Distribution", distributed_options(), {}}};
  groups.insert(groups.begin() + 1, own.begin(), own.end());
  return groups;
}

std::vector<std::string> splits_of(const OptionValues& options, const DataSet& data, const Kind& kind) {
  std::vector<std::string> names = options.list("split");
  for (auto name = names.begin(); name != names.end(); ++name)
    if (std::find(names.begin(), name, *name) != name)
      fail(ErrorKind::usage, "--split: names '", *name, "' twice");
  if (!names.empty()) return names;
  for (const auto& name : data.split_names())
    if (name.rfind(kind.prefix, 0) == 0 || data.is_single_shard()) names.push_back(name);
  if (names.empty())
    fail(ErrorKind::usage, "the data set has no split whose name begins with ", kind.prefix,
         "; name one with --split");
  return names;
}

// Logits that are not finite have no probabilities: such a split has no report, and that is said.
bool scorable(const Predictions& predictions, const std::string& split) {
  const auto bad = [](double logit) { return !std::isfinite(logit); };
  const auto count = std::count_if(predictions.logits.begin(), predictions.logits.end(), bad);
  if (count == 0) return predictions.size() > 0;
  const auto first =
      std::find_if(predictions.logits.begin(), predictions.logits.end(), bad) - predictions.logits.begin();
  log::warning(cat("split ", split, ": ", count, " of the network's outputs are not finite (first: sample '",
                   predictions.ids[static_cast<std::size_t>(first) / predictions.classes()],
                   "'): scores of probabilities are left out"));
  return false;
}

struct Results {
  ScoresBySplit scores;
  PredictionsBySplit predictions;
};

Results pass_over_all(const ScoredModel& model, const DataSet& data, const std::vector<std::string>& splits,
                      const OptionValues& options, const Kind& kind, const Communicator& communicator) {
  Results results;
  for (const auto& name : splits) {
    SplitPass pass = pass_over(model, data, name, options, kind.limit, communicator);
    results.scores.emplace_back(name, std::move(pass.scores));
    if (pass.predictions.classes() > 0) results.predictions.emplace_back(name, std::move(pass.predictions));
  }
  return results;
}

// What --calibrate and its like choose on split `name`, on rank 0; collective.
std::optional<ValidationChoices> choose(const ScoredModel& model, const DataSet& data,
                                        const OptionValues& options, const std::string& name,
                                        const Results& results, const Communicator& communicator) {
  const auto scored = std::any_of(results.scores.begin(), results.scores.end(),
                                  [&](const auto& split) { return split.first == name; });
  PredictionsBySplit validation = results.predictions;
  if (!scored) validation = {{name, pass_over(model, data, name, options, "", communicator).predictions}};
  for (const auto& [split, predictions] : validation)
    if (split == name && communicator.is_main() && scorable(predictions, name))
      return choose_on_validation(predictions, validation_request(options), name);
  return {};
}

ReportsBySplit reports_of(const PredictionsBySplit& predictions, const OptionValues& options,
                          const std::optional<ValidationChoices>& choices, const std::string& validation) {
  ReportsBySplit reports;
  for (const auto& [name, of_split] : predictions) {
    if (!scorable(of_split, name)) continue;
    const bool apply = choices && name != validation;
    reports[name] = make_report(of_split, report_options(options), apply ? &*choices : nullptr);
    add_group_tables(options, of_split, reports[name]);
    if (choices && !apply)
      reports[name].remarks.push_back(
          "Thresholds and temperature were chosen on this split: they are not applied to it.");
  }
  return reports;
}

// What --background and --explanation ask for, of each split that has a report; collective.
void look_at_backgrounds(const ScoredModel& model, const DataSet& data,
                         const std::vector<std::string>& splits, const OptionValues& options,
                         const Kind& kind, const Communicator& communicator, ReportsBySplit& reports) {
  const auto backgrounds = background_tests(options);
  const auto explanations = explanation_tests(options);
  if (!backgrounds && !explanations) return;
  const ReportOptions report = report_options(options);
  for (const auto& name : splits) {
    const auto split = data.split(name);
    ScoreReport unused;  // of a split without a report, and of other ranks
    const auto found = reports.find(name);
    ScoreReport& into = found == reports.end() ? unused : found->second;
    if (split->layout().mask_channels == 0) {
      into.remarks.push_back(
          "There are no masks: the figures of --background and --explanation are left out.");
      continue;
    }
    if (backgrounds)
      into.background =
          test_backgrounds(model, split, *backgrounds, options, kind.limit, report, communicator);
    if (explanations)
      into.explanations =
          test_explanations(model, split, *explanations, options, kind.limit, report, communicator);
  }
}

int run(const OptionValues& given, World& world, const Kind& kind) {
  const at::Device device = device_of(given, world.local_rank());
  const Communicator communicator(world, process_group_options(given, device.type()));
  if (!communicator.is_main()) log::configure({log::Level::warning, cat("rank ", communicator.rank(), ": ")});
  refuse_results_over_inputs(given);
  if (communicator.is_main()) prepare_report(given, InputFiles(given));
  TrainedModel model = load_trained_model(given, device);
  const OptionValues& options = model.config.options();
  const auto objective = objectives().at(options.text("objective")).make(options);
  require_outputs(*objective, options.text("objective"), *model.network);
  if (objective->needs_classes()) require_same_classes(model);
  background_tests(options);  // refused before the work
  explanation_tests(options);
  const auto splits = splits_of(options, *model.data, kind);
  DataAgreement(communicator, *model.data, splits, verify_data_of(options)).check();
  const auto& of_data = model.data->description().class_names;
  const ScoredModel scored{*model.network,
                           *objective,
                           {device, model.dtype},
                           model.class_names.size() == of_data.size() ? model.class_names : of_data};
  for (const auto& by : options.list("by-group"))  // what is missing is said before the work
    for (const auto& name : splits) groups_by(options, by, labels_of(*model.data->split(name), {}));
  std::string validation;
  if (validation_request(options).any())
    validation = validation_split(options, model.data->split_names(), model.data->path().string());

  Results results = pass_over_all(scored, *model.data, splits, options, kind, communicator);
  std::string text = summary_table(results.scores);
  if (const std::int64_t batches = options.integer("recompute-bn-statistics"); batches > 0) {
    const auto loader = split_loader(model.data->split("train"), options, true, communicator);
    recompute_bn_statistics(*model.network, *loader, batches, 0, scored.place, communicator);
    results = pass_over_all(scored, *model.data, splits, options, kind, communicator);
    text = cat("BN statistics as stored:\n", text, "\nBN statistics re-estimated:\n",
               summary_table(results.scores));
  }
  std::optional<ValidationChoices> choices;
  if (!validation.empty()) choices = choose(scored, *model.data, options, validation, results, communicator);
  ReportsBySplit reports;
  if (communicator.is_main()) reports = reports_of(results.predictions, options, choices, validation);
  if (objective->needs_classes())
    look_at_backgrounds(scored, *model.data, splits, options, kind, communicator, reports);
  if (!communicator.is_main()) return 0;
  std::cout << text << result_tables(results.scores, reports);
  if (options.has("output"))
    write_results(options.text("output"), results.scores, reports, results.predictions,
                  options.flag("logits"));
  if (options.has("report"))
    write_report(options, model, scored.place, {results.scores, reports, results.predictions});
  return 0;
}

int run_evaluate(Invocation& invocation, const Kind& kind) {
  const bool of_file = invocation.options.has("predictions");
  return run_on_ranks(invocation, world_options(invocation.options), [&](World& world) {
    if (of_file && world.size() > 1)
      fail(ErrorKind::usage,
           "--predictions: is scored by one process: start it without mpirun, or with -n 1");
    for (const char* name : {"background", "explanation"})
      if (of_file && invocation.options.has(name))
        fail(ErrorKind::usage, "--", name,
             ": needs a network (--checkpoint or --weights), not --predictions");
    return of_file ? score_predictions(invocation.options, kind.prefix)
                   : run(invocation.options, world, kind);
  });
}

Command command(const char* name, const char* summary, const Kind& kind, int place) {
  return {name,
          summary,
          cat("isnet ", name, " --checkpoint RUN --data DIR [options]"),
          {},
          [kind] { return evaluate_options(kind); },
          [kind](Invocation& invocation) { return run_evaluate(invocation, kind); },
          place,
          {{cat("isnet ", name, " --checkpoint runs/first --data data/photos --output scores")},
           {"checkpoint", "weights", "data", "split", "output", "predictions", "bootstrap", "calibrate",
            "operating-points", "by-group", "top-k", "batch-size", kind.limit, "use-average", "device"}}};
}

const CommandRegistration evaluation([] {
  return command("evaluate", "Score a trained network", test_splits, 40);
});
const CommandRegistration test([] {
  return command("test", "The same as evaluate, by Lightning's name", test_splits, 42);
});
const CommandRegistration validation([] {
  return command("validate", "Score a trained network on the split val", validation_splits, 41);
});

}  // namespace
}  // namespace isnet::cli
