// A plain step on several ranks at once: with gradients averaged over them, or each for itself.
#include <chrono>
#include <iostream>

#include "base/error.h"
#include "bench/variant.h"

namespace isnet::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The largest over all ranks, in whole nanoseconds.
double slowest(const Communicator& communicator, double seconds) {
  return 1e-9 * static_cast<double>(communicator.maximum(static_cast<std::int64_t>(1e9 * seconds)));
}

// The main rank reads requests and answers; the others wait for what it passes on.
void serve(OptionValues& options, const Communicator& communicator) {
  settle_variant(options);
  const Batch batch = make_batch(options);
  const bool together = options.text("variant") != "independent", main = communicator.is_main();
  const std::vector<double> logits = main ? fingerprint(options, batch) : std::vector<double>{};
  TrainingStep step(options, network_of(options), batch, together ? communicator : Communicator());
  communicator.barrier();
  if (main) say({{"logits", logits}});
  double cpu = cpu_seconds();
  auto end = Clock::now();
  for (;;) {
    std::string request;
    if (main && !std::getline(std::cin, request)) request.clear();
    communicator.broadcast(request);
    if (request.empty()) return;
    const double idle_cpu = communicator.sum(cpu_seconds() - cpu), idle_wall = seconds_since(end);
    step.prepare();
    communicator.barrier();
    const auto begin = Clock::now();
    step.step();
    const double seconds = slowest(communicator, seconds_since(begin));
    const std::int64_t peak = communicator.maximum(peak_bytes());
    if (main)
      say({{"seconds", seconds}, {"peak_bytes", peak}, {"idle_cpu", idle_cpu}, {"idle_wall", idle_wall}});
    cpu = cpu_seconds();
    end = Clock::now();
  }
}

}  // namespace

int serve_ranks(OptionValues& options) {
  WorldOptions place;
  place.threads = static_cast<int>(options.integer("threads"));
  World world(place);
  ProcessGroupOptions group;
  group.timeout = std::chrono::hours(2);  // ranks wait while others are measured
  if (options.text("variant") == "ddp-gloo") group.backend = "gloo";
  const int status = answering([&] { serve(options, Communicator(world, group)); });
  return status == 0 ? World::finish(0) : World::fail(status);
}

}  // namespace isnet::bench
