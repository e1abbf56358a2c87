#include "run/trained_model.h"

#include <ATen/ATen.h>

#include <cstdlib>

#include "base/error.h"
#include "base/log.h"
#include "data/shard_limits.h"
#include "trainer/checkpoint_choice.h"
#include "trainer/options.h"

namespace isnet {
namespace {

void require_sources(const OptionValues& options, DataNeed need) {
  const bool from_checkpoint = options.has("checkpoint");
  if (from_checkpoint == options.has("weights"))
    fail(ErrorKind::usage, "one of --checkpoint and --weights is needed",
         from_checkpoint ? ", not both" : "");
  if (need == DataNeed::required && !options.has("data")) fail(ErrorKind::usage, "--data: is required");
}

// What --checkpoint or --weights names.
StoredModel read_model(const OptionValues& options) {
  if (options.has("weights")) return read_weights_model(options.text("weights"));
  std::optional<bool> use_average;
  if (options.known("use-average") && options.has("use-average")) use_average = options.flag("use-average");
  return read_checkpoint_model(checkpoint_file(options.text("checkpoint")).string(), use_average);
}

void open_data(TrainedModel& model) {
  const OptionValues& options = model.config.options();
  model.data =
      std::make_unique<DataSet>(options.text("data"), model.config.model().classes, shard_limits(options));
  const auto& description = model.data->description();
  if (model.class_names.empty()) model.class_names = description.class_names;
  if (model.task.empty() && description.task != LabelKind::none) model.task = task_name(description.task);
}

}  // namespace

void load_unet(const StoredModel& stored, Network& network, const std::string& name) {
  const auto children = network.named_children();
  announce_weights(stored.source(), load_weights(stored.source(), stored.weights, **children.find(name)));
}

std::shared_ptr<Network> make_network(const RunConfig& config, at::Device device) {
  const ModelConfig& model = config.model();
  at::manual_seed(model.seed);
  auto network = networks().at(model.network).make(config.options(), model.classes.value_or(1));
  network->normalization = model.normalization;
  network->multiplication = model.multiplication;
  network->place(device, model.dtype);
  network->eval();
  return network;
}

namespace {

// " (1000 classes in the file, 3 here)" of "fc.weight: 1000×512 in the file, 3×512 in the network"; "" where the
// head is missing.
std::string head_classes(const WeightsReport& report) {
  const std::string between = " in the file, ";
  for (const auto& text : report.mis_shaped) {
    const auto name = text.find(".weight: "), own = text.find(between);
    if (name == std::string::npos || own == std::string::npos) continue;
    return cat(" (", std::atoll(text.c_str() + name + 9), " classes in the file, ",
               std::atoll(text.c_str() + own + between.size()), " here)");
  }
  return "";
}

}  // namespace

void announce_weights(const std::string& source, const WeightsReport& report) {
  for (const auto& note : report.notes) log::info(cat(source, ": ", note));
  if (report.complete()) return;
  if (report.lacks_only_counters())
    log::info(cat(source, ": counters of batch norms (num_batches_tracked) are missing; they count from 0"));
  else
    log::warning(cat(source, ": all layers but the head were loaded; the head", head_classes(report),
                     " starts from random values: ", report.text()));
}

void announce(const RunConfig& config) {
  for (const auto& note : config.notes()) log::info(note);
  for (const auto& warning : config.warnings()) log::warning(warning);
}

TrainedModel load_trained_model(const OptionValues& options, at::Device device, DataNeed need) {
  require_sources(options, need);
  const StoredModel stored = read_model(options);
  TrainedModel model{.config = resolve(options, {}, {.model = &stored})};
  announce(model.config);
  model.dtype = model.config.model().dtype;
  model.class_names = stored.class_names;
  model.task = stored.task;
  model.source = stored.source();
  if (options.has("data")) open_data(model);
  model.config.blame().limited(stored.weights.tensors,
                               [&] { model.network = make_network(model.config, device); });
  announce_weights(model.source, load_weights(model.source, stored.weights, *model.network));
  return model;
}

std::unique_ptr<Loader> split_loader(const std::shared_ptr<const SplitReader>& split,
                                     const OptionValues& options, bool shuffle,
                                     const Communicator& communicator, const std::string& limit_option) {
  SamplerOptions sampling;
  sampling.world = communicator.world_size();
  sampling.rank = communicator.rank();
  sampling.size = split->size();
  sampling.batch_size = options.integer("batch-size");
  sampling.shuffle = shuffle;
  sampling.seed = static_cast<std::uint64_t>(options.integer("seed"));
  sampling.last_batch = LastBatch::short_;
  LoaderOptions loading;
  loading.workers = static_cast<int>(options.integer("num-workers"));
  loading.double_precision = precision_of(options) == at::kDouble;
  const Sampler sampler(sampling);
  if (!limit_option.empty()) loading.limit = batch_limit(options, limit_option).of(sampler.steps_per_epoch());
  return std::make_unique<Loader>(split, sampler, loading);
}

}  // namespace isnet
