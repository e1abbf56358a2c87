// isnet export: the classifier of a checkpoint as a weights file, which Python and torchvision read.
#include <ATen/ATen.h>

#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "commands/ranks.h"
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
      text_option("output", "", "FILE.safetensors", "weights file to write (required)"),
      text_option("data", "", "DIR", "data set whose split train re-estimates BN statistics"),
      integer_option("recompute-bn-statistics", "0",
                     "batches of split train for re-estimating BN statistics first", 0),
      integer_option("batch-size", "64", "samples of such a batch", 1),
      integer_option("num-workers", "1", "threads that read data", 1, 1024),
      integer_option("seed", "0", "of the order for BN statistics", 0)});
}

int run(OptionValues& options) {
  InputFiles(options).refuse("output", options.text("output"));
  const at::Device device = device_of(options, 0);
  const std::int64_t batches = options.integer("recompute-bn-statistics");
  if (batches > 0 && !options.has("data"))
    fail(ErrorKind::usage, "--recompute-bn-statistics needs --data, whose split train it reads");
  TrainedModel model = load_trained_model(options, device, DataNeed::optional);
  if (batches > 0) {
    const auto loader = split_loader(model.data->split("train"), options, true, Communicator());
    recompute_bn_statistics(*model.network, *loader, batches, 0, {device, model.dtype}, Communicator());
  }
  save_weights(options.text("output"), *model.network,
               weights_metadata(options, model.class_names, model.task));
  std::cout << options.text("output") << ": " << named_tensors(*model.network).size() << " tensors of "
            << model.source << (batches > 0 ? ", BN statistics re-estimated" : "") << '\n';
  if (is_dense_net(options) && options.flag("transition-relu"))
    log::info(
        cat(options.text("output"),
            ": this DenseNet has a ReLU in its transitions (--transition-relu 1); torchvision's has none: "
            "it loads these weights without complaint and computes other logits (docs/networks.md)"));
  return 0;
}

int run_export(Invocation& invocation) {
  if (!invocation.options.has("output")) fail(ErrorKind::usage, "--output: is required");
  return run_alone(invocation, [&](World&) { return run(invocation.options); });
}

Command export_command() {
  return {"export",
          "Write the weights of a checkpoint for other programs",
          "isnet export --checkpoint FILE --output FILE.safetensors [options]",
          {},
          export_options,
          run_export,
          60};
}

const CommandRegistration registration(export_command);

}  // namespace
}  // namespace isnet::cli
