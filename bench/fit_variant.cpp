// Steps of the trainer, with everything that it does around them, and the same steps bare.
#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/profile.h"
#include "bench/reading.h"
#include "bench/scratch.h"
#include "bench/variant.h"
#include "trainer/callback.h"
#include "trainer/callbacks/progress.h"
#include "trainer/trainer.h"

namespace isnet::bench {
namespace {

using Clock = std::chrono::steady_clock;

// So many steps answer a request, and "seconds" is one of them.
constexpr std::int64_t steps_of_a_request = 100;

// Waits for requests, and answers them when their steps are done.
class Meter : public Callback {
 public:
  void on_train_start(Trainer&) override { recorder_.emplace(0); }
  void on_train_batch_start(Trainer& trainer) override {
    if (trainer.position().global_step % steps_of_a_request != 0) return;
    if (trainer.position().global_step > 0) answer();
    ask(trainer);
  }

 private:
  void answer() {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    say({{"seconds", seconds / static_cast<double>(steps_of_a_request)},
         {"part", "of it neither network, loss, optimiser nor communication"},
         {"part_seconds", (seconds - inside() + inside_) / static_cast<double>(steps_of_a_request)},
         {"peak_bytes", peak_bytes()},
         {"idle_cpu", idle_cpu_},
         {"idle_wall", idle_wall_}});
  }
  void ask(Trainer& trainer) {
    const double cpu = cpu_seconds();
    const auto asked = Clock::now();
    std::string request;
    if (!std::getline(std::cin, request)) trainer.stop();
    idle_cpu_ = cpu_seconds() - cpu;
    inside_ = inside();
    begin_ = Clock::now();
    idle_wall_ = std::chrono::duration<double>(begin_ - asked).count();
  }

  // Of all steps so far.
  double inside() const {
    using profile::Phase;
    double sum = 0;
    for (const Phase phase : {Phase::forward, Phase::relevance, Phase::loss, Phase::backward,
                              Phase::communication, Phase::optimizer})
      sum += std::chrono::duration<double>(recorder_->time(phase)).count();
    return sum;
  }

  std::optional<profile::Recorder> recorder_;
  double idle_cpu_ = 0, idle_wall_ = 0, inside_ = 0;
  Clock::time_point begin_;
};

// Samples enough that no epoch ends in between.
std::int64_t samples_of(const OptionValues& options) {
  const std::int64_t requests = options.integer("warmup") + options.integer("steps") + 1;
  return requests * steps_of_a_request * options.integer("batch-size");
}

// What `isnet train` would have with these options and its own defaults.
OptionValues training_options(const OptionValues& options) {
  std::vector<OptionSpec> specs = trainer_option_specs();
  for (const auto& group : {optimizer_options(), schedule_options(), callback_options()})
    for (const auto& spec : group) specs.push_back(spec);
  OptionValues values(std::move(specs));
  for (const auto& spec : values.specs())
    if (options.known(spec.name) && options.has(spec.name)) values.set(spec.name, options.text(spec.name));
  values.set("max-epochs", "1");
  return values;
}

void fit(OptionValues& options) {
  settle_variant(options);
  const Scratch folder("");
  const OptionValues training = training_options(options);
  TrainingJob job;
  job.network = network_of(options);
  job.objective = objectives().at(options.text("objective")).make(options);
  NamedParameters parameters;
  for (const auto& entry : job.network->named_parameters())
    parameters.emplace_back(entry.key(), entry.value());
  job.optimizer = make_optimizer(parameters, options);
  job.learning_rate = std::make_shared<LearningRate>(training);
  job.train = open_split(write_samples(folder.path(), samples_of(options), options.integer("image-size")));
  RunFolder run(folder.path() / "run");
  run.create(false);
  std::vector<std::shared_ptr<Callback>> callbacks{std::make_shared<Meter>(),
                                                   std::make_shared<ProgressBar>(true)};
  for (auto& callback : make_callbacks({training, run})) callbacks.push_back(std::move(callback));
  TrainerOptions trainer = trainer_options(training);
  trainer.device = at::kCPU;
  say({{"ready", true}});
  Trainer(trainer, Communicator(), callbacks).fit(job);
}

void bare(OptionValues& options) {
  settle_variant(options);
  TrainingStep step(options, network_of(options), make_batch(options));
  say({{"ready", true}});
  double cpu = cpu_seconds();
  auto end = Clock::now();
  for (std::string request; std::getline(std::cin, request);) {
    const double idle_cpu = cpu_seconds() - cpu;
    const auto begin = Clock::now();
    const double idle_wall = std::chrono::duration<double>(begin - end).count();
    for (std::int64_t i = 0; i < steps_of_a_request; ++i) step.step();
    end = Clock::now();
    say({{"seconds",
          std::chrono::duration<double>(end - begin).count() / static_cast<double>(steps_of_a_request)},
         {"peak_bytes", peak_bytes()},
         {"idle_cpu", idle_cpu},
         {"idle_wall", idle_wall}});
    cpu = cpu_seconds();
  }
}

}  // namespace

int serve_fit(OptionValues& options) {
  log::configure({log::Level::warning, ""});
  return answering([&] { options.text("variant") == "fit" ? fit(options) : bare(options); });
}

}  // namespace isnet::bench
