// isnet export: the classifier of a checkpoint as a weights file, which Python and torchvision read.
#include <ATen/ATen.h>

#include <filesystem>
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "data/loading_options.h"
#include "model/weights.h"
#include "run/inputs.h"
#include "run/model_options.h"
#include "run/trained_model.h"
#include "trainer/bn_statistics.h"
#include "trainer/options.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> export_options() {
  return trained_model_groups({
      text_option("output", "", "FILE.safetensors", "Weights file to write (required)"),
      text_option("data", "", "DIR", "Data set whose split train re-estimates BN statistics"),
      integer_option("recompute-bn-statistics", "0",
                     "Batches of split train for re-estimating BN statistics first", 0),
      integer_option("batch-size", "64", "Samples of such a batch", 1),
      num_workers_option(),
      integer_option("seed", "0", "Seed of the order for BN statistics", 0)});
}

// Programs go by the ending: a file called classifier.onnx or classifier.pt must not hold safetensors.
void refuse_other_endings(const std::string& file) {
  const std::string ending = std::filesystem::path(file).extension().string();
  if (ending.empty() || ending == ".safetensors") return;
  fail(ErrorKind::usage, "--output: '", file, "' is not allowed: isnet export writes safetensors, not ", ending,
       "; allowed: a name that ends in .safetensors (docs/python.md loads such a file in Python)");
}

int run(const OptionValues& given) {
  InputFiles(given).refuse("output", given.text("output"));
  refuse_other_endings(given.text("output"));
  const at::Device device = device_of(given, 0);
  const std::int64_t batches = given.integer("recompute-bn-statistics");
  if (batches > 0 && !given.has("data"))
    fail(ErrorKind::usage, "--recompute-bn-statistics needs --data, whose split train it reads");
  TrainedModel model = load_trained_model(given, device, DataNeed::optional);
  const OptionValues& options = model.config.options();
  if (batches > 0) {
    const auto loader = split_loader(model.data->split("train"), options, true, Communicator());
    recompute_bn_statistics(*model.network, *loader, batches, 0, {device, model.dtype}, Communicator());
  }
  save_weights(options.text("output"), *model.network,
               weights_metadata(options, model.class_names, model.task));
  std::cout << options.text("output") << ": " << named_tensors(*model.network).size() << " tensors of "
            << model.source << (batches > 0 ? ", BN statistics re-estimated" : "") << '\n';
  if (const auto& note_of = networks().at(model.config.model().network).capabilities.export_note)
    if (const auto note = note_of(options); !note.empty()) log::info(cat(options.text("output"), ": ", note));
  return 0;
}

int run_export(Invocation& invocation) {
  if (!invocation.options.has("output")) fail(ErrorKind::usage, "--output: is required");
  return run_alone(invocation, [&](World&) { return run(invocation.options); });
}

Command export_command() {
  return {"export",
          "Write the weights of a checkpoint for other programs",
          "isnet export --checkpoint RUN --output FILE.safetensors [options]",
          {},
          export_options,
          run_export,
          60,
          {{"isnet export --checkpoint runs/first --output first.safetensors"}, {}}};
}

const CommandRegistration registration(export_command);

}  // namespace
}  // namespace isnet::cli
