// isnet bench step: a plain step, ISNet's steps and explanations against Python's plain step and forward
// pass.
#include "bench/subjects.h"
#include "bench/variant.h"

#include <torch/version.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/cores.h"
#include "base/error.h"
#include "base/log.h"
#include "bench/benchmark.h"
#include "bench/rounds.h"
#include "model/lrp/selection.h"
#include "run/model_options.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/options.h"

namespace isnet::bench {
namespace {

constexpr std::int64_t selection_classes = 3;
const std::vector<std::string> all_parts{"plain", "isnet", "selections", "explain"};

// Options that every variant sets for itself.
const std::vector<std::string> own_of_variants{"objective", "heatmaps", "num-classes"};

OptionSpec parts_option() {
  std::string known;
  for (const auto& part : all_parts) known += (known.empty() ? "" : ",") + part;
  OptionSpec spec = text_option("parts", known, "NAME,NAME", "What to measure");
  spec.refusal = [known](const std::string& text) -> std::string {
    std::istringstream parts(text + ",");
    std::string part;
    while (std::getline(parts, part, ','))
      if (std::find(all_parts.begin(), all_parts.end(), part) == all_parts.end()) return "some of " + known;
    return "";
  };
  return spec;
}

std::vector<OptionGroup> step_options() {
  std::vector<OptionSpec> own{
      parts_option(),
      integers_option("classes", "1,3,10", "step: numbers of classes of the ISNet steps and explanations", 1),
      integer_option("image-size", "224", "Height and width of the images", 1, 65536),
      integer_option("batch-size", "4", "Images of a step", 1),
      integer_option("threads", "2", "Threads of each process", 1, 4096),
      integer_option("steps", "7", "Timed steps of each variant, one a round", 1, 1000000),
      integer_option("warmup", "2", "Rounds before those", 0, 1000000),
      integer_option("seed", "0", "Seed of weights, images and draws", 0),
      text_option("python", "", "FILE",
                  "Python with torch (default: that of the torch in use, else python3); none: leave it out"),
      choice_option("variant", "",
                    "Run this one alone, a step for each line 'step' on stdin: what a benchmark starts",
                    {"plain", "isnet", "forward", "explain", "ddp", "ddp-gloo", "independent", "fit", "bare",
                     "unsaved", "foreground", "background", "system"})};
  for (auto& option : device_option_specs())
    if (option.name == "precision") own.push_back(std::move(option));
  std::vector<OptionGroup> groups{{"Steps", std::move(own), {}}};
  for (auto& group : model_option_groups()) groups.push_back(std::move(group));
  groups.push_back({"Optimiser", optimizer_options(), {}});
  return groups;
}

class StepBenchmark {
 public:
  explicit StepBenchmark(const OptionValues& options) : options_(options), processes_("step", options) {
    for (const auto& name : own_of_variants)
      if (options.given(name))
        fail(ErrorKind::usage, "--", name,
             ": the benchmark sets it for each variant; use --classes and --parts");
    rounds_ = processes_.rounds();
    rounds_.profiled = std::min<std::int64_t>(3, rounds_.rounds);
  }

  Report run() {
    if (wanted("plain")) plain();
    std::set<std::string> done;
    if (wanted("isnet"))
      for (const std::int64_t classes : options_.integers("classes")) isnet("all", classes, done);
    if (wanted("selections"))
      for (const auto& selection : heatmap_selections().names()) isnet(selection, selection_classes, done);
    if (wanted("explain"))
      for (const std::int64_t classes : options_.integers("classes")) explain(classes);
    describe();
    return std::move(report_);
  }

 private:
  bool wanted(const std::string& part) const {
    const auto parts = options_.list("parts");
    return std::find(parts.begin(), parts.end(), part) != parts.end();
  }

  void plain() {
    log::info("measuring plain steps");
    std::vector<Subject> subjects;
    start_python(subjects, "plain", selection_classes);
    start_python(subjects, "plain", selection_classes, "channels_last");
    start_ours(subjects, "plain", "plain step", "plain", selection_classes);
    Group group = measure("plain step", subjects, rounds_);
    group.add_ratio("plain / Python's plain", "plain", "python-plain", 1);
    group.add_ratio("plain / Python's plain, channels last", "plain", "python-plain-channels_last", 1);
    report_.groups.push_back(std::move(group));
  }

  void isnet(const std::string& selection, std::int64_t classes, std::set<std::string>& done) {
    const std::string title = cat("ISNet, heatmaps ", selection, ", C = ", classes);
    if (!done.insert(title).second) return;
    log::info(cat("measuring ", title));
    std::vector<Subject> subjects;
    start_python(subjects, "plain", classes);
    start_ours(subjects, "plain", "plain step", "plain", classes);
    start_ours(subjects, "isnet", "ISNet step", "isnet", classes, selection);
    Group group = measure(title, subjects, rounds_);
    if (selection == "all") {
      const double passes = static_cast<double>(1 + classes);
      group.add_ratio("ISNet / ((1 + C) · Python's plain)", "isnet", "python-plain", passes);
      group.add_ratio("ISNet / ((1 + C) · our plain)", "isnet", "plain", passes);
    }
    group.add_ratio("ISNet / Python's plain", "isnet", "python-plain", 1);
    report_.groups.push_back(std::move(group));
  }

  void explain(std::int64_t classes) {
    log::info(cat("measuring explanations, C = ", classes));
    std::vector<Subject> subjects;
    start_python(subjects, "forward", classes);
    start_ours(subjects, "forward", "forward pass", "forward", classes);
    start_ours(subjects, "explain", "all heatmaps", "explain", classes);
    Group group = measure(cat("explain, C = ", classes), subjects, rounds_);
    const double passes = static_cast<double>(1 + classes);
    group.add_ratio("explain / ((1 + C) · Python's forward)", "explain", "python-forward", passes);
    group.add_ratio("explain / ((1 + C) · our forward)", "explain", "forward", passes);
    group.add_ratio("forward / Python's forward", "forward", "python-forward", 1);
    report_.groups.push_back(std::move(group));
  }

  void start_ours(std::vector<Subject>& subjects, const std::string& name, const std::string& title,
                  const std::string& variant, std::int64_t classes, const std::string& selection = "all") {
    processes_.start_ours(
        subjects, name, title,
        {cat("--variant=", variant), cat("--num-classes=", classes), cat("--heatmaps=", selection)});
  }

  void start_python(std::vector<Subject>& subjects, const std::string& variant, std::int64_t classes,
                    const std::string& memory_format = "contiguous") {
    const bool reference = memory_format == "contiguous";
    const std::string title = cat("Python, ", variant == "plain" ? "plain step" : "forward pass");
    processes_.start_python(
        subjects, cat("python-", variant, reference ? "" : "-" + memory_format),
        reference ? title : title + ", channels last",
        {{"variant", variant}, {"memory-format", memory_format}, {"num-classes", cat(classes)}});
  }

  void describe() {
    const std::string side = options_.text("image-size");
    processes_.describe(
        report_, {cat(options_.text("network"), ", ", options_.text("batch-size"), " images of ", side, "×",
                      side, ", precision ", options_.text("precision"), ", ", options_.text("threads"),
                      " of ", available_cores(), " cores; torch ", TORCH_VERSION)});
  }

  const OptionValues& options_;
  Subjects processes_;
  RoundOptions rounds_;
  Report report_;
};

int run_step(cli::Invocation& invocation) {
  OptionValues& options = invocation.options;
  if (options.has("variant")) return serve_variant(options);
  return measure_alone(invocation, "step", [&] { return StepBenchmark(options).run(); });
}

const Registration<Benchmark> registration(
    benchmarks(), {"step",
                   "steps and explanations on the CPU: time, memory, share of convolutions",
                   {},
                   {step_options, run_step}});

}  // namespace
}  // namespace isnet::bench
