// isnet predict: what a trained network says about samples, one row each.
#include <ATen/ATen.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/model_setup.h"
#include "trainer/batches.h"
#include "trainer/distributed/bootstrap.h"
#include "trainer/options.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> predict_options() {
  std::vector<OptionSpec> what = trained_model_options();
  for (auto& more :
       {text_option("data", "", "DIR|FILE.h5", "data set, or one shard (required); labels are not needed"),
        text_option("split", "test", "NAME", "split to predict"),
        text_option("output", "", "FILE.csv", "file for the predictions (required)"),
        batch_limit_option("limit-predict-batches",
                           "how many batches to predict: a number, or a share as 0.5"),
        integer_option("batch-size", "64", "samples of a batch", 1),
        integer_option("num-workers", "1", "threads that read data", 1, 1024),
        integer_option("seed", "0", "unused by networks that are not trained", 0)})
    what.push_back(more);
  std::vector<OptionGroup> groups{{"Model and data", std::move(what), {}}};
  groups.push_back({"Device", device_option_specs(), {}});
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  return groups;
}

// A field of a CSV row (RFC 4180).
std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + "\"";
}

// Class numbers separated by blanks, of the labels that are there.
std::string classes_of(const at::Tensor& row) {
  std::string text;
  const at::Tensor flags = row.to(at::kBool).contiguous();
  for (std::int64_t k = 0; k < flags.numel(); ++k)
    if (flags.data_ptr<bool>()[k]) text += cat(text.empty() ? "" : " ", k);
  return text;
}

std::string truth(const Batch& batch, std::int64_t i) {
  return batch.labels.dim() == 1 ? cat(batch.labels[i].item<std::int64_t>())
                                 : classes_of(batch.labels[i] > 0.5);
}

std::string rows_of(const Batch& batch, const at::Tensor& logits, const SplitReader& split, bool multi) {
  const at::Tensor scores =
      (multi ? logits.sigmoid() : logits.softmax(1)).to(at::kCPU, at::kDouble).contiguous();
  std::string rows;
  for (std::int64_t i = 0; i < batch.size(); ++i) {
    rows += quoted(split.id(batch.ids[i].item<std::int64_t>()));
    if (batch.labels.defined()) rows += "," + truth(batch, i);
    rows += "," + (multi ? classes_of(scores[i] > 0.5) : cat(scores[i].argmax().item<std::int64_t>()));
    for (std::int64_t k = 0; k < scores.size(1); ++k)
      rows += "," + nlohmann::json(scores[i][k].item<double>()).dump();
    rows += '\n';
  }
  return rows;
}

int run(OptionValues& options, World& world) {
  InputFiles(options).refuse("output", options.text("output"));
  const TrainedModel model = load_trained_model(options, device_of(options, world.local_rank()));
  if (model.network->num_classes() == 0)
    fail(ErrorKind::usage, model.source, " classifies no images; its masks are made by isnet segment");
  const auto split = model.data->split(options.text("split"));
  const auto loader = split_loader(split, options, false, Communicator(), "limit-predict-batches");
  const bool labelled = split->layout().labels != LabelKind::none;
  const bool multi = (labelled ? split->layout().labels : model.data->description().task) == LabelKind::multi;
  std::string table = labelled ? "id,label,predicted" : "id,predicted";
  const auto classes = static_cast<std::size_t>(model.network->num_classes());
  for (std::size_t k = 0; k < classes; ++k)
    table += "," + quoted(k < model.class_names.size() ? model.class_names[k] : cat(k));
  table += '\n';
  std::int64_t samples = 0;
  const at::NoGradGuard no_grad;
  loader->start(0);
  while (auto host = loader->next()) {
    const Batch batch = to_batch(std::move(*host), device_of(options, world.local_rank()), model.dtype);
    table += rows_of(batch, model.network->logits(batch.images), *split, multi);
    samples += batch.size();
  }
  write_file_atomically(options.text("output"), table);
  log::info(cat("predictions for ", samples, " samples written to ", options.text("output")));
  return 0;
}

int run_predict(Invocation& invocation) {
  if (!invocation.options.has("output")) fail(ErrorKind::usage, "--output: is required");
  const auto world = std::make_shared<World>(WorldOptions{});
  invocation.on_failure = [world](const Failure& failure) { std::_Exit(world->fail(failure)); };
  if (world->size() > 1)
    fail(ErrorKind::usage, "predict runs as one process: start it without mpirun, or with -n 1");
  return world->finish(run(invocation.options, *world));
}

Command predict_command() {
  return {"predict",
          "Write a trained network's predictions",
          "isnet predict --checkpoint FILE --data DIR --output FILE.csv [options]",
          {},
          predict_options,
          run_predict,
          45};
}

const CommandRegistration registration(predict_command);

}  // namespace
}  // namespace isnet::cli
