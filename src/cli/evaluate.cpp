// isnet evaluate: losses and scores of a trained network on splits of a data set.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/inputs.h"
#include "cli/model_setup.h"
#include "evaluation/metrics.h"
#include "trainer/bn_statistics.h"
#include "trainer/data_agreement.h"
#include "trainer/distributed/bootstrap.h"
#include "trainer/evaluation_loop.h"
#include "trainer/options.h"

namespace isnet::cli {
namespace {

// The commands differ in the splits that they look at.
struct Kind {
  std::string prefix;  // of the splits that are meant where none is named
  std::string limit;   // the option for fewer batches
};
const Kind test_splits{"test", "limit-test-batches"}, validation_split{"val", "limit-val-batches"};

std::vector<OptionGroup> evaluate_options(const Kind& kind) {
  std::vector<OptionSpec> what = trained_model_options();
  for (auto& more :
       {text_option("data", "", "DIR|FILE.h5", "data set, or one shard (required)"),
        text_option("split", "", "NAME,NAME",
                    cat("splits to evaluate (default: all whose names begin with ", kind.prefix, ")")),
        batch_limit_option(kind.limit, "how many batches of a split: a number, or a share as 0.5"),
        verify_data_option(), text_option("output", "", "DIR", "folder for metrics.json"),
        integer_option("batch-size", "64", "samples of a batch", 1),
        integer_option(
            "recompute-bn-statistics", "0",
            "batches of split train for re-estimating BN statistics first; scores without it are shown too",
            0),
        integer_option("num-workers", "1", "threads that read data", 1, 1024),
        integer_option("seed", "0", "of stochastic heatmaps and of the order for BN statistics", 0)})
    what.push_back(more);
  std::vector<OptionGroup> groups{{"Model and data", std::move(what), {}}};
  groups.push_back({"Device", device_option_specs(), {}});
  groups.push_back({"Distribution", distributed_options(), {}});
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  return groups;
}

std::vector<std::string> splits_of(const OptionValues& options, const DataSet& data, const Kind& kind) {
  if (options.has("split")) return options.list("split");
  std::vector<std::string> names;
  for (const auto& name : data.split_names())
    if (name.rfind(kind.prefix, 0) == 0 || data.is_single_shard()) names.push_back(name);
  if (names.empty())
    fail(ErrorKind::usage, "the data set has no split whose name begins with ", kind.prefix,
         "; name one with --split");
  return names;
}

Scores score(Network& network, Objective& objective, const std::shared_ptr<const SplitReader>& split,
             const DataSet& data, const OptionValues& options, const Kind& kind, const EvaluationPlace& place,
             const Communicator& communicator) {
  const bool classifies = objective.needs_classes(), segments = objective.needs_pixels();
  if (classifies && split->layout().labels == LabelKind::none)
    fail(ErrorKind::data, data.path().string(), ": split ", split->name(),
         " has no labels; evaluate needs them");
  const bool multi = split->layout().labels == LabelKind::multi;
  std::vector<std::string> losses{"loss"};
  for (auto& name : objective.loss_names()) losses.push_back(std::move(name));
  for (auto& name : network.remarks()) losses.push_back(std::move(name));
  const auto& class_names = data.description().class_names;
  const ScoreKind of_classes = multi ? ScoreKind::multi_label : ScoreKind::single_label;
  Scores scores(
      classifies ? of_classes : ScoreKind::none, class_names, losses,
      segments ? mask_class_names(network.mask_classes(), class_names) : std::vector<std::string>{});
  const auto observe = [&](const Batch& batch, const Losses& result, std::int64_t samples) {
    if (segments) {
      const at::Tensor counts = result.pixel_counts.cpu().contiguous();
      scores.add_pixels({counts.data_ptr<double>(), static_cast<std::size_t>(counts.numel())});
    }
    if (!classifies) {
      scores.add(samples);
    } else if (multi) {
      const at::Tensor truth = (batch.labels > 0.5).to(at::kByte).cpu().contiguous();
      const at::Tensor predicted = (result.logits > 0).to(at::kByte).cpu().contiguous();
      const auto classes = static_cast<std::size_t>(truth.size(1));
      for (std::int64_t i = 0; i < samples; ++i)
        scores.add({truth.data_ptr<std::uint8_t>() + static_cast<std::size_t>(i) * classes, classes},
                   {predicted.data_ptr<std::uint8_t>() + static_cast<std::size_t>(i) * classes, classes});
    } else {
      const at::Tensor predicted = result.logits.argmax(1).cpu(), truth = batch.labels.cpu().contiguous();
      for (std::int64_t i = 0; i < samples; ++i)
        scores.add(truth.data_ptr<std::int64_t>()[i], predicted.data_ptr<std::int64_t>()[i]);
    }
  };
  const auto loader = split_loader(split, options, false, communicator, kind.limit);
  const Metrics metrics = evaluate(network, objective, *loader, place, communicator, observe);
  std::vector<double> sums = scores.flat();
  communicator.all_reduce_sum(sums);
  scores.set_flat(sums);
  for (const auto& [name, value] : metrics)
    if (std::find(losses.begin(), losses.end(), name) != losses.end())
      scores.add_loss(name, value, metric(metrics, "samples"));
  return scores;
}

int run(OptionValues& options, World& world, const Kind& kind) {
  const at::Device device = device_of(options, world.local_rank());
  const Communicator communicator(world, process_group_options(options, device.type()));
  if (!communicator.is_main()) log::configure({log::Level::warning, cat("rank ", communicator.rank(), ": ")});
  if (options.has("output"))
    InputFiles(options).refuse("output", std::filesystem::path(options.text("output")) / "metrics.json");
  TrainedModel model = load_trained_model(options, device);
  const EvaluationPlace place{device, model.dtype};
  const auto objective = objectives().at(options.text("objective")).make(options);
  require_outputs(*objective, options.text("objective"), *model.network);
  const auto splits = splits_of(options, *model.data, kind);
  DataAgreement(communicator, *model.data, splits, verify_data_of(options)).check();

  const auto score_all = [&] {
    ScoresBySplit all;
    for (const auto& name : splits)
      all.emplace_back(name, score(*model.network, *objective, model.data->split(name), *model.data, options,
                                   kind, place, communicator));
    return all;
  };
  ScoresBySplit scores = score_all();
  std::string text = summary_table(scores);
  if (const std::int64_t batches = options.integer("recompute-bn-statistics"); batches > 0) {
    const auto loader = split_loader(model.data->split("train"), options, true, communicator);
    recompute_bn_statistics(*model.network, *loader, batches, 0, place, communicator);
    scores = score_all();
    text =
        cat("BN statistics as stored:\n", text, "\nBN statistics estimated anew:\n", summary_table(scores));
  }
  if (!communicator.is_main()) return 0;
  std::cout << text << class_tables(scores);
  if (options.has("output")) {
    const std::filesystem::path folder(options.text("output"));
    create_folders(folder);
    write_file_atomically(folder / "metrics.json", metrics_json(scores).dump(2) + "\n");
    log::info(cat("metrics written to ", (folder / "metrics.json").string()));
  }
  return 0;
}

int run_evaluate(Invocation& invocation, const Kind& kind) {
  const auto world = std::make_shared<World>(world_options(invocation.options));
  invocation.on_failure = [world](const Failure& failure) { std::_Exit(world->fail(failure)); };
  return world->finish(run(invocation.options, *world, kind));
}

Command command(const char* name, const char* summary, const Kind& kind, int place) {
  return {name,
          summary,
          cat("isnet ", name, " --checkpoint FILE --data DIR [options]"),
          {},
          [kind] { return evaluate_options(kind); },
          [kind](Invocation& invocation) { return run_evaluate(invocation, kind); },
          place};
}

const CommandRegistration evaluation([] {
  return command("evaluate", "Score a trained network", test_splits, 40);
});
const CommandRegistration test([] {
  return command("test", "The same as evaluate, by Lightning's name", test_splits, 42);
});
const CommandRegistration validation([] {
  return command("validate", "Score a trained network on the split val", validation_split, 41);
});

}  // namespace
}  // namespace isnet::cli
