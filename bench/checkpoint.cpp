// isnet bench checkpoint: what a checkpoint costs the steps around it, written at once and in the background.
#include <torch/version.h>

#include <chrono>
#include <filesystem>
#include <iostream>

#include "base/cores.h"
#include "base/error.h"
#include "base/log.h"
#include "bench/benchmark.h"
#include "bench/scratch.h"
#include "bench/subjects.h"
#include "bench/variant.h"
#include "trainer/checkpoint_writer.h"

namespace isnet::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<OptionGroup> checkpoint_options() {
  return {{"Checkpoints",
           {integer_option("checkpoint-interval", "4", "checkpoint: steps between two of them", 1, 1000000)},
           {}}};
}

// Steps with a checkpoint after the first of them, as the trainer writes it.
class SavedSteps {
 public:
  explicit SavedSteps(OptionValues& options)
      : interval_(options.integer("checkpoint-interval")),
        saves_(options.text("variant") != "unsaved"),
        folder_(options.text("scratch")),
        step_(options, network_of(options), make_batch(options)),
        writer_({.background = options.text("variant") == "background"}) {
    step_.step();  // the optimiser has its state
    save();        // and the writer its memory
    rest();
  }

  std::int64_t file_bytes() const { return static_cast<std::int64_t>(std::filesystem::file_size(path_)); }

  /// Of one step, on average.
  double steps() {
    const auto begin = Clock::now();
    for (std::int64_t i = 0; i < interval_; ++i) {
      step_.step();
      if (i == 0 && saves_) save();
    }
    return seconds_since(begin) / static_cast<double>(interval_);
  }
  /// For how long training stands still for a checkpoint.
  double stall() {
    step_.step();
    const auto begin = Clock::now();
    save();
    return seconds_since(begin);
  }
  /// Between requests nothing happens.
  void rest() {
    for (const auto& outcome : writer_.wait())
      if (!outcome.written) fail(ErrorKind::runtime, path_.string(), ": could not be written (see above)");
    step_.prepare();
  }

 private:
  void save() { writer_.save(path_, step_.checkpoint()); }

  std::int64_t interval_;
  bool saves_;
  Scratch folder_;
  std::filesystem::path path_ = folder_.path() / "last.ckpt";
  TrainingStep step_;
  CheckpointWriter writer_;
};

void serve(OptionValues& options) {
  settle_variant(options);
  SavedSteps steps(options);
  say({{"file_bytes", steps.file_bytes()}});
  double cpu = cpu_seconds();
  auto end = Clock::now();
  for (std::string request; std::getline(std::cin, request);) {
    const double idle_cpu = cpu_seconds() - cpu, idle_wall = seconds_since(end);
    const double seconds = request == "stall" ? steps.stall() : steps.steps();
    steps.rest();
    say({{"seconds", seconds},
         {"peak_bytes", peak_bytes()},
         {"idle_cpu", idle_cpu},
         {"idle_wall", idle_wall}});
    cpu = cpu_seconds();
    end = Clock::now();
  }
}

class CheckpointBenchmark {
 public:
  explicit CheckpointBenchmark(const OptionValues& options)
      : options_(options), processes_("checkpoint", options) {}

  Report run() {
    log::info("measuring steps with and without checkpoints");
    std::vector<Subject> subjects;
    for (const auto& [variant, title] : {std::pair<std::string, std::string>{"unsaved", "no checkpoint"},
                                         {"foreground", "training waits for it"},
                                         {"background", "in the background"}})
      processes_.start_ours(subjects, variant, title,
                            {cat("--variant=", variant), cat("--num-classes=", classes())});
    Group steps = measure(cat("a step, one checkpoint in ", options_.text("checkpoint-interval")), subjects,
                          processes_.rounds());
    steps.add_ratio("training waits / no checkpoint", "foreground", "unsaved", 1);
    steps.add_ratio("in the background / no checkpoint", "background", "unsaved", 1);
    report_.groups.push_back(std::move(steps));
    report_.groups.push_back(stalls(subjects));
    const std::string side = options_.text("image-size");
    processes_.describe(
        report_, {cat(options_.text("network"), ", ", options_.text("batch-size"), " images of ", side, "×",
                      side, ", ", options_.text("optimizer"), ", ", options_.text("threads"), " of ",
                      available_cores(), " cores; torch ", TORCH_VERSION)});
    return std::move(report_);
  }

 private:
  // Subjects but for the first, which saves nothing.
  Group stalls(const std::vector<Subject>& subjects) const {
    Group group;
    group.title = "for how long a checkpoint stops the training";
    std::vector<std::function<double()>> asks;
    for (std::size_t i = 1; i < subjects.size(); ++i) {
      Row row;
      row.name = subjects[i].name;
      row.title = subjects[i].title;
      group.rows.push_back(std::move(row));
    }
    for (std::size_t i = 1; i < subjects.size(); ++i)
      asks.push_back([&subjects, &group, i] {
        const Json answer = subjects[i].child->ask("stall");
        group.rows[i - 1].peak_bytes = answer.at("peak_bytes");
        return answer.at("seconds").get<double>();
      });
    const auto seconds = run_rounds(asks, processes_.rounds());
    for (std::size_t i = 0; i < seconds.size(); ++i) group.rows[i].seconds = seconds[i];
    group.add_ratio("in the background / training waits", "background", "foreground", 1);
    return group;
  }

  std::string classes() const { return options_.has("num-classes") ? options_.text("num-classes") : "3"; }

  const OptionValues& options_;
  Subjects processes_;
  Report report_;
};

int run_checkpoint(cli::Invocation& invocation) {
  OptionValues& options = invocation.options;
  if (options.has("variant")) {
    log::configure({log::Level::warning, ""});
    return answering([&] { serve(options); });
  }
  if (!options.given("python")) options.set("python", "none");  // has no part in this
  return measure_alone(invocation, "checkpoint", [&] { return CheckpointBenchmark(options).run(); });
}

const Registration<Benchmark> registration(
    benchmarks(), {"checkpoint",
                   "what a checkpoint costs the steps around it, in the background and without",
                   {},
                   {checkpoint_options, run_checkpoint}});

}  // namespace
}  // namespace isnet::bench
