#include "run/run_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "model/losses/classification_loss.h"
#include "model/networks/layer_list.h"
#include "model/objectives/objective.h"
#include "run/graph_options.h"
#include "run/model_options.h"
#include "run/resume_options.h"

namespace isnet {
namespace {

const Capabilities<NetworkFactory>& network_of(const OptionValues& options) {
  return networks().at(options.text("network")).capabilities;
}

bool is_open(const OptionValues& options, const std::string& name) {
  return options.known(name) && !options.has(name);
}

std::string numbers_text(const std::vector<double>& numbers) {
  std::string text;
  for (const double number : numbers) text += (text.empty() ? "" : ",") + nlohmann::json(number).dump();
  return text;
}

// The options of the network that `stored` describes, as one line of --unet-options: "depth=5 wf=6 …".
std::string shape_of_unet(const StoredModel& stored, const std::string& network) {
  auto specs = networks().at(network).options;
  specs.push_back(normalize_option());
  std::vector<std::string> names{"network"};
  for (const auto& spec : specs) names.push_back(spec.name);
  specs.push_back(text_option("network", "", "", ""));
  OptionValues unet(std::move(specs));
  const auto adopted = stored.options.adopt_into(unet, names);
  if (unet.text("network") != network)
    fail(ErrorKind::checkpoint, stored.source(), ": these are weights of --network ", unet.text("network"),
         ", --network pipeline needs those of a ", network);
  // The pipeline makes it for good, without a limit: once all is known to fit.
  Blame(stored.source(), adopted, {}).limited(stored.weights.tensors, [&] {
    networks().at(network).make(unet, 0);
  });
  std::string text;
  for (const auto& spec : unet.specs())
    if (spec.name != "network" && unet.has(spec.name))
      text += cat(text.empty() ? "" : " ", spec.name, "=", unet.text(spec.name));
  return text;
}

// What would watch metrics of validation; "": nothing.
std::string watcher_of(const OptionValues& options) {
  const auto text = [&](const char* name) { return options.known(name) ? options.text(name) : ""; };
  if (text("lr-schedule") == "reduce-on-plateau") return "--lr-schedule reduce-on-plateau";
  if (!text("early-stopping-threshold").empty()) return "--early-stopping-threshold";
  if (options.known("early-stopping-patience") && options.integer("early-stopping-patience") > 0)
    return "--early-stopping-patience";
  return "";
}

// What the fit loop and its averages of gradients read.
TrainerOptions fit_options(const OptionValues& options) {
  TrainerOptions trainer = trainer_options(options);
  if (options.known("ddp-bucket-cap-mb")) trainer.ddp = ddp_options(options);
  return trainer;
}

// Without validation nothing can watch its metrics: refused where something was asked to watch. Returns a
// warning; "": there is a validation.
std::string missing_validation(const OptionValues& options, const TrainerOptions& trainer,
                               const DataFacts& data) {
  if (!data.validation.empty() && trainer.limit_val_batches.value > 0) return "";
  const std::string& monitor = options.text("monitor");
  const std::string reason = !data.validation.empty() ? "--limit-val-batches 0 leaves nothing of the split val"
                                            : cat(data.source, " has no split val (", data.splits, ")");
  if (const auto watcher = watcher_of(options); !watcher.empty() && monitor.starts_with("val_"))
    fail(ErrorKind::usage, watcher, ": watches ", monitor, ", but ", reason,
         ": pack one (isnet pack --splits train=0.8,val=0.2), or give --monitor train_loss");
  return cat("no validation: ", reason,
             "; the last epoch counts as the best, and nothing watches for overfitting");
}

}  // namespace

void require_masks(const DataFacts& data, const std::string& name) {
  if (!data.masked)
    fail(ErrorKind::data, data.source, ": the split train has no masks, which --objective ", name,
         " needs; add them, or use --objective classifier");
}

void RunConfig::adopt_model(const StoredModel& model) {
  auto given = given_options(options_);
  auto adopted = model.options.adopt_into(options_, model_option_names());
  blame_ = Blame(model.source(), std::move(adopted), std::move(given));
  if (!model.ours) adopt_convention(model);
}

void RunConfig::adopt_weights(const StoredModel& weights) {
  if (weights.ours)
    weights.options.adopt_into(options_, network_of(options_).options_of_weights);
  else
    adopt_convention(weights);
}

// Published weights of torchvision's networks expect images normalised by ImageNet's mean and deviation.
void RunConfig::suggest_normalization(const StoredModel& weights) {
  const bool published =
      options_.text("network").find_first_of("0123456789") != std::string::npos;  // densenet121, vit-b-16
  if (published && options_.text("normalize") == "none" && !options_.given("normalize"))
    notes_.push_back(cat(weights.source(),
                         ": if these weights were pretrained with torchvision, use --normalize imagenet; now "
                         "images keep their values from 0 to 1 (--normalize none)"));
}

void RunConfig::adopt_convention(const StoredModel& weights) {
  suggest_normalization(weights);
  const auto& convention = network_of(options_).foreign_weights;
  if (!convention) return;
  const ForeignWeights foreign = convention(weights.weights.torch_save);
  const bool decides = std::any_of(foreign.options.begin(), foreign.options.end(), [&](const auto& option) {
    return options_.known(option.first) && !options_.given(option.first);
  });
  if (!decides) return;
  options_ = options_.completed(foreign.options);
  notes_.push_back(cat(weights.source(), ": isnet did not write these weights: taken as ", foreign.note));
}

void RunConfig::adopt_unet(const StoredModel* unet) {
  if (!options_.known("unet-weights")) return;
  const std::string& around = network_of(options_).around;
  const std::string& network = options_.text("network");
  if (around.empty()) {
    if (options_.has("unet-weights"))
      fail(ErrorKind::usage, "--unet-weights: is not allowed with --network ", network,
           "; allowed: with pipeline");
    return;
  }
  if (!unet)
    fail(ErrorKind::usage, "--unet-weights: is required by --network ", network,
         ": weights or a checkpoint of a trained --network ", around);
  unet->options.adopt_into(options_, {"mask-threshold"});  // its training may have found one
  if (options_.given("unet-options") || unet->options.empty()) return;
  options_.set("unet-options", shape_of_unet(*unet, around));
}

void RunConfig::take_from_data(const DataFacts& data) {
  if (data.source.empty()) return;
  if (is_open(options_, "num-classes") && data.classes > 0) options_.set("num-classes", cat(data.classes));
  for (const auto& [option, class_name] : network_of(options_).class_options) {
    const auto named = std::find(data.class_names.begin(), data.class_names.end(), class_name);
    if (named != data.class_names.end() && is_open(options_, option))
      options_.set(option, cat(named - data.class_names.begin()));
  }
  if (!data.validation.empty() && data.validation != "val" && options_.known("monitor") &&
      !options_.given("monitor"))
    options_.set("monitor", data.validation + "_loss");
  for (const char* name : balanced_options) {
    if (!options_.known(name) || options_.text(name) != "balanced") continue;
    if (!data.labelled)
      fail(ErrorKind::data, data.source, ": the split train has no labels, which --", name,
           " balanced needs");
    options_.set(name, numbers_text(std::string_view(name) == "class-weights"
                                        ? balanced_class_weights(data.class_counts, data.samples)
                                        : balanced_positive_weights(data.class_counts, data.samples)));
  }
}

void RunConfig::take_defaults(bool resumed) {
  const auto& objective = objectives().at(options_.text("objective"));
  auto of_objective = objective.defaults;
  // A resumed run keeps what it began with.
  const bool by_norm =
      !options_.known("gradient-clip-algorithm") || options_.text("gradient-clip-algorithm") == "norm";
  if (resumed || !by_norm) of_objective.erase("gradient-clip-val");
  options_ = options_.completed(networks().at(options_.text("network")).defaults).completed(of_objective);
  const bool heatmaps = objective.capabilities.trains_heatmaps;
  if (is_open(options_, "dropout")) options_.set("dropout", heatmaps ? "0.5" : "0");
  if (is_open(options_, "recompute-bn-statistics")) {
    const bool averages = options_.known("average") && options_.text("average") != "none";
    options_.set("recompute-bn-statistics", heatmaps || averages ? "64" : "0");
  }
  if (options_.known("layers") && options_.has("layers"))
    options_.set("layers", layers_text(options_.text("layers")));
  settle_graph(options_);
}

void RunConfig::settle_model(const StoredModel* stored) {
  model_.network = options_.text("network");
  model_.objective = options_.text("objective");
  model_.normalization = parse_normalization(options_.text("normalize"));
  model_.dtype = precision_of(options_);
  model_.multiplication = multiplication_of(options_);
  model_.seed = static_cast<std::uint64_t>(options_.integer("seed"));
  if (options_.has("num-classes")) model_.classes = options_.integer("num-classes");
  if (!stored) return;
  model_.classes.reset();
  if (!network_of(options_).classifies) return;
  model_.classes = classes_of(*stored, model_.network);
  if (options_.given("num-classes") && options_.integer("num-classes") != *model_.classes)
    fail(ErrorKind::usage, "--num-classes: '", options_.integer("num-classes"),
         "' is not allowed; the head of ", stored->source(), " has ", *model_.classes);
}

void RunConfig::settle_training(const DataFacts& data) {
  trainer_ = fit_options(options_);
  require_outputs(objectives().at(model_.objective).capabilities, model_.objective, network_of(options_));
  if (data.source.empty()) return;
  if (objectives().at(model_.objective).capabilities.needs_masks) require_masks(data, model_.objective);
  if (auto warning = missing_validation(options_, *trainer_, data); !warning.empty())
    warnings_.push_back(std::move(warning));
}

void RunConfig::settle_resume(const FoundCheckpoint& resumed, std::int64_t ranks) {
  ResumedOptions settled = resumed_options(options_, resumed, ranks);
  options_ = std::move(settled.options);
  notes_.insert(notes_.end(), settled.notes.begin(), settled.notes.end());
  trainer_ = fit_options(options_);
  trainer_->largest_share = settled.largest_share;
}

RunConfig RunConfig::with(const std::map<std::string, std::string>& found) const {
  RunConfig config = *this;
  for (const auto& [name, value] : found) config.options_.set(name, value);
  return config;
}

RunConfig resolve(const OptionValues& given, const DataFacts& data, const StoredFacts& stored,
                  std::int64_t ranks) {
  RunConfig config(given);
  if (stored.model) config.adopt_model(*stored.model);
  if (stored.weights) config.adopt_weights(*stored.weights);
  config.blame_.blamed([&] {
    config.adopt_unet(stored.unet);
    config.take_from_data(data);
    config.take_defaults(stored.resumed != nullptr);
  });
  config.settle_model(stored.model);
  if (given.known("max-epochs")) config.settle_training(data);
  if (stored.resumed) config.settle_resume(*stored.resumed, ranks);
  return config;
}

}  // namespace isnet
