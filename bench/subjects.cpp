#include "bench/subjects.h"

#include <ATen/Parallel.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/cores.h"
#include "base/error.h"
#include "base/log.h"
#include "bench/plain_step.h"
#include "model/lrp/tape.h"
#include "model/network.h"

namespace isnet::bench {

Subjects::Subjects(std::string benchmark, const OptionValues& options)
    : benchmark_(std::move(benchmark)), options_(options) {
  rounds_.rounds = options.integer("steps");
  rounds_.warmup = options.integer("warmup");
  environment_ = {cat("OMP_NUM_THREADS=", options.integer("threads"))};
  python_.executable = options.has("python")
                           ? options.text("python")
                           : python_of_torch(reinterpret_cast<const void*>(&at::get_num_threads));
  if (python_.executable == "none") python_.unavailable = "--python none";
}

void Subjects::start_ours(std::vector<Subject>& subjects, const std::string& name, const std::string& title,
                          const std::vector<std::string>& words, std::int64_t ranks) {
  std::vector<std::string> command;
  if (ranks > 0) {
    // Ranks may be more than cores, and share them as Python's do: by no one's plan.
    command = {"mpirun", "-n", cat(ranks), "--oversubscribe", "--bind-to", "none"};
    if (::geteuid() == 0) command.emplace_back("--allow-run-as-root");
  }
  for (const auto& word :
       {std::filesystem::read_symlink("/proc/self/exe").string(), std::string("bench"), benchmark_})
    command.push_back(word);
  const auto overridden = [&words](const std::string& option) {
    return std::any_of(words.begin(), words.end(),
                       [&](const auto& word) { return word.rfind("--" + option + "=", 0) == 0; });
  };
  for (const auto& spec : options_.specs())
    if (options_.given(spec.name) && !overridden(spec.name))
      command.push_back(cat("--", spec.name, "=", options_.text(spec.name)));
  command.insert(command.end(), words.begin(), words.end());
  Subject subject{name, title, std::make_unique<Child>(title, command, environment_)};
  const Json greeting = subject.child->answer();
  if (!python_logits_.empty() && greeting.contains("logits")) compare(greeting.at("logits"));
  subjects.push_back(std::move(subject));
}

void Subjects::start_python(std::vector<Subject>& subjects, const std::string& name, const std::string& title,
                            const Json& settings) {
  if (!has_python()) return;
  Json request;
  for (const auto& spec : options_.specs()) request[spec.name] = options_.text(spec.name);
  if (!options_.has("dropout")) request["dropout"] = "0";
  const Normalization normalization = parse_normalization(options_.text("normalize"));
  request["mean"] = normalization.mean;
  request["std"] = normalization.std;
  request.update(settings);
  Subject subject{name, title, nullptr};
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
      if (greeting.at("runs") != name)
        fail(ErrorKind::internal, "bench/plain_step.py runs '", greeting.at("runs").get<std::string>(),
             "' as ", title);
      subjects.push_back(std::move(subject));
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal || !python_.version.empty()) throw;  // it is there, but wrong
    python_.unavailable = error.what();
  }
  if (!has_python()) log::warning(cat("Python is left out: ", python_.executable, ": ", python_.unavailable));
}

// Whether Python runs the same network: the same logits under the same weights.
void Subjects::compare(const std::vector<double>& ours) const {
  double largest = 0, difference = ours.size() == python_logits_.size() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < std::min(ours.size(), python_logits_.size()); ++i) {
    largest = std::max(largest, std::abs(ours[i]));
    difference = std::max(difference, std::abs(ours[i] - python_logits_[i]));
  }
  if (!(difference <= 1e-3 * largest))
    fail(ErrorKind::internal, "bench/plain_step.py computes other logits than the network '",
         options_.text("network"), "' under the same weights: it is another network, and no reference");
}

void Subjects::describe(Report& report, std::vector<std::string> first) const {
  std::string environment;
  for (const auto& variable : thread_variables(environment_)) environment += " " + variable;
  report.benchmark = benchmark_;
  report.header = std::move(first);
  for (const auto& line : {
           has_python() ? cat("Python ", python_.version, " with torch ", python_.torch)
                        : cat("no Python rows and ratios: ", python_.executable, ": ", python_.unavailable),
           cat("each variant in processes of its own, with", environment),
           cat(rounds_.rounds, " rounds after ", rounds_.warmup,
               " of warm-up; in a round each variant of a table makes one step, from top to bottom"),
       })
    report.header.push_back(line);
  report.facts = {{"torch", TORCH_VERSION},
                  {"cores", available_cores()},
                  {"environment", thread_variables(environment_)},
                  {"rounds", rounds_.rounds},
                  {"warmup", rounds_.warmup}};
  if (has_python())
    report.facts["python"] = {
        {"executable", python_.executable}, {"version", python_.version}, {"torch", python_.torch}};
  else
    report.facts["python"] = {{"executable", python_.executable}, {"unavailable", python_.unavailable}};
  for (const auto& spec : options_.specs())
    if (options_.has(spec.name)) report.facts["options"][spec.name] = options_.text(spec.name);
}

}  // namespace isnet::bench
