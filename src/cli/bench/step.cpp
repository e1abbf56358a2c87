// isnet bench step: a plain step, ISNet's steps and explanations against Python's plain step and forward
// pass.
#include "cli/bench/step.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "bench/plain_step.h"
#include "cli/bench/benchmark.h"
#include "cli/bench/rounds.h"
#include "cli/model_setup.h"
#include "model/lrp/selection.h"
#include "trainer/distributed/bootstrap.h"
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
  OptionSpec spec = text_option("parts", known, "NAME,NAME", "what to measure");
  spec.refusal = [known](const std::string& text) -> std::string {
    std::istringstream parts(text + ",");
    std::string part;
    while (std::getline(parts, part, ','))
      if (std::find(all_parts.begin(), all_parts.end(), part) == all_parts.end()) return "some of " + known;
    return "";
  };
  return spec;
}

std::vector<cli::OptionGroup> step_options() {
  std::vector<OptionSpec> own{
      parts_option(),
      integers_option("classes", "1,3,10", "step: numbers of classes of the ISNet steps and explanations", 1),
      integer_option("image-size", "224", "height and width of the images", 1, 65536),
      integer_option("batch-size", "4", "images of a step", 1),
      integer_option("threads", "2", "threads of each process", 1, 4096),
      integer_option("steps", "7", "timed steps of each variant, one a round", 1, 1000000),
      integer_option("warmup", "2", "rounds before those", 0, 1000000),
      integer_option("seed", "0", "of weights, images and draws", 0),
      text_option("python", "", "FILE",
                  "Python with torch (default: that of the torch in use, else python3); none: leave it out"),
      choice_option("variant", "",
                    "run this one alone, a step for each line 'step' on stdin: what the benchmark starts",
                    {"plain", "isnet", "forward", "explain"})};
  for (auto& option : device_option_specs())
    if (option.name == "precision") own.push_back(std::move(option));
  std::vector<cli::OptionGroup> groups{{"Steps", std::move(own), {}}};
  for (auto& group : cli::model_option_groups()) groups.push_back(std::move(group));
  groups.push_back({"Optimiser", optimizer_options(), {}});
  return groups;
}

// Python's side, or why there is none.
struct Python {
  std::string executable, unavailable, version, torch;
};

class StepBenchmark {
 public:
  explicit StepBenchmark(const OptionValues& options) : options_(options) {
    for (const auto& name : own_of_variants)
      if (options.given(name))
        fail(ErrorKind::usage, "--", name,
             ": the benchmark sets it for each variant; use --classes and --parts");
    rounds_.rounds = options.integer("steps");
    rounds_.warmup = options.integer("warmup");
    rounds_.profiled = std::min<std::int64_t>(3, rounds_.rounds);
    environment_ = {cat("OMP_NUM_THREADS=", options.integer("threads"))};
    python_.executable = options.has("python")
                             ? options.text("python")
                             : python_of_torch(reinterpret_cast<const void*>(&at::get_num_threads));
    if (python_.executable == "none") python_.unavailable = "--python none";
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
    std::vector<std::string> command{"/proc/self/exe", "bench", "step"};
    for (const auto& spec : options_.specs())
      if (options_.given(spec.name)) command.push_back(cat("--", spec.name, "=", options_.text(spec.name)));
    for (const auto& word :
         {cat("--variant=", variant), cat("--num-classes=", classes), cat("--heatmaps=", selection)})
      command.push_back(word);
    Subject subject{name, title, std::make_unique<Child>(title, command, environment_)};
    const Json greeting = subject.child->answer();
    if (!subjects.empty() && python_.unavailable.empty()) compare(greeting.at("logits"));
    subjects.push_back(std::move(subject));
  }

  void start_python(std::vector<Subject>& subjects, const std::string& variant, std::int64_t classes,
                    const std::string& memory_format = "contiguous") {
    if (!python_.unavailable.empty()) return;
    const bool reference = memory_format == "contiguous";
    Json request;
    for (const auto& spec : options_.specs()) request[spec.name] = options_.text(spec.name);
    request["variant"] = variant;
    request["memory-format"] = memory_format;
    request["num-classes"] = cat(classes);
    if (!options_.has("dropout")) request["dropout"] = "0";
    const Normalization normalization = parse_normalization(options_.text("normalize"));
    request["mean"] = normalization.mean;
    request["std"] = normalization.std;
    const std::string title = cat("Python, ", variant == "plain" ? "plain step" : "forward pass");
    Subject subject{cat("python-", variant, reference ? "" : "-" + memory_format),
                    reference ? title : title + ", channels last", nullptr};
    try {
      subject.child = std::make_unique<Child>(
          title, std::vector<std::string>{python_.executable, "-c", plain_step_script, request.dump()},
          environment_);
      const Json greeting = subject.child->answer();
      if (greeting.contains("unavailable")) {
        python_.unavailable = greeting["unavailable"].get<std::string>();
      } else {
        python_.version = greeting.at("python").get<std::string>();
        python_.torch = greeting.at("torch").get<std::string>();
        python_logits_ = greeting.at("logits").get<std::vector<double>>();
        if (greeting.at("runs") != variant + " " + memory_format)
          fail(ErrorKind::internal, "bench/plain_step.py runs '", greeting.at("runs").get<std::string>(),
               "' as ", title);
        subjects.push_back(std::move(subject));
      }
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::internal || !python_.version.empty()) throw;  // it is there, but wrong
      python_.unavailable = error.what();
    }
    if (!python_.unavailable.empty())
      log::warning(cat("Python is left out: ", python_.executable, ": ", python_.unavailable));
  }

  // Whether Python runs the same network: the same logits under the same weights.
  void compare(const std::vector<double>& ours) const {
    double largest = 0, difference = ours.size() == python_logits_.size() ? 0 : HUGE_VAL;
    for (std::size_t i = 0; i < std::min(ours.size(), python_logits_.size()); ++i) {
      largest = std::max(largest, std::abs(ours[i]));
      difference = std::max(difference, std::abs(ours[i] - python_logits_[i]));
    }
    if (!(difference <= 1e-3 * largest))
      fail(ErrorKind::internal, "bench/plain_step.py computes other logits than the network '",
           options_.text("network"), "' under the same weights: it is another network, and no reference");
  }

  void describe() {
    const std::string side = options_.text("image-size");
    std::string environment;
    for (const auto& variable : thread_variables(environment_)) environment += " " + variable;
    report_.benchmark = "step";
    report_.header = {
        cat(options_.text("network"), ", ", options_.text("batch-size"), " images of ", side, "×", side,
            ", precision ", options_.text("precision"), ", ", options_.text("threads"), " of ",
            std::thread::hardware_concurrency(), " cores; torch ", TORCH_VERSION),
        python_.unavailable.empty()
            ? cat("Python ", python_.version, " with torch ", python_.torch)
            : cat("no Python rows and ratios: ", python_.executable, ": ", python_.unavailable),
        cat("each variant in a process of its own, with", environment),
        cat(rounds_.rounds, " rounds after ", rounds_.warmup,
            " of warm-up; in a round each variant of a table makes one step, from top to bottom"),
    };
    report_.facts = {{"torch", TORCH_VERSION},
                     {"cores", std::thread::hardware_concurrency()},
                     {"environment", thread_variables(environment_)},
                     {"rounds", rounds_.rounds},
                     {"warmup", rounds_.warmup}};
    if (python_.unavailable.empty())
      report_.facts["python"] = {
          {"executable", python_.executable}, {"version", python_.version}, {"torch", python_.torch}};
    else
      report_.facts["python"] = {{"executable", python_.executable}, {"unavailable", python_.unavailable}};
    for (const auto& spec : options_.specs())
      if (options_.has(spec.name)) report_.facts["options"][spec.name] = options_.text(spec.name);
  }

  const OptionValues& options_;
  RoundOptions rounds_;
  std::vector<std::string> environment_;
  Python python_;
  std::vector<double> python_logits_;
  Report report_;
};

int run_step(cli::Invocation& invocation) {
  OptionValues& options = invocation.options;
  if (options.has("variant")) return serve_variant(options);
  const auto world = std::make_shared<World>(WorldOptions{});
  invocation.on_failure = [world](int status) { std::_Exit(world->fail(status)); };
  if (world->size() > 1)
    fail(ErrorKind::usage,
         "bench step compares processes of one rank: start it without mpirun, or with -n 1");
  deliver(StepBenchmark(options).run(), options);
  return world->finish(0);
}

const Registration<Benchmark> registration(
    benchmarks(), {"step",
                   "steps and explanations on the CPU: time, memory, share of convolutions",
                   {},
                   {step_options, run_step}});

}  // namespace
}  // namespace isnet::bench
