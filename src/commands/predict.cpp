// isnet predict: what a trained network says about samples, one row each.
#include <ATen/ATen.h>


#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "data/loading_options.h"
#include "evaluation/predictions_csv.h"
#include "run/inputs.h"
#include "run/model_options.h"
#include "run/split_pass.h"
#include "run/trained_model.h"
#include "trainer/batches.h"
#include "trainer/options.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> predict_options() {
  return trained_model_groups({
      text_option("data", "", "DIR|FILE.h5", "Data set, or one shard (required); labels are not needed"),
      text_option("split", "test", "NAME", "Split to predict"),
      text_option("output", "", "FILE.csv", "File for the predictions (required)"),
      choice_option("probabilities", "auto",
                    "What the columns of classes are; auto: softmax where a sample has one class, as the "
                    "labels, else the model, else the data set say",
                    {"auto", "softmax", "sigmoid"}),
      batch_limit_option("limit-predict-batches",
                         "How many batches to predict: a number, or a share as 0.5"),
      integer_option("batch-size", "64", "Samples of a batch", 1),
      num_workers_option(),
      flag_option("logits", "Columns with logits too"),
      integer_option("seed", "0", "Unused by networks that are not trained", 0)});
}

// Whether a sample may have several classes.
bool several_classes(const OptionValues& options, const SplitReader& split, const TrainedModel& model) {
  if (options.text("probabilities") != "auto") return options.text("probabilities") == "sigmoid";
  if (split.layout().labels != LabelKind::none) return split.layout().labels == LabelKind::multi;
  if (model.task.empty() || model.task == task_name(LabelKind::none))
    log::info(
        "neither the data nor the model say whether a sample may have several classes: taken as one class "
        "each (--probabilities sigmoid: several)");
  return model.task == task_name(LabelKind::multi);
}

int run(const OptionValues& given, World& world) {
  InputFiles(given).refuse("output", given.text("output"));
  const TrainedModel model = load_trained_model(given, device_of(given, world.local_rank()));
  const OptionValues& options = model.config.options();
  if (model.network->num_classes() == 0)
    fail(ErrorKind::usage, model.source, " classifies no images; its masks are made by isnet segment");
  const auto split = model.data->split(options.text("split"));
  const auto loader = split_loader(split, options, false, Communicator(), "limit-predict-batches");
  const bool multi = several_classes(options, *split, model);
  std::vector<std::string> names = model.class_names;
  for (auto k = static_cast<std::int64_t>(names.size()); k < model.network->num_classes(); ++k)
    names.push_back(cat(k));
  names.resize(static_cast<std::size_t>(model.network->num_classes()));
  PredictionCollector collector(names.size());
  const at::NoGradGuard no_grad;
  Progress progress("predicting", loader->steps_per_epoch(), "batches");
  loader->start(0);
  while (auto host = loader->next()) {
    progress.advance();
    const Batch batch = to_batch(std::move(*host), device_of(options, world.local_rank()), model.dtype);
    collector.add(batch.ids, model.network->logits(batch.images), batch.size());
  }
  const Predictions predictions = collector.gather(
      *split, multi ? ScoreKind::multi_label : ScoreKind::single_label, names, Communicator());
  write_file_atomically(options.text("output"),
                        predictions_csv({{split->name(), predictions}}, options.flag("logits")));
  log::info(cat("predictions for ", predictions.size(), " samples written to ", options.text("output")));
  return 0;
}

int run_predict(Invocation& invocation) {
  if (!invocation.options.has("output")) fail(ErrorKind::usage, "--output: is required");
  return run_alone(invocation, [&](World& world) { return run(invocation.options, world); });
}

Command predict_command() {
  return {"predict",
          "Write a trained network's predictions",
          "isnet predict --checkpoint RUN --data DIR --output FILE.csv [options]",
          {},
          predict_options,
          run_predict,
          45,
          {{"isnet predict --checkpoint runs/first --data data/photos --output predictions.csv"}, {}}};
}

const CommandRegistration registration(predict_command);

}  // namespace
}  // namespace isnet::cli
