// The network of the tests with ranks, its loss, and what the mean of gradients over ranks should be.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/nn.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/distributed_data_parallel.h"

namespace isnet::testing {

// Convolutions, BN and a loss with a gradient inside: small, but of several buckets.
struct NetworkImpl : torch::nn::Module {
  explicit NetworkImpl(std::int64_t classes, at::ScalarType type) {
    first = register_module("first", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 16, 3).padding(1)));
    norm = register_module("norm", torch::nn::BatchNorm2d(16));
    second = register_module("second", torch::nn::Conv2d(torch::nn::Conv2dOptions(16, 32, 3).padding(1)));
    head = register_module("head", torch::nn::Linear(32, classes));
    to(type);
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

inline Network make_network(std::uint64_t seed, std::int64_t classes = 4, at::ScalarType type = at::kDouble) {
  torch::manual_seed(seed);
  return Network(classes, type);
}

// Buckets so small that this network has several: some tens of KiB.
inline DistributedDataParallelOptions small_buckets() {
  DistributedDataParallelOptions options;
  options.bucket_cap_mb = 0.02;
  options.first_bucket_mb = 0.005;
  return options;
}

// Cross-entropy plus a penalty on the gradient of the input, different on every rank and in every step.
inline at::Tensor loss_of(Network& network, std::int64_t step, int rank) {
  torch::manual_seed(static_cast<std::uint64_t>(1000 + 10 * step + rank));
  const at::Tensor x =
      at::rand({4, 3, 12, 12}, network->head->weight.options().requires_grad(false)).requires_grad_();
  const at::Tensor y = at::randint(4, {4}, at::kLong);
  const at::Tensor logits = network->forward(x);
  const at::Tensor inner =
      torch::autograd::grad({logits.sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
  return at::cross_entropy_loss(logits, y) + (inner * x).abs().log1p().mean();
}

inline void require(bool condition, const std::string& what) {
  if (!condition) fail(ErrorKind::internal, "not so: ", what);
}

inline void clear(torch::nn::Module& network) {
  network.zero_grad(/*set_to_none=*/true);
}

inline std::vector<at::Tensor> gradients_of(Network& network) {
  std::vector<at::Tensor> result;
  for (const auto& parameter : network->parameters()) result.push_back(parameter.grad().clone());
  return result;
}

inline std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor packed = tensor.contiguous();
  return {static_cast<const char*>(packed.const_data_ptr()), packed.nbytes()};
}

// In double precision, without DistributedDataParallel.
inline at::Tensor mean_over_ranks(const Communicator& communicator, const at::Tensor& tensor) {
  const at::Tensor own = tensor.to(at::kDouble).contiguous();
  std::vector<double> values(own.data_ptr<double>(), own.data_ptr<double>() + own.numel());
  communicator.all_reduce_sum(values);
  return at::tensor(values, at::kDouble).view(own.sizes()) / communicator.world_size();
}

// The mean over ranks of the gradients of a loss; undefined for parameters that no rank uses.
inline std::vector<at::Tensor> mean_gradients(const Communicator& communicator,
                                              const torch::nn::Module& network, const at::Tensor& loss) {
  const auto parameters = network.parameters();
  auto gradients = torch::autograd::grad({loss}, parameters, {}, std::nullopt, false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const bool used = communicator.any(gradients[i].defined());
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(parameters[i]);
    gradients[i] = used ? mean_over_ranks(communicator, gradients[i]) : at::Tensor();
  }
  return gradients;
}

inline void require_near(const std::vector<at::Tensor>& left, const std::vector<at::Tensor>& right,
                         const std::string& what) {
  double worst = 0;
  for (std::size_t i = 0; i < left.size(); ++i)
    worst = std::max(worst, (left[i] - right[i]).abs().max().item<double>());
  require(worst < 1e-14, cat(what, ": largest difference ", worst));
}

inline void train_step(DistributedDataParallel& parallel, Network& network, std::int64_t step,
                       double rate = 0) {
  clear(*network);
  parallel.prepare_forward();
  parallel.backward(loss_of(network, step, parallel.communicator().rank()));
  at::NoGradGuard no_grad;
  for (auto& parameter : network->parameters()) parameter.sub_(parameter.grad(), rate);
}

/// With the backend that the test asks for.
inline ProcessGroupOptions group_options() {
  ProcessGroupOptions options;
  if (const char* backend = std::getenv("ISNET_TEST_BACKEND")) options.backend = backend;
  return options;
}

/// Cases by name: what a rank of them does.
using RankCases = std::map<std::string, std::function<void(World&)>>;
/// ddp_cases.cpp's.
RankCases ddp_cases();
/// exchange_cases.cpp's.
RankCases exchange_cases();

}  // namespace isnet::testing
