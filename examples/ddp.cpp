// Data-parallel training of a module of your own. As one process: ./ddp; on ranks: mpirun -n 4 ./ddp
#include <torch/nn.h>
#include <torch/optim/adam.h>

#include <exception>
#include <iostream>

#include "distributed/distributed_data_parallel.h"

struct RegressionImpl : torch::nn::Module {
  torch::nn::Linear hidden{register_module("hidden", torch::nn::Linear(8, 64))};
  torch::nn::Linear head{register_module("head", torch::nn::Linear(64, 1))};
  at::Tensor forward(const at::Tensor& x) { return head(at::tanh(hidden(x))); }
};
TORCH_MODULE(Regression);

void train(isnet::World& world) {
  const isnet::Communicator communicator(world, {});  // Gloo, or NCCL for CUDA
  torch::manual_seed(static_cast<std::uint64_t>(world.rank()));
  Regression network;  // other values on each rank, until …
  isnet::DistributedDataParallelOptions options;
  options.gradient_as_bucket_view = true;
  isnet::DistributedDataParallel parallel(network.ptr(), communicator, options);  // … all have rank 0's
  torch::optim::Adam optimizer(network->parameters(), 0.01);

  double first = 0, last = 0;
  for (int step = 0; step < 200; ++step) {
    const at::Tensor x = at::rand({32, 8});  // this rank's share of the batch
    const at::Tensor y = x.sin().sum(1, /*keepdim=*/true);
    parallel.prepare_forward();
    const at::Tensor loss = (network->forward(x) - y).square().mean();
    network->zero_grad();
    parallel.backward(loss);  // gradients are the mean over all ranks now
    optimizer.step();
    last = communicator.sum(loss.item<double>()) / communicator.world_size();
    if (step == 0) first = last;
  }
  parallel.verify_same_model();  // bit by bit
  if (communicator.is_main())
    std::cout << communicator.world_size() << " rank(s): loss from " << first << " to " << last << std::endl;
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
