// Data-parallel training of your own module, on data that the ranks share out among themselves.
// In one process: ./ddp. On four ranks: mpirun -n 4 ./ddp
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adam.h>

#include <exception>
#include <iostream>
#include <sstream>

#include "isnet/distributed/distributed_data_parallel.h"

struct Regression : torch::nn::Module {
  torch::nn::Linear hidden{register_module("hidden", torch::nn::Linear(8, 64))};
  torch::nn::Linear head{register_module("head", torch::nn::Linear(64, 1))};
  at::Tensor forward(const at::Tensor& x) { return head->forward(at::tanh(hidden->forward(x))); }
};

struct Samples {
  at::Tensor x;  // N×8
  at::Tensor y;  // N×1
};

// The share of this rank: samples first … first + count − 1 of 1024. A program of yours would read only these from a
// file; here every rank draws the same numbers and keeps its own.
Samples my_samples(const isnet::World& world) {
  torch::manual_seed(1);
  const at::Tensor x = at::rand({1024, 8});
  const at::Tensor y = x.sin().sum(1, /*keepdim=*/true);
  const std::int64_t count = x.size(0) / world.size(), first = world.rank() * count;
  std::ostringstream line;  // in one piece: the ranks write at the same time
  line << "rank " << world.rank() << " of " << world.size() << ": samples " << first << " to " << first + count - 1
       << "\n";
  std::cout << line.str() << std::flush;
  return {x.narrow(0, first, count), y.narrow(0, first, count)};
}

void train(isnet::World& world) {
  const isnet::Communicator communicator(world, {});  // shared memory or Gloo; NCCL for CUDA
  const Samples samples = my_samples(world);

  torch::manual_seed(static_cast<std::uint64_t>(world.rank()));  // each rank starts from other values …
  const auto network = std::make_shared<Regression>();
  isnet::DistributedDataParallelOptions options;
  options.gradient_as_bucket_view = true;
  isnet::DistributedDataParallel parallel(network, communicator, options);  // … and all get those of rank 0
  torch::optim::Adam optimizer(network->parameters(), 0.01);

  for (int step = 0; step <= 200; ++step) {
    parallel.prepare_forward();
    const at::Tensor loss = (network->forward(samples.x) - samples.y).square().mean();
    network->zero_grad();
    parallel.backward(loss);  // afterwards, gradients are the mean over all ranks
    optimizer.step();
    if (step % 50 > 0) continue;
    const double mean = communicator.sum(loss.item<double>()) / world.size();  // every rank takes part in an exchange
    if (communicator.is_main()) std::cout << "step " << step << ": loss " << mean << std::endl;
  }
  parallel.verify_same_model();  // compares the ranks' parameters bit by bit
  if (communicator.is_main()) std::cout << "all " << world.size() << " ranks have the same model" << std::endl;
}

int main() {
  try {
    isnet::World world;
    train(world);
    return isnet::World::finish(0);
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return isnet::World::fail(1);  // ends the other ranks too
  }
}
