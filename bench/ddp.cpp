// isnet bench ddp: steps on several ranks against Python's DistributedDataParallel, what sending gradients
// costs, and what the trainer adds to a step.
#include <torch/version.h>

#include "base/cores.h"
#include "base/error.h"
#include "base/log.h"
#include "bench/benchmark.h"
#include "bench/subjects.h"
#include "bench/variant.h"

namespace isnet::bench {
namespace {

// The trainer's own time is looked for in steps of about 10 ms.
const std::vector<std::string> short_step{"--network=densenet", "--growth-rate=8", "--blocks=3,9,2",
                                          "--init-features=16", "--image-size=32", "--batch-size=17",
                                          "--num-classes=3",    "--threads=1",     "--lr=0.0001"};

std::vector<OptionGroup> rank_options() {
  return {{"Ranks",
           {integers_option("ranks", "2,4", "ddp: numbers of ranks; 0: none, only the trainer's share", 0),
            switch_option("trainer", true, "ddp: measure what the trainer adds to a short step")},
           {}}};
}

class DdpBenchmark {
 public:
  explicit DdpBenchmark(const OptionValues& options) : options_(options), processes_("ddp", options) {}

  Report run() {
    for (const std::int64_t count : options_.integers("ranks"))
      if (count > 0) ranks(count);
    if (options_.flag("trainer")) trainer();
    const std::string side = options_.text("image-size");
    processes_.describe(
        report_, {cat(options_.text("network"), ", ", options_.text("batch-size"), " images of ", side, "×",
                      side, " for each rank, precision ", options_.text("precision"), ", ",
                      options_.text("threads"), " thread(s) for each rank on ", available_cores(),
                      " cores; Gloo by the loopback interface; torch ", TORCH_VERSION)});
    return std::move(report_);
  }

 private:
  void ranks(std::int64_t count) {
    log::info(cat("measuring ", count, " ranks"));
    std::vector<Subject> subjects;
    const Json settings{{"variant", "plain"},
                        {"memory-format", "contiguous"},
                        {"num-classes", classes()},
                        {"world-size", count}};
    Json without_broadcast = settings;
    without_broadcast["broadcast-buffers"] = false;
    processes_.start_python(subjects, "python-ddp", "Python, DistributedDataParallel", settings);
    processes_.start_python(subjects, "python-ddp-own-buffers", "the same, broadcast_buffers=False",
                            without_broadcast);
    start(subjects, "ddp", "DistributedDataParallel, shared memory", count);
    start(subjects, "ddp-gloo", "the same over Gloo", count);
    start(subjects, "independent", cat(count, " independent processes"), count);
    start(subjects, "alone", "one process alone", 1);
    Group group = measure(cat(count, " ranks"), subjects, processes_.rounds());
    group.add_ratio("DDP / Python's DDP", "ddp", "python-ddp", 1);
    group.add_ratio("DDP / Python's DDP, broadcast_buffers=False", "ddp", "python-ddp-own-buffers", 1);
    group.add_ratio("one alone / independent (what the cores allow)", "alone", "independent", 1);
    group.add_ratio("one alone / DDP (efficiency)", "alone", "ddp", 1);
    group.add_ratio("independent / DDP (share of what the cores allow)", "independent", "ddp", 1);
    group.add_ratio("independent / DDP over Gloo", "independent", "ddp-gloo", 1);
    group.add_ratio("DDP / DDP over Gloo", "ddp", "ddp-gloo", 1);
    report_.groups.push_back(std::move(group));
  }

  void start(std::vector<Subject>& subjects, const std::string& name, const std::string& title,
             std::int64_t count) {
    processes_.start_ours(
        subjects, name, title,
        {cat("--variant=", name == "alone" ? "independent" : name), cat("--num-classes=", classes())}, count);
  }

  void trainer() {
    log::info("measuring the trainer's share of a step");
    std::vector<Subject> subjects;
    for (const auto& [variant, title] :
         {std::pair<std::string, std::string>{"bare", "bare step"}, {"fit", "the trainer's step"}}) {
      std::vector<std::string> words = short_step;
      words.push_back("--variant=" + variant);
      processes_.start_ours(subjects, variant, title, words);
    }
    Group group =
        measure("the trainer's share: small DenseNet, 1 rank, 1 thread", subjects, processes_.rounds());
    group.add_ratio("the trainer's step / bare step", "fit", "bare", 1);
    group.add_ratio("the trainer's own part of its step", "fit-part", "fit", 1);
    report_.groups.push_back(std::move(group));
  }

  std::string classes() const { return options_.has("num-classes") ? options_.text("num-classes") : "3"; }

  const OptionValues& options_;
  Subjects processes_;
  Report report_;
};

int run_ddp(cli::Invocation& invocation) {
  OptionValues& options = invocation.options;
  if (options.has("variant")) {
    const std::string& variant = options.text("variant");
    return variant == "fit" || variant == "bare" ? serve_fit(options) : serve_ranks(options);
  }
  if (!options.given("threads")) options.set("threads", "1");
  return measure_alone(invocation, "ddp", [&] { return DdpBenchmark(options).run(); });
}

const Registration<Benchmark> registration(
    benchmarks(),
    {"ddp",
     "steps on several ranks: against Python's DistributedDataParallel, and the trainer's own time",
     {},
     {rank_options, run_ddp}});

}  // namespace
}  // namespace isnet::bench
