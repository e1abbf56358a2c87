#include "run/report_options.h"

#include <cstdlib>

#include "base/cores.h"
#include "base/error.h"
#include "base/launcher.h"
#include "evaluation/predictions_csv.h"

namespace isnet {
namespace {

// --threads, else OMP_NUM_THREADS, else the cores that this process may use.
int threads_of(const OptionValues& options) {
  if (options.known("threads") && options.integer("threads") > 0)
    return static_cast<int>(options.integer("threads"));
  if (const int threads = std::atoi(environment("OMP_NUM_THREADS").c_str()); threads > 0) return threads;
  return available_cores();
}

OptionSpec criteria_option() {
  OptionSpec spec =
      text_option("operating-points", "", "CRITERION,…",
                  "Thresholds chosen on the validation split and applied to the others: youden, "
                  "f1, sensitivity=X, specificity=X");
  spec.refusal = [](const std::string& text) -> std::string {
    try {
      OptionValues values({text_option("criteria", "", "", "")});
      values.set("criteria", text);
      for (const auto& one : values.list("criteria")) parse_criterion(one);
      return "";
    } catch (const Error&) {
      return "youden, f1, sensitivity=X, specificity=X with X above 0 and up to 1, separated by commas";
    }
  };
  return spec;
}

}  // namespace

std::vector<OptionSpec> interval_options() {
  return {
      integer_option("bootstrap", "",
                     "Replicates of the stratified bootstrap; 0: none (default: 1000, fewer for millions of "
                     "samples)",
                     0, 1'000'000),
      choice_option("bootstrap-by", "group",
                    "What is drawn: groups (patients) where the samples have any, or samples",
                    {"group", "sample"})};
}

std::vector<OptionSpec> report_option_specs() {
  std::vector<OptionSpec> specs = interval_options();
  for (auto& more :
       {integer_option("posterior-draws", "100000", "Draws of the Bayesian posteriors; 0: none", 0,
                       100'000'000),
        integers_option("top-k", "5", "Accuracies of the K most probable classes, for K below the classes",
                        1),
        flag_option("calibrate", "Choose a temperature on the validation split, and report what it does"),
        criteria_option(),
        text_option(
            "implicit-class", "", "NAME",
            "Name of a class without an output (samples without a label): predicted where no class is "
            "above a threshold chosen on the validation split"),
        text_option("validation-split", "", "NAME",
                    "Split on which to choose (default: val, valid, validation or dev)"),
        text_option("by-group", "", "NAME,…",
                    "Scores by `group`, or by columns of --attributes; the worst first"),
        text_option("attributes", "", "FILE.csv", "Columns for --by-group, with a column `id`"),
        flag_option("logits", "Logits in predictions.csv too")})
    specs.push_back(more);
  return specs;
}

ReportOptions report_options(const OptionValues& options) {
  ReportOptions report;
  report.seed = static_cast<std::uint64_t>(options.integer("seed"));
  if (options.has("bootstrap")) report.bootstrap = static_cast<std::size_t>(options.integer("bootstrap"));
  report.resample_groups = options.text("bootstrap-by") == "group";
  if (options.known("posterior-draws"))
    report.posterior_draws = static_cast<std::size_t>(options.integer("posterior-draws"));
  if (options.known("top-k")) report.top_k = options.integers("top-k");
  report.threads = threads_of(options);
  return report;
}

ValidationRequest validation_request(const OptionValues& options) {
  ValidationRequest request;
  request.calibrate = options.flag("calibrate");
  for (const auto& criterion : options.list("operating-points"))
    request.criteria.push_back(parse_criterion(criterion));
  request.implicit_class = options.text("implicit-class");
  return request;
}

std::vector<std::string> groups_by(const OptionValues& options, const std::string& name,
                                   const Predictions& samples) {
  if (options.has("attributes")) return column_by_id(options.text("attributes"), name, samples.ids);
  if (name != "group")
    fail(ErrorKind::usage, "--by-group: '", name,
         "' needs --attributes FILE.csv, a table with that column and a column 'id'");
  if (samples.groups.empty()) fail(ErrorKind::usage, "--by-group: the samples have no groups");
  return samples.groups;
}

void add_group_tables(const OptionValues& options, const Predictions& predictions, ScoreReport& report) {
  for (const auto& name : options.list("by-group"))
    report.groups.push_back(scores_by_group(predictions, name, groups_by(options, name, predictions)));
}

}  // namespace isnet
