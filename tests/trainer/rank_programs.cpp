// What one rank does in the tests of distribution (distributed_test.cpp starts it): a case by name. Ends as
// the real program does: errors to stderr with their exit status, all ranks together where they failed alike.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <signal.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>

#include "base/error.h"
#include "trainer/distributed/distributed_data_parallel.h"

namespace isnet {
namespace {

// Convolutions, BN and a loss with a gradient inside: small, but of several buckets.
struct NetworkImpl : torch::nn::Module {
  explicit NetworkImpl(std::int64_t classes = 4) {
    first = register_module("first", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 16, 3).padding(1)));
    norm = register_module("norm", torch::nn::BatchNorm2d(16));
    second = register_module("second", torch::nn::Conv2d(torch::nn::Conv2dOptions(16, 32, 3).padding(1)));
    head = register_module("head", torch::nn::Linear(32, classes));
    to(at::kDouble);
  }
  at::Tensor forward(at::Tensor x) {
    x = at::relu(norm(first(x)));
    return head(at::relu(second(x)).mean({2, 3}));
  }
  torch::nn::Conv2d first{nullptr}, second{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
  torch::nn::Linear head{nullptr};
};
TORCH_MODULE(Network);

Network make_network(std::uint64_t seed, std::int64_t classes = 4) {
  torch::manual_seed(seed);
  return Network(classes);
}

// Buckets so small that this network has several: some tens of KiB.
DistributedDataParallelOptions small_buckets() {
  DistributedDataParallelOptions options;
  options.bucket_cap_mb = 0.02;
  options.first_bucket_mb = 0.005;
  return options;
}

// Cross-entropy plus a penalty on the gradient of the input, different on every rank and in every step.
at::Tensor loss_of(Network& network, std::int64_t step, int rank) {
  torch::manual_seed(static_cast<std::uint64_t>(1000 + 10 * step + rank));
  const at::Tensor x = at::rand({4, 3, 12, 12}, at::kDouble).requires_grad_();
  const at::Tensor y = at::randint(4, {4}, at::kLong);
  const at::Tensor logits = network->forward(x);
  const at::Tensor inner =
      torch::autograd::grad({logits.sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
  return at::cross_entropy_loss(logits, y) + (inner * x).abs().log1p().mean();
}

void require(bool condition, const std::string& what) {
  if (!condition) fail(ErrorKind::internal, "not so: ", what);
}

void clear(Network& network) {
  for (auto& parameter : network->parameters()) parameter.mutable_grad() = at::Tensor();
}

std::vector<at::Tensor> gradients_of(Network& network) {
  std::vector<at::Tensor> result;
  for (const auto& parameter : network->parameters()) result.push_back(parameter.grad().clone());
  return result;
}

// The mean over ranks of the gradients of a loss, without DistributedDataParallel.
std::vector<at::Tensor> mean_gradients(const Communicator& communicator, Network& network,
                                       const at::Tensor& loss) {
  auto gradients = torch::autograd::grad({loss}, network->parameters());
  for (auto& gradient : gradients) {
    gradient = gradient.contiguous();
    std::vector<double> values(gradient.data_ptr<double>(), gradient.data_ptr<double>() + gradient.numel());
    communicator.all_reduce_sum(values);
    gradient = at::tensor(values, at::kDouble).view(gradient.sizes()) / communicator.world_size();
  }
  return gradients;
}

void require_near(const std::vector<at::Tensor>& left, const std::vector<at::Tensor>& right,
                  const std::string& what) {
  double worst = 0;
  for (std::size_t i = 0; i < left.size(); ++i)
    worst = std::max(worst, (left[i] - right[i]).abs().max().item<double>());
  require(worst < 1e-14, cat(what, ": largest difference ", worst));
}

void train_step(DistributedDataParallel& parallel, Network& network, std::int64_t step, double rate = 0) {
  clear(network);
  parallel.prepare_forward();
  parallel.backward(loss_of(network, step, parallel.communicator().rank()));
  at::NoGradGuard no_grad;
  for (auto& parameter : network->parameters()) parameter.sub_(parameter.grad(), rate);
}

void gradients(World& world, bool as_view) {
  const Communicator communicator(world, {});
  Network network = make_network(1), reference = make_network(1);
  auto options = small_buckets();
  options.gradient_as_bucket_view = as_view;
  DistributedDataParallel parallel(network.ptr(), communicator, options);
  const auto first_plan = parallel.bucket_plan();
  for (std::int64_t step = 0; step < 4; ++step) {
    const auto expected = mean_gradients(communicator, reference, loss_of(reference, step, world.rank()));
    train_step(parallel, network, step);
    require_near(gradients_of(network), expected,
                 cat("gradients of step ", step, " are the mean over ranks"));
  }
  if (world.size() == 1) return;
  require(first_plan.size() > 1, "there are several buckets");
  require(parallel.buckets_rebuilt(), "buckets were rebuilt");
}

void accumulation(World& world) {
  const Communicator communicator(world, {});
  Network network = make_network(1), reference = make_network(1);
  DistributedDataParallel parallel(network.ptr(), communicator, small_buckets());
  for (std::int64_t round = 0; round < 3; ++round) {
    const std::int64_t step = 10 * round;
    auto expected = mean_gradients(communicator, reference, loss_of(reference, step, world.rank()));
    const auto others = mean_gradients(communicator, reference, loss_of(reference, step + 1, world.rank()));
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += others[i];
    clear(network);
    for (const std::int64_t part : {0, 1}) {
      std::optional<DistributedDataParallel::NoSync> quiet;
      if (part == 0) quiet.emplace(parallel);
      parallel.prepare_forward();
      const at::Tensor loss = loss_of(network, step + part, world.rank());
      parallel.prepare_backward(loss);
      loss.backward();
      parallel.finish_backward();
    }
    require_near(gradients_of(network), expected, cat("accumulated gradients of round ", round));
  }
}

void equalised(World& world) {
  const Communicator communicator(world, {});
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
  const Communicator communicator(world, {});
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

// A run of six steps, and one that is interrupted after three: equal bits with the restored bucket plan.
void bucket_plan(World& world) {
  const Communicator communicator(world, {});
  Network whole = make_network(1), part = make_network(1), resumed = make_network(2);
  {
    DistributedDataParallel parallel(whole.ptr(), communicator, small_buckets());
    for (std::int64_t step = 0; step < 6; ++step) train_step(parallel, whole, step, 0.1);
  }
  BucketPlan plan;
  {
    DistributedDataParallel parallel(part.ptr(), communicator, small_buckets());
    for (std::int64_t step = 0; step < 3; ++step) train_step(parallel, part, step, 0.1);
    plan = parallel.bucket_plan();
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < part->parameters().size(); ++i)
      resumed->parameters()[i].copy_(part->parameters()[i]);
  }
  DistributedDataParallel parallel(resumed.ptr(), communicator, small_buckets());
  require(world.size() == 1 || parallel.bucket_plan() != plan, "rebuilding changes the plan");
  parallel.restore_bucket_plan(plan);
  for (std::int64_t step = 3; step < 6; ++step) {
    train_step(parallel, resumed, step, 0.1);
    require(parallel.bucket_plan() == plan, cat("the plan stays in step ", step));
  }
  for (std::size_t i = 0; i < whole->parameters().size(); ++i)
    require(at::equal(whole->parameters()[i], resumed->parameters()[i]),
            "resumed weights are equal bit by bit");
  BucketPlan wrong{{0, 1}, {1}};
  try {
    parallel.restore_bucket_plan(wrong);
    require(world.size() == 1, "a plan of another network is refused");
  } catch (const Error& e) {
    require(e.kind() == ErrorKind::checkpoint, e.what());
  }
}

void metrics(World& world) {
  const Communicator communicator(world, {});
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
  const Communicator communicator(world, {});
  const std::string options = cat("batch-size = 8\nlr = ", world.rank() == 1 ? 0.2 : 0.1, "\n");
  check_same_on_all_ranks(communicator, {{"torch", "2"}, {"options", options}});
}

void different_networks(World& world) {
  const Communicator communicator(world, {});
  Network network = make_network(1, world.rank() == 1 ? 5 : 4);
  const DistributedDataParallel parallel(network.ptr(), communicator);
}

// One rank ends, in some way, in the middle of a training; the others wait for it in a collective.
void interrupted(World& world, const std::function<void()>& end) {
  ProcessGroupOptions options;
  options.timeout = std::chrono::seconds(4);
  const Communicator communicator(world, options);
  Network network = make_network(1);
  DistributedDataParallel parallel(network.ptr(), communicator, small_buckets());
  for (std::int64_t step = 0; step < 1000; ++step) {
    if (step == 3 && world.rank() == 1) end();
    train_step(parallel, network, step);
  }
}

void place(World& world) {
  std::cout << cat("rank ", world.rank(), " of ", world.size(), ", local ", world.local_rank(), " of ",
                   world.local_size(), ", launched ", world.launched(), ", threads ", at::get_num_threads(),
                   "\n")
            << std::flush;
}

const std::map<std::string, std::function<void(World&)>>& cases() {
  static const std::map<std::string, std::function<void(World&)>> all{
      {"gradients", [](World& world) { gradients(world, false); }},
      {"gradients-as-views", [](World& world) { gradients(world, true); }},
      {"accumulation", accumulation},
      {"equalised", equalised},
      {"buffers", buffers},
      {"bucket-plan", bucket_plan},
      {"metrics", metrics},
      {"different-options", different_options},
      {"different-networks", different_networks},
      {"place", place},
      {"connect", [](World& world) { Communicator(world, {}).barrier(); }},
      {"killed", [](World& world) { interrupted(world, [] { ::raise(SIGKILL); }); }},
      {"hanging", [](World& world) { interrupted(world, [] { ::raise(SIGSTOP); }); }},
      {"lone-failure",
       [](World& world) {
         interrupted(world, [] { fail(ErrorKind::data, "shard-00000.h5 is cut in half"); });
       }},
      {"stopped", [](World&) {}},
  };
  return all;
}

int run(const std::string& name, int master_port) {
  const auto failed = [](const std::exception& e, ErrorKind kind) {
    std::cerr << cat("isnet: ", e.what(), "\n") << std::flush;
    return World::fail(exit_status(kind));
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
