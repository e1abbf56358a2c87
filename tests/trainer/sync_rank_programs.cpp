// What one rank does in the tests of statistics over ranks (sync_batch_norm_test.cpp starts it): a case by
// name. Each compares what the ranks computed together with what one process computes from the whole batch.
#include <ATen/ATen.h>
#include <signal.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <functional>
#include <iostream>
#include <map>

#include "distributed/distributed_data_parallel.h"
#include "model/sync_batch_norm.h"
#include "support/model.h"

namespace isnet {
namespace {

using Ranks = std::shared_ptr<const AcrossRanks>;

void require(bool condition, const std::string& what) {
  if (!condition) fail(ErrorKind::internal, "not so: ", what);
}

// Differences count by the size of the tensor, or by that of all where it is nothing but rounding.
void require_near(const at::Tensor& actual, const at::Tensor& expected, double tolerance, double floor,
                  const std::string& what) {
  const double scale = std::max(expected.abs().max().item<double>(), floor);
  const double difference = (actual - expected).abs().max().item<double>() / scale;
  require(difference <= tolerance, cat(what, ": relative difference ", difference));
}

// How many samples each rank has; of more ranks than there are, the first ones.
std::vector<std::vector<std::int64_t>> shares(int ranks) {
  if (ranks == 2) return {{3, 3}, {5, 1}, {4, 0}, {0, 4}};
  return {{2, 2, 2}, {4, 1, 2}, {3, 0, 2}};
}

struct Share {
  std::int64_t first = 0, size = 0, all = 0;

  Share(const std::vector<std::int64_t>& sizes, int rank) : size(sizes[static_cast<std::size_t>(rank)]) {
    for (std::size_t r = 0; r < sizes.size(); ++r) {
      if (static_cast<int>(r) < rank) first += sizes[r];
      all += sizes[r];
    }
  }
  at::Tensor of(const at::Tensor& whole) const { return whole.narrow(0, first, size); }
  // Turns a mean over own samples into this rank's part of a mean over ranks.
  double weight(int ranks) const { return static_cast<double>(size * ranks) / static_cast<double>(all); }
};

struct Case {
  std::string name;
  std::string network, objective;
  std::map<std::string, std::string> options;
};

std::vector<Case> cases_of_steps() {
  const std::map<std::string, std::map<std::string, std::string>> networks_of{
      {"densenet", {{"growth-rate", "4"}, {"blocks", "2,1"}, {"init-features", "6"}, {"stem", "small"}}},
      {"resnet", {{"block", "bottleneck"}, {"blocks", "1,1"}, {"widths", "4,6"}, {"stem", "small"}}},
      {"vgg", {{"layers", "4,M,6"}, {"batch-norm", "1"}, {"pool", "2,2"}, {"hidden", "8"}}}};
  std::vector<Case> cases;
  for (const auto& [network, options] : networks_of) {
    Case one{network + ", classifier", network, "classifier", options};
    one.options["dropout"] = "0.3";
    one.options["class-weights"] = "1,0.5,2";
    cases.push_back(one);
    one.objective = "isnet";
    for (const char* form : {"block", "flex"})
      for (const char* loss : {"gwrp", "activated"}) {
        one.name = cat(network, ", isnet ", form, " ", loss);
        one.options["lrp-form"] = form;
        one.options["heatmap-loss"] = loss;
        cases.push_back(one);
      }
  }
  return cases;
}

struct Model {
  std::shared_ptr<Network> network;
  std::unique_ptr<Objective> objective;

  Model(const Case& of, at::ScalarType dtype) {
    auto options = testing::model_options();
    for (const auto& [name, value] : of.options) options.set(name, value);
    torch::manual_seed(1);
    network = networks().at(of.network).make(options, 3);
    network->place(at::kCPU, dtype);
    network->train();
    objective = objectives().at(of.objective).make(options);
  }
};

Batch global_batch(std::int64_t size, at::ScalarType dtype) {
  torch::manual_seed(static_cast<std::uint64_t>(size));
  Batch batch;
  batch.images = at::rand({size, 3, 9, 10}, at::kDouble).to(dtype);
  batch.masks = at::rand({size, 1, 9, 10}, at::kDouble).gt(0.5).to(dtype);
  batch.labels = at::arange(size, at::kLong) % 3;
  batch.ids = at::arange(size, at::kLong) + 7;
  const at::Tensor weights = at::tensor({1.0, 0.5, 2.0}, at::kDouble);
  batch.mean_weight = weights.index_select(0, batch.labels).mean().item<double>();
  return batch;
}

Batch share_of(const Batch& whole, const Share& share, const Ranks& ranks) {
  Batch batch = whole;
  for (at::Tensor* tensor : {&batch.images, &batch.masks, &batch.labels, &batch.ids})
    *tensor = share.of(*tensor);
  batch.across = ranks;
  return batch;
}

void require_same_model(const Model& actual, const Model& expected, double tolerance,
                        const std::string& what) {
  double largest = 0;
  for (const auto& parameter : expected.network->parameters())
    largest = std::max(largest, parameter.grad().abs().max().item<double>());
  const auto parameters = actual.network->named_parameters(), others = expected.network->named_parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i)
    require_near(parameters[i].value().grad(), others[i].value().grad(), tolerance, 1e-3 * largest,
                 cat(what, ": gradient of ", parameters[i].key()));
  const auto buffers = actual.network->named_buffers(), statistics = expected.network->named_buffers();
  require(buffers.size() > 0, "the network has running statistics");
  for (std::size_t i = 0; i < buffers.size(); ++i)
    require_near(buffers[i].value().to(at::kDouble), statistics[i].value().to(at::kDouble), tolerance, 1e-3,
                 cat(what, ": ", buffers[i].key()));
}

// Two steps' gradients of the ranks together against those of one process with the whole batch.
void steps(World& world, at::ScalarType dtype, double tolerance) {
  const Communicator communicator(world, {});
  const Ranks ranks = across_ranks(communicator);
  for (const auto& of : cases_of_steps())
    for (const auto& sizes : shares(world.size())) {
      const Share share(sizes, world.rank());
      const std::string what = cat(of.name, ", ", testing::joined(sizes), " samples");
      Model whole(of, dtype), part(of, dtype);
      DistributedDataParallelOptions buckets;
      buckets.bucket_cap_mb = buckets.first_bucket_mb = 0.001;
      DistributedDataParallel parallel(part.network, communicator, buckets);
      for (int step = 0; step < 2; ++step) {
        for (Model* model : {&whole, &part})
          for (auto& parameter : model->network->parameters()) parameter.mutable_grad() = at::Tensor();
        const Batch batch = global_batch(share.all + step * world.size(), dtype);
        const Share own = step == 0 ? share : Share(shares(world.size())[0], world.rank());
        const Batch all = step == 0 ? batch : share_of(batch, Share({own.all}, 0), nullptr);
        const at::Tensor expected = whole.objective->compute(*whole.network, all).total;
        expected.backward();
        parallel.prepare_forward();
        const at::Tensor loss = part.objective->compute(*part.network, share_of(all, own, ranks)).total;
        parallel.backward(loss * own.weight(world.size()));
        const double together =
            communicator.sum(own.size == 0 ? 0.0 : loss.item<double>() * own.weight(world.size())) /
            world.size();
        require_near(at::tensor(together, at::kDouble), expected.detach().to(at::kDouble), tolerance, 1e-3,
                     cat(what, ": the loss"));
        require_same_model(part, whole, tolerance, what);
        parallel.verify_same_model();  // running statistics bit by bit
      }
    }
  require(ranks.use_count() == 1, "nothing of a step is left behind");
}

// Values that are not finite, on one rank only, are replaced by those of the whole batch.
void losses(World& world) {
  const Communicator communicator(world, {});
  const Ranks ranks = across_ranks(communicator);
  for (const auto& sizes : shares(world.size()))
    for (const char* name : {"gwrp", "activated"})
      for (const bool bad : {false, true}) {
        if (bad && name == std::string("activated")) continue;
        const Share share(sizes, world.rank());
        torch::manual_seed(3);
        at::Tensor maps = at::randn({share.all, 2, 3, 6, 5}, at::kDouble);
        const at::Tensor masks = at::rand({share.all, 1, 6, 5}, at::kDouble).gt(0.6).to(at::kDouble);
        if (bad) {
          maps.index_put_({0, 1, 2}, std::numeric_limits<double>::quiet_NaN());
          maps.index_put_({0, 0, 1, 2}, -std::numeric_limits<double>::infinity());
        }
        const auto loss = heatmap_losses().at(name).make(testing::model_options());
        at::Tensor one = maps.clone().requires_grad_(), own = share.of(maps).clone().requires_grad_();
        const at::Tensor expected = loss->compute(one, masks, {});
        expected.backward();
        const at::Tensor value = loss->compute(own, share.of(masks), {}, ranks.get());
        (value * share.weight(world.size()) / world.size()).backward();
        const double together =
            communicator.sum(share.size == 0 ? 0.0 : value.item<double>() * share.weight(world.size())) /
            world.size();
        const std::string what = cat(name, bad ? " with NaN" : "", ", ", testing::joined(sizes));
        require_near(at::tensor(together, at::kDouble), expected.detach(), 1e-12, 1e-6, what);
        if (share.size > 0)
          require_near(own.grad(), share.of(one.grad()), 1e-12, 1e-6, what + ": gradient by the heatmaps");
      }
}

// A module of a user's own; Norm: torch's, or that over ranks.
template <typename Norm>
struct UserNetwork : torch::nn::Module {
  template <typename Make>
  explicit UserNetwork(const Make& make) {
    torch::manual_seed(5);
    first = register_module("first", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3)));
    one = register_module("one", make(torch::nn::BatchNorm2dOptions(4).momentum(std::nullopt)));
    second = register_module("second", torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 5, 3)));
    two = register_module("two", make(torch::nn::BatchNorm2dOptions(5).eps(1e-3).momentum(0.3)));
    three = register_module("three", make(torch::nn::BatchNorm2dOptions(5).affine(false)));
    head = register_module("head", torch::nn::Linear(5, 3));
    to(at::kDouble);
    at::NoGradGuard no_grad;
    for (auto& parameter : this->parameters()) parameter.add_(0.3 * at::randn_like(parameter));
  }
  at::Tensor forward(const at::Tensor& x) {
    at::Tensor y = at::silu(one(first(x)));
    y = three(at::silu(two(second(y))));
    return head(at::silu(y).mean({2, 3}));
  }
  torch::nn::Conv2d first{nullptr}, second{nullptr};
  Norm one{nullptr}, two{nullptr}, three{nullptr};
  torch::nn::Linear head{nullptr};
};

// Penalties on gradients by the pixels and by the parameters: their gradients are second derivatives. `n`:
// samples of all ranks; `sum`: over ranks. Returns this rank's part of a sum over ranks.
template <typename Net, typename SumOverRanks>
at::Tensor penalised_loss(Net& network, const at::Tensor& images, const at::Tensor& labels, std::int64_t n,
                          int ranks, const SumOverRanks& sum) {
  const at::Tensor x = images.detach().clone().requires_grad_();
  const at::Tensor logits = network.forward(x);
  const at::Tensor loss =
      at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum) / static_cast<double>(n);
  const auto parameters = network.parameters();
  auto inputs = parameters;
  inputs.push_back(x);
  const auto gradients = torch::autograd::grad({loss}, inputs, {}, /*retain_graph=*/true,
                                               /*create_graph=*/true);
  at::Tensor norm = at::zeros({}, at::kDouble);
  for (std::size_t i = 0; i < parameters.size(); ++i) norm = norm + sum(gradients[i]).square().sum();
  return loss + 10 * gradients.back().square().sum() + norm.sqrt() / ranks;
}

void library(World& world) {
  const Communicator communicator(world, {});
  const Ranks ranks = across_ranks(communicator);
  for (const auto& sizes : shares(world.size())) {
    const Share share(sizes, world.rank());
    torch::manual_seed(11);
    const at::Tensor images = at::rand({share.all, 3, 7, 8}, at::kDouble);
    const at::Tensor labels = at::arange(share.all, at::kLong) % 3;
    UserNetwork<torch::nn::BatchNorm2d> whole(
        [](const auto& options) { return torch::nn::BatchNorm2d(options); });
    UserNetwork<SyncBatchNorm2d> part([&](const auto& options) { return SyncBatchNorm2d(ranks, options); });
    for (int step = 0; step < 2; ++step) {  // running means over batches and running averages
      whole.zero_grad();
      part.zero_grad();
      const at::Tensor expected =
          penalised_loss(whole, images, labels, share.all, 1, [](const at::Tensor& x) { return x; });
      expected.backward();
      const at::Tensor loss =
          penalised_loss(part, share.of(images), share.of(labels), share.all, world.size(),
                         [&](const at::Tensor& x) { return ranks->sum(x); });
      loss.backward();
      const std::string what = cat(testing::joined(sizes), " samples");
      require_near(ranks->sum(loss.detach()), expected.detach(), 1e-11, 1e-6, what + ": the loss");
      double largest = 0;
      for (const auto& parameter : whole.parameters())
        largest = std::max(largest, parameter.grad().abs().max().item<double>());
      for (const auto& entry : part.named_parameters())
        require_near(ranks->sum(entry.value().grad()), whole.named_parameters()[entry.key()].grad(), 1e-10,
                     1e-3 * largest, cat(what, ": gradient of ", entry.key()));
      for (const auto& entry : part.named_buffers())
        require_near(entry.value().to(at::kDouble), whole.named_buffers()[entry.key()].to(at::kDouble), 1e-12,
                     1e-6, cat(what, ": ", entry.key()));
    }
    whole.eval();
    part.eval();
    require_near(part.forward(images), whole.forward(images), 1e-12, 1e-6, "eval mode");
  }
}

const std::map<std::string, std::function<void(World&)>>& cases() {
  static const auto small = [] { return torch::nn::BatchNorm2dOptions(2); };
  static const auto connect = [](World& world) {
    ProcessGroupOptions options;
    options.timeout = std::chrono::seconds(4);
    return across_ranks(Communicator(world, options));
  };
  static const std::map<std::string, std::function<void(World&)>> all{
      {"steps64", [](World& world) { steps(world, at::kDouble, 1e-10); }},
      {"steps32", [](World& world) { steps(world, at::kFloat, 2e-3); }},
      {"losses", losses},
      {"library", library},
      {"one-value",
       [](World& world) {
         SyncBatchNorm2d norm(connect(world), small());
         norm(at::ones({world.is_main() ? 1 : 0, 2, 1, 1}));
       }},
      {"three-dimensions",
       [](World& world) {
         SyncBatchNorm2d norm(connect(world), small());
         norm(at::ones({2, 2, 1}));
       }},
      {"no-group", [](World&) { across_ranks(c10::intrusive_ptr<c10d::ProcessGroup>()); }},
      {"hanging-forward",
       [](World& world) {
         SyncBatchNorm2d norm(connect(world), small());
         if (!world.is_main()) ::raise(SIGSTOP);
         norm(at::ones({2, 2, 3, 3}));
       }},
      {"hanging-backward",
       [](World& world) {
         SyncBatchNorm2d norm(connect(world), small());
         const at::Tensor out = norm(at::rand({2, 2, 3, 3}).requires_grad_());
         if (!world.is_main()) ::raise(SIGSTOP);
         out.square().sum().backward();
       }},
  };
  return all;
}

int run(const std::string& name) {
  const auto failed = [](const std::exception& e, ErrorKind kind) {
    std::cerr << cat("isnet: ", e.what(), "\n") << std::flush;
    return World::fail(exit_status(kind));
  };
  try {
    World world(WorldOptions{0, 1});
    cases().at(name)(world);
    return world.finish(0);
  } catch (const Error& e) {
    return failed(e, e.kind());
  } catch (const std::exception& e) {
    return failed(e, ErrorKind::internal);
  }
}

}  // namespace
}  // namespace isnet

int main(int argc, char** argv) {
  return isnet::run(argc > 1 ? argv[1] : "");
}
