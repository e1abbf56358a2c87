// What one rank does in the tests of distribution (distributed_test.cpp starts it): a case by name. Ends as
// the real program does: errors to stderr with their exit status, all ranks together where they failed alike.
#include <ATen/Parallel.h>
#include <signal.h>

#include <iostream>
#include <thread>

#include "rank_network.h"

namespace isnet {
namespace {

using namespace testing;

void equalised(World& world) {
  const Communicator communicator(world, group_options());
  Network network = make_network(static_cast<std::uint64_t>(world.rank())), main_network = make_network(0);
  network->norm->running_mean.fill_(world.rank());
  DistributedDataParallel parallel(network.ptr(), communicator);
  for (std::size_t i = 0; i < network->parameters().size(); ++i)
    require(at::equal(network->parameters()[i], main_network->parameters()[i]), "parameters are rank 0's");
  require(network->norm->running_mean.abs().max().item<double>() == 0, "buffers are rank 0's");
  parallel.verify_same_model();
  if (world.rank() == world.size() - 1) {
    const at::NoGradGuard no_grad;
    network->second->bias[5] *= 1 + 1e-15;
  }
  parallel.verify_same_model();
}

void buffers(World& world) {
  const Communicator communicator(world, group_options());
  for (const bool each_forward : {false, true}) {
    Network network = make_network(1);
    auto options = small_buckets();
    options.broadcast_buffers = each_forward;
    DistributedDataParallel parallel(network.ptr(), communicator, options);
    train_step(parallel, network, 0);
    const auto spread = [&] {
      const auto sum = network->norm->running_mean.sum().item<double>() * 1e6;
      return communicator.maximum(static_cast<std::int64_t>(sum)) -
             communicator.minimum(static_cast<std::int64_t>(sum));
    };
    require(spread() != 0, "statistics are each rank's own while training");
    if (each_forward)
      parallel.prepare_forward();
    else
      parallel.synchronise_buffers();
    require(spread() == 0, "statistics are rank 0's after synchronisation");
  }
}

void metrics(World& world) {
  const Communicator communicator(world, group_options());
  // Rank r saw r + 3 samples: sums are those of all samples, exactly.
  std::vector<double> sums{0, 0};
  for (int sample = 0; sample < world.rank() + 3; ++sample) {
    sums[0] += 1;
    sums[1] += (1 << world.rank()) + sample;
  }
  communicator.all_reduce_sum(sums);
  double samples = 0, values = 0;
  for (int rank = 0; rank < world.size(); ++rank)
    for (int sample = 0; sample < rank + 3; ++sample) {
      samples += 1;
      values += (1 << rank) + sample;
    }
  require(sums == std::vector<double>({samples, values}), "sums are exact");
  require(communicator.maximum(world.rank()) == world.size() - 1, "maximum");
  require(communicator.minimum(world.rank() - 5) == -5, "minimum");
  require(communicator.any(world.rank() == world.size() - 1), "any");
  require(communicator.all(true) &&
              communicator.all(world.size() == 1 || world.rank() != 0) == (world.size() == 1),
          "all");
  const auto texts = communicator.all_gather(std::string(static_cast<std::size_t>(world.rank()), 'x'));
  require(texts.size() == static_cast<std::size_t>(world.size()) &&
              texts.back().size() == static_cast<std::size_t>(world.size() - 1),
          "texts of all ranks, empty ones too");
  for (const std::string& text : {std::string(), std::string("a\0b", 3)}) {
    std::string bytes = world.is_main() ? text : "something else";
    communicator.broadcast(bytes);
    require(bytes == text, "rank 0's bytes");
  }
  communicator.barrier();
}

void different_options(World& world) {
  const Communicator communicator(world, group_options());
  const std::string options = cat("batch-size = 8\nlr = ", world.rank() == 1 ? 0.2 : 0.1, "\n");
  check_same_on_all_ranks(communicator, {{"torch", "2"}, {"options", options}});
}

void different_networks(World& world) {
  const Communicator communicator(world, group_options());
  Network network = make_network(1, world.rank() == 1 ? 5 : 4);
  const DistributedDataParallel parallel(network.ptr(), communicator);
}

// One rank ends, in some way, in the middle of a training; the others wait for it in a collective.
void interrupted(World& world, const std::function<void()>& end) {
  ProcessGroupOptions options = group_options();
  options.timeout = std::chrono::seconds(4);
  const Communicator communicator(world, options);
  Network network = make_network(1);
  DistributedDataParallel parallel(network.ptr(), communicator, small_buckets());
  for (std::int64_t step = 0; step < 1000; ++step) {
    if (step == 3 && world.rank() == 1) end();
    train_step(parallel, network, step);
  }
}

// Rank 1 does not come to the rendezvous in time.
void late(World& world) {
  ProcessGroupOptions options;
  options.startup_timeout = std::chrono::seconds(2);
  if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::minutes(1));
  const Communicator communicator(world, options);
}

void place(World& world) {
  std::cout << cat("rank ", world.rank(), " of ", world.size(), ", local ", world.local_rank(), " of ",
                   world.local_size(), ", launched ", world.launched(), ", threads ", at::get_num_threads(),
                   "\n")
            << std::flush;
}

RankCases cases() {
  RankCases all{
      {"equalised", equalised},
      {"buffers", buffers},
      {"metrics", metrics},
      {"different-options", different_options},
      {"different-networks", different_networks},
      {"late", late},
      {"place", place},
      {"connect", [](World& world) { Communicator(world, group_options()).barrier(); }},
      {"killed", [](World& world) { interrupted(world, [] { ::raise(SIGKILL); }); }},
      {"hanging", [](World& world) { interrupted(world, [] { ::raise(SIGSTOP); }); }},
      {"lone-failure",
       [](World& world) {
         interrupted(world, [] { fail(ErrorKind::data, "shard-00000.h5 is cut in half"); });
       }},
      {"stopped", [](World&) {}},
  };
  all.merge(ddp_cases());
  all.merge(exchange_cases());
  return all;
}

int run(const std::string& name, int master_port) {
  const auto failed = [](const std::exception& e, ErrorKind kind) {
    return World::fail(Failure{e, e.what(), exit_status(kind)});
  };
  try {
    World world(WorldOptions{master_port, 0});
    cases().at(name)(world);
    return world.finish(name == "stopped" ? exit_status_stopped : 0);
  } catch (const Error& e) {
    return failed(e, e.kind());
  } catch (const std::exception& e) {
    return failed(e, ErrorKind::internal);
  }
}

}  // namespace
}  // namespace isnet

int main(int argc, char** argv) {
  return isnet::run(argc > 1 ? argv[1] : "", argc > 2 ? std::atoi(argv[2]) : 0);
}
