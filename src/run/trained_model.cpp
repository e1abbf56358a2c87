#include "run/trained_model.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/names.h"
#include "model/networks/layer_list.h"
#include "model/networks/unet.h"
#include "model/objectives/defaults.h"
#include "model/weight_names.h"
#include "model/weights.h"
#include "run/model_options.h"
#include "run/stored_options.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_choice.h"
#include "trainer/checkpoint_state.h"
#include "trainer/options.h"

namespace isnet {
namespace {

// A network's tensors, and what was stored with them.
struct StoredModel {
  StoredWeights weights;
  StoredOptions options;
  std::vector<std::string> class_names;
  std::string task;  // "" where nothing says it
  bool ours = true;  // isnet wrote it
};

// The averaged weights where there are any, unless the run was told not to use them, or this command is.
StoredModel read_checkpoint(const std::string& file, const OptionValues& options) {
  const StoredCheckpoint checkpoint = load_checkpoint(file);
  std::string ini;  // the first line that names an option counts
  for (const auto& [name, value] : found_options(checkpoint)) ini += cat(name, " = ", value, "\n");
  ini += options_text(checkpoint.state, file);
  const bool average = options.known("use-average") && options.has("use-average")
                           ? options.flag("use-average")
                           : ("\n" + ini).find("\nuse-average = 0\n") == std::string::npos;
  return {{model_tensors(checkpoint, average), {}, {}},
          StoredOptions(file, std::move(ini)),
          checkpoint.state.value("class_names", std::vector<std::string>{}),
          checkpoint.state.value("task", "")};
}

std::vector<std::string> class_names_in(const StoredWeights& weights, const std::string& path) {
  const auto found = weights.metadata.find("isnet.class_names");
  if (found == weights.metadata.end()) return {};
  const JsonSource source{cat(path, ": its metadata isnet.class_names"), ErrorKind::checkpoint, ""};
  const nlohmann::json names{{"isnet.class_names", parse_json(found->second, source)}};
  const auto texts = JsonFields({path, ErrorKind::checkpoint, ""}, names).texts("isnet.class_names");
  for (const auto& name : texts)
    check_stored_name(NameKind::label, "class name", name, path, ErrorKind::checkpoint);
  return texts;
}

StoredModel read_model(const std::string& path) {
  StoredWeights weights = read_weights(path);
  const auto entry = [&](const char* name) {
    const auto found = weights.metadata.find(name);
    return found == weights.metadata.end() ? std::string() : found->second;
  };
  StoredOptions options(path, entry("isnet.options"));
  auto names = class_names_in(weights, path);
  auto task = entry("isnet.task");
  const bool ours = is_ours(weights);
  return {std::move(weights), std::move(options), std::move(names), std::move(task), ours};
}

// The classifying layer's weight: DenseNet's classifier, ResNet's fc, the last of VGG's classifier, …; null:
// there is none.
const std::pair<const std::string, at::Tensor>* head_of(const NamedTensors& tensors) {
  auto head = tensors.find("classifier.weight");
  for (const char* name : {"fc.weight", "classifier1.weight", "heads.head.weight", "cls_fc.weight"})
    if (head == tensors.end()) head = tensors.find(name);
  for (int place = 0; head == tensors.end() && place < 30; place += 3)
    if (tensors.count(cat("classifier.", place + 3, ".weight")) == 0)
      head = tensors.find(cat("classifier.", place, ".weight"));
  return head == tensors.end() || head->second.dim() != 2 ? nullptr : &*head;
}

// HAM's normal class has no row of its own.
std::int64_t classes_of_head(const std::pair<const std::string, at::Tensor>& head) {
  return head.second.size(0) + (head.first == "cls_fc.weight" ? 1 : 0);
}

// The classes of images that the model knows: as its options say, else the rows of its classifying layer's
// weight, which may be behind a prefix.
std::int64_t classes_of(const StoredModel& stored, const std::string& file) {
  constexpr std::int64_t most_classes = 1'000'000;  // a name is made for each
  OptionValues stated({integer_option("num-classes", "", "", 1, most_classes)});
  StoredOptions(stored.options).adopt(stated, {"num-classes"});
  if (stated.has("num-classes")) return stated.integer("num-classes");
  if (const auto* head = head_of(stored.weights.tensors)) return classes_of_head(*head);
  std::vector<std::string> names;
  for (const auto& prefix : name_prefixes(stored.weights.tensors)) {
    const NamedTensors tensors = without_prefix(stored.weights.tensors, prefix);
    if (const auto* head = head_of(tensors)) return classes_of_head(*head);
  }
  for (const auto& entry : stored.weights.tensors) names.push_back(entry.first);
  fail(ErrorKind::checkpoint, file,
       ": no classifying layer ('classifier.weight', 'fc.weight', …): these are not weights of a known "
       "network; its tensors: ",
       listed_names(names));
}

bool only_segments(const std::string& network) {
  const auto names = pixel_networks().names();
  return std::find(names.begin(), names.end(), network) != names.end() &&
         !pixel_networks().at(network).make.classifies;
}

StoredModel read_unet(const OptionValues& options) {
  const std::string& file = options.text("unet-weights");
  return std::filesystem::path(file).extension() == ".ckpt" ? read_checkpoint(file, options)
                                                            : read_model(file);
}

// --unet-options and --mask-threshold from the file of the U-Net, unless it says nothing or the user did.
void settle_unet(OptionValues& options) {
  if (!options.has("unet-weights"))
    fail(ErrorKind::usage,
         "--unet-weights: is required by --network pipeline: weights or a checkpoint of a trained --network "
         "unet");
  StoredModel stored = read_unet(options);
  stored.options.adopt(options, {"mask-threshold"});  // its training may have found one
  if (options.given("unet-options") || stored.options.empty()) return;
  auto specs = unet_options();
  specs.push_back(normalize_option());
  std::vector<std::string> names{"network"};
  for (const auto& spec : specs) names.push_back(spec.name);
  specs.push_back(text_option("network", "", "", ""));
  OptionValues unet(std::move(specs));
  stored.options.adopt(unet, names);
  if (unet.text("network") != "unet")
    fail(ErrorKind::checkpoint, options.text("unet-weights"), ": these are weights of --network ",
         unet.text("network"), ", --network pipeline needs those of a unet");
  // The pipeline makes it for good, without a limit: once all is known to fit.
  stored.options.limited(stored.weights.tensors, [&] { networks().at("unet").make(unet, 0); });
  std::string text;
  for (const auto& spec : unet.specs())
    if (spec.name != "network" && unet.has(spec.name))
      text += cat(text.empty() ? "" : " ", spec.name, "=", unet.text(spec.name));
  options.set("unet-options", text);
}

}  // namespace

void settle_defaults(OptionValues& options) {
  settle_objective_defaults(options, options.text("objective"));
  const bool with_dropout =
      options.text("objective") != "classifier" && options.text("network") != "ag-sononet";
  if (!options.has("dropout")) options.set("dropout", with_dropout ? "0.5" : "0");
  if (options.has("layers")) options.set("layers", layers_text(options.text("layers")));
  if (options.known("unet-weights") && options.text("network") == "pipeline") settle_unet(options);
}

bool is_ours(const StoredWeights& weights) {
  return weights.metadata.count("isnet.options") > 0;
}

bool is_dense_net(const OptionValues& options) {
  return options.text("network").rfind("densenet", 0) == 0;
}

void settle_foreign_weights(OptionValues& options, const std::string& source, bool torch_save) {
  if (!is_dense_net(options) || options.given("transition-relu")) return;
  const bool of_torchvision = torch_save || options.text("network") != "densenet";
  options.set("transition-relu", of_torchvision ? "0" : "1");
  log::info(cat(source, ": isnet did not write these weights: taken as ",
                of_torchvision
                    ? "torchvision's DenseNet, without a ReLU in transitions (--transition-relu 1: with it)"
                    : "those of a DenseNet with a ReLU in transitions (--transition-relu 0: without, as "
                      "torchvision's)"));
}

void load_unet(const OptionValues& options, Network& network) {
  const auto children = network.named_children();
  const auto* unet = children.find("unet");
  if (!unet)
    fail(ErrorKind::usage, "--unet-weights: is not allowed with --network ", options.text("network"),
         "; allowed: with pipeline");
  const StoredModel stored = read_unet(options);
  announce_weights(options.text("unet-weights"),
                   load_weights(options.text("unet-weights"), stored.weights, **unet));
}

std::shared_ptr<Network> make_network(const OptionValues& options, std::int64_t num_classes,
                                      at::Device device, at::ScalarType dtype) {
  at::manual_seed(static_cast<std::uint64_t>(options.integer("seed")));
  auto network = networks().at(options.text("network")).make(options, num_classes);
  network->normalization = parse_normalization(options.text("normalize"));
  network->multiplication = multiplication_of(options);
  network->place(device, dtype);
  network->eval();
  return network;
}

void announce_weights(const std::string& source, const WeightsReport& report) {
  for (const auto& note : report.notes) log::info(cat(source, ": ", note));
  if (report.complete()) return;
  if (report.lacks_only_counters())
    log::info(cat(source, ": counters of batch norms (num_batches_tracked) are missing; they count from 0"));
  else
    log::warning(cat(source, ": the head keeps the values that it was made with; ", report.text()));
}

TrainedModel load_trained_model(OptionValues& options, at::Device device, DataNeed need) {
  const bool from_checkpoint = options.has("checkpoint");
  if (from_checkpoint == options.has("weights"))
    fail(ErrorKind::usage, "one of --checkpoint and --weights is needed",
         from_checkpoint ? ", not both" : "");
  if (need == DataNeed::required && !options.has("data")) fail(ErrorKind::usage, "--data: is required");
  TrainedModel model;
  model.source =
      from_checkpoint ? checkpoint_file(options.text("checkpoint")).string() : options.text("weights");
  StoredModel stored = from_checkpoint ? read_checkpoint(model.source, options) : read_model(model.source);
  stored.options.adopt(options, model_option_names());
  if (!stored.ours) settle_foreign_weights(options, model.source, stored.weights.torch_save);
  stored.options.blamed([&] { settle_defaults(options); });
  std::optional<std::int64_t> classes;
  if (!only_segments(options.text("network"))) classes = classes_of(stored, model.source);
  if (classes && options.given("num-classes") && options.integer("num-classes") != *classes)
    fail(ErrorKind::usage, "--num-classes: '", options.integer("num-classes"),
         "' is not allowed; the head of ", model.source, " has ", *classes);
  model.dtype = precision_of(options);
  model.class_names = stored.class_names;
  model.task = stored.task;
  if (options.has("data")) {
    model.data = std::make_unique<DataSet>(options.text("data"), classes, shard_limits(options));
    if (model.class_names.empty()) model.class_names = model.data->description().class_names;
    const LabelKind of_data = model.data->description().task;
    if (model.task.empty() && of_data != LabelKind::none) model.task = task_name(of_data);
  }
  stored.options.limited(stored.weights.tensors, [&] {
    model.network = make_network(options, classes.value_or(1), device, model.dtype);
  });
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

NamedTexts found_options(const Checkpoint& checkpoint) {
  const auto found = checkpoint.state.find("found_options");
  return found == checkpoint.state.end() ? NamedTexts{} : found->get<NamedTexts>();
}

}  // namespace isnet
