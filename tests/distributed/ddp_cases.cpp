// Cases of rank_programs that hold DistributedDataParallel and its options to the mean of the ranks'
// gradients.
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <cmath>
#include <optional>

#include "base/files.h"
#include "rank_network.h"

namespace isnet::testing {
namespace {

void gradients(World& world, bool as_view) {
  const Communicator communicator(world, group_options());
  Network network = make_network(1), reference = make_network(1);
  auto options = small_buckets();
  options.gradient_as_bucket_view = as_view;
  DistributedDataParallel parallel(network.ptr(), communicator, options);
  const auto first_plan = parallel.bucket_plan();
  for (std::int64_t step = 0; step < 4; ++step) {
    const auto expected = mean_gradients(communicator, *reference, loss_of(reference, step, world.rank()));
    train_step(parallel, network, step);
    require_near(gradients_of(network), expected,
                 cat("gradients of step ", step, " are the mean over ranks"));
  }
  if (world.size() == 1) return;
  require(first_plan.size() > 1, "there are several buckets");
  require(parallel.buckets_rebuilt(), "buckets were rebuilt");
}

void accumulation(World& world) {
  const Communicator communicator(world, group_options());
  Network network = make_network(1), reference = make_network(1);
  DistributedDataParallel parallel(network.ptr(), communicator, small_buckets());
  for (std::int64_t round = 0; round < 3; ++round) {
    const std::int64_t step = 10 * round;
    auto expected = mean_gradients(communicator, *reference, loss_of(reference, step, world.rank()));
    const auto others = mean_gradients(communicator, *reference, loss_of(reference, step + 1, world.rank()));
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += others[i];
    clear(*network);
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

// A run of six steps, and one that is interrupted: equal bits with the restored bucket plan.
void bucket_plan(const Communicator& communicator, std::int64_t interrupted) {
  Network whole = make_network(1), part = make_network(1), resumed = make_network(2);
  {
    DistributedDataParallel parallel(whole.ptr(), communicator, small_buckets());
    for (std::int64_t step = 0; step < 6; ++step) train_step(parallel, whole, step, 0.1);
  }
  BucketPlan plan;
  {
    DistributedDataParallel parallel(part.ptr(), communicator, small_buckets());
    for (std::int64_t step = 0; step < interrupted; ++step) train_step(parallel, part, step, 0.1);
    plan = parallel.bucket_plan();
    const at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < part->parameters().size(); ++i)
      resumed->parameters()[i].copy_(part->parameters()[i]);
  }
  DistributedDataParallel parallel(resumed.ptr(), communicator, small_buckets());
  require(communicator.world_size() == 1 || parallel.bucket_plan() != plan, "rebuilding changes the plan");
  parallel.restore_bucket_plan(plan);
  for (std::int64_t step = interrupted; step < 6; ++step) {
    train_step(parallel, resumed, step, 0.1);
    require(parallel.bucket_plan() == plan, cat("the plan stays in step ", step));
  }
  for (std::size_t i = 0; i < whole->parameters().size(); ++i)
    require(at::equal(whole->parameters()[i], resumed->parameters()[i]),
            "resumed weights are equal bit by bit");
  BucketPlan wrong{{0, 1}, {1}};
  try {
    parallel.restore_bucket_plan(wrong);
    require(communicator.world_size() == 1, "a plan of another network is refused");
  } catch (const Error& e) {
    require(e.kind() == ErrorKind::checkpoint, e.what());
  }
}

// Two branches that a step may or may not use, and a layer that none uses.
struct BranchesImpl : torch::nn::Module {
  BranchesImpl() {
    for (auto& [name, layer] : std::vector<std::pair<const char*, torch::nn::Linear*>>{
             {"trunk", &trunk}, {"left", &left}, {"right", &right}, {"spare", &spare}, {"head", &head}})
      *layer = register_module(name, torch::nn::Linear(8, 8));
    to(at::kDouble);
  }
  at::Tensor loss(std::int64_t step, int rank, bool with_left, bool with_right) {
    torch::manual_seed(static_cast<std::uint64_t>(2000 + 10 * step + rank));
    const at::Tensor x = at::rand({4, 8}, at::kDouble).requires_grad_();
    at::Tensor y = at::tanh(trunk(x));
    if (with_left) y = y + at::tanh(left(y));
    if (with_right) y = y + at::tanh(right(y));
    const at::Tensor score = head(y).square().sum();
    const at::Tensor inner = torch::autograd::grad({score}, {x}, {}, true, true)[0];
    return score + inner.square().mean();
  }
  torch::nn::Linear trunk{nullptr}, left{nullptr}, right{nullptr}, spare{nullptr}, head{nullptr};
};
TORCH_MODULE(Branches);

Branches make_branches() {
  torch::manual_seed(1);
  return Branches();
}

bool has_left(std::int64_t step, int rank) {
  return (step + rank) % 2 == 0;
}
bool has_right(std::int64_t step) {
  return step % 3 == 0;
}

void require_same_gradients(const std::vector<at::Tensor>& expected, const torch::nn::Module& network,
                            const std::string& what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const at::Tensor gradient = network.parameters()[i].grad();
    const std::string name = cat(what, ", ", network.named_parameters()[i].key());
    require(gradient.defined() == expected[i].defined(), name + ": has a gradient where some rank used it");
    if (!gradient.defined()) continue;
    const double difference = (gradient - expected[i]).abs().max().item<double>();
    require(difference < 1e-13, cat(name, ": is the mean over ranks; difference ", difference));
  }
}

// Branches come and go, on some ranks or on all, also while gradients accumulate.
void unused(const Communicator& communicator, bool as_view, bool accumulate) {
  Branches network = make_branches(), reference = make_branches();
  auto options = small_buckets();
  options.find_unused_parameters = true;
  options.gradient_as_bucket_view = as_view;
  options.bucket_cap_mb = options.first_bucket_mb = 0.0005;
  DistributedDataParallel parallel(network.ptr(), communicator, options);
  for (std::int64_t step = 0; step < 8; ++step) {
    const auto loss = [&](Branches& of, std::int64_t s) {
      return of->loss(s, communicator.rank(), has_left(s, communicator.rank()), has_right(s));
    };
    std::vector<at::Tensor> expected;
    if (accumulate) expected = mean_gradients(communicator, *reference, loss(reference, step + 100));
    const auto last = mean_gradients(communicator, *reference, loss(reference, step));
    for (std::size_t i = 0; i < last.size(); ++i) {
      if (i >= expected.size())
        expected.push_back(last[i]);
      else if (!expected[i].defined())
        expected[i] = last[i];
      else if (last[i].defined())
        expected[i] += last[i];
    }
    clear(*network);
    if (accumulate) {
      const auto quiet = parallel.no_sync();
      parallel.prepare_forward();
      parallel.backward(loss(network, step + 100));
    }
    parallel.prepare_forward();
    parallel.backward(loss(network, step));
    require_same_gradients(expected, *network, cat("step ", step));
  }
}

// Nobody said that parameters may be unused; gradients of the step before are still there.
void unused_refused(World& world) {
  const Communicator communicator(world, group_options());
  Branches network = make_branches();
  network->spare->weight.requires_grad_(false);
  network->spare->bias.requires_grad_(false);
  DistributedDataParallel parallel(network.ptr(), communicator, small_buckets());
  for (std::int64_t step = 0; step < 3; ++step) {
    network->zero_grad(/*set_to_none=*/false);
    parallel.prepare_forward();
    parallel.backward(network->loss(step, world.rank(), step < 2 || world.rank() != 1, true));
  }
}

// One layer is unused in every step; from the first step on, also when that accumulates.
void static_graph(const Communicator& communicator, bool as_view, int window) {
  Branches network = make_branches(), reference = make_branches();
  auto options = small_buckets();
  options.static_graph = true;
  options.gradient_as_bucket_view = as_view;
  options.bucket_cap_mb = options.first_bucket_mb = 0.0005;
  DistributedDataParallel parallel(network.ptr(), communicator, options);
  for (std::int64_t step = 0; step < 5; ++step) {
    std::vector<at::Tensor> expected;
    clear(*network);
    for (int part = 0; part < window; ++part) {
      const std::int64_t data = 100 * part + step;
      const auto more =
          mean_gradients(communicator, *reference, reference->loss(data, communicator.rank(), true, true));
      for (std::size_t i = 0; i < more.size(); ++i) {
        if (part == 0)
          expected.push_back(more[i]);
        else if (more[i].defined())
          expected[i] += more[i];
      }
      std::optional<DistributedDataParallel::NoSync> quiet;
      if (part + 1 < window) quiet.emplace(parallel);
      parallel.prepare_forward();
      parallel.backward(network->loss(data, communicator.rank(), true, true));
    }
    require_same_gradients(expected, *network, cat("step ", step));
    require(communicator.world_size() == 1 || parallel.buckets_rebuilt() == (step > 0),
            "buckets are laid anew after the second step");
  }
}

void static_graph_changes(World& world) {
  const Communicator communicator(world, group_options());
  Branches network = make_branches();
  auto options = small_buckets();
  options.static_graph = true;
  DistributedDataParallel parallel(network.ptr(), communicator, options);
  for (std::int64_t step = 0; step < 3; ++step) {
    parallel.prepare_forward();
    parallel.backward(network->loss(step, world.rank(), step == 2, true));
  }
}

// Gradients in 16 bits: within the bound that CommHook states, on all ranks the same bits.
void compressed(const Communicator& communicator, CommHook hook, bool as_view) {
  Network network = make_network(1, 4, at::kFloat), reference = make_network(1, 4, at::kFloat);
  auto options = small_buckets();
  options.comm_hook = hook;
  options.gradient_as_bucket_view = as_view;
  DistributedDataParallel parallel(network.ptr(), communicator, options);
  const double unit = std::ldexp(1.0, hook == CommHook::fp16 ? -11 : -8), ranks = communicator.world_size();
  const double smallest = hook == CommHook::fp16 ? std::ldexp(1.0, -25) : 0;
  for (std::int64_t step = 0; step < 3; ++step) {
    const auto own =
        torch::autograd::grad({loss_of(reference, step, communicator.rank())}, reference->parameters());
    train_step(parallel, network, step);
    double worst = 0;
    std::string bytes;
    for (std::size_t i = 0; i < own.size(); ++i) {
      const at::Tensor exact = mean_over_ranks(communicator, own[i]);
      const at::Tensor size = mean_over_ranks(communicator, own[i].abs());
      const at::Tensor sent = network->parameters()[i].grad();
      const at::Tensor allowed = ranks * unit * (1 + ranks * unit) * size + ranks * smallest + 1e-6 * size;
      const at::Tensor error = (sent.to(at::kDouble) - exact).abs();
      require((error <= allowed).all().item<bool>(),
              cat("step ", step, ": parameter ", i, " is near the mean"));
      worst = std::max(worst, (error / (size + 1e-30)).max().item<double>());
      bytes += bytes_of(sent);
    }
    require((communicator.world_size() > 1) == (worst > unit / 8), cat("gradients are rounded: ", worst));
    for (const auto& other : communicator.all_gather(sha256(bytes)))
      require(other == sha256(bytes), "gradients are bitwise equal on all ranks");
  }
}

void compressed_doubles(World& world) {
  const Communicator communicator(world, group_options());
  Network network = make_network(1);
  DistributedDataParallelOptions options;
  options.comm_hook = CommHook::bf16;
  const DistributedDataParallel parallel(network.ptr(), communicator, options);
}

// Gradients stay in the buckets, whether zero_grad() drops them or fills them with zeros.
void cleared_views(World& world) {
  const Communicator communicator(world, group_options());
  for (const bool drop : {false, true}) {
    Network network = make_network(1), reference = make_network(1);
    DistributedDataParallelOptions options;
    options.gradient_as_bucket_view = true;
    DistributedDataParallel parallel(network.ptr(), communicator, options);
    const void* bucket = nullptr;
    for (std::int64_t step = 0; step < 4; ++step) {
      network->zero_grad(drop);
      parallel.prepare_forward();
      parallel.backward(loss_of(network, step, world.rank()));
      const auto expected = mean_gradients(communicator, *reference, loss_of(reference, step, world.rank()));
      require_near(gradients_of(network), expected, cat("gradients of step ", step));
      if (world.size() == 1) continue;
      for (const auto& parameter : network->parameters()) {
        const void* place = parameter.grad().storage().data();
        if (step == 1 && !bucket) bucket = place;
        require(step == 0 || place == bucket, "gradients live in the one bucket");
      }
    }
  }
}

// While gradients accumulate nothing is sent; then each bucket once.
void silence(World& world) {
  const Communicator communicator(world, group_options());
  Network network = make_network(1);
  auto options = small_buckets();
  options.broadcast_buffers = true;
  DistributedDataParallel parallel(network.ptr(), communicator, options);
  train_step(parallel, network, 0);
  if (world.size() == 1) return;
  const auto backend = communicator.process_group()->getBackend(c10::DeviceType::CPU);
  const auto sent = [&] { return backend->getSequenceNumberForGroup(); };
  auto before = sent();
  {
    const auto quiet = parallel.no_sync();
    for (std::int64_t step = 1; step < 5; ++step) train_step(parallel, network, step);
  }
  require(sent() == before, "nothing is sent while gradients accumulate");
  parallel.prepare_forward();
  require(sent() > before, "buffers are sent");
  before = sent();
  parallel.backward(loss_of(network, 5, world.rank()));
  require(sent() - before == parallel.bucket_plan().size(),
          cat("each bucket is sent once: ", sent() - before));
}

}  // namespace

RankCases ddp_cases() {
  return {{"gradients", [](World& world) { gradients(world, false); }},
          {"gradients-as-views", [](World& world) { gradients(world, true); }},
          {"accumulation", accumulation},
          {"bucket-plan",
           [](World& world) {
             const Communicator communicator(world, group_options());
             for (const std::int64_t interrupted : {1, 3}) bucket_plan(communicator, interrupted);
           }},
          {"unused",
           [](World& world) {
             const Communicator communicator(world, group_options());
             for (const bool as_view : {false, true})
               for (const bool accumulate : {false, true}) unused(communicator, as_view, accumulate);
           }},
          {"unused-refused", unused_refused},
          {"static-graph",
           [](World& world) {
             const Communicator communicator(world, group_options());
             for (const bool as_view : {false, true})
               for (const int window : {1, 3}) static_graph(communicator, as_view, window);
           }},
          {"static-graph-changes", static_graph_changes},
          {"compressed",
           [](World& world) {
             const Communicator communicator(world, group_options());
             for (const auto hook : {CommHook::fp16, CommHook::bf16})
               for (const bool as_view : {false, true}) compressed(communicator, hook, as_view);
           }},
          {"compressed-doubles", compressed_doubles},
          {"cleared-views", cleared_views},
          {"silence", silence}};
}

}  // namespace isnet::testing
