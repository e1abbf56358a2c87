// Trains a linear layer with DistributedDataParallel in a world of one, and touches every library.
#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/sgd.h>

#include <iostream>

#include "base/error.h"
#include "data/sampler.h"
#include "evaluation/confusion.h"
#include "model/network.h"
#include "trainer/distributed/distributed_data_parallel.h"

int main() {
  isnet::World world;
  {
    const isnet::Communicator communicator(world, {});
    const auto network = std::make_shared<torch::nn::LinearImpl>(4, 2);
    isnet::DistributedDataParallel parallel(network, communicator);
    torch::optim::SGD optimizer(network->parameters(), 0.01);
    const at::Tensor input = at::randn({8, 4});
    double first = 0, last = 0;
    for (int step = 0; step < 20; ++step) {
      parallel.prepare_forward();
      const at::Tensor loss = network->forward(input).square().mean();
      optimizer.zero_grad();
      parallel.backward(loss);
      optimizer.step();
      last = loss.item<double>();
      if (step == 0) first = last;
    }
    if (isnet::networks().names().empty()) isnet::fail(isnet::ErrorKind::internal, "no networks");
    isnet::SamplerOptions sampling;
    sampling.size = 8;
    if (isnet::Sampler(sampling).steps_per_epoch() == 0) isnet::fail(isnet::ErrorKind::internal, "no steps");
    isnet::ConfusionMatrix matrix(2);
    matrix.add(0, 0);
    matrix.add(0, 1);
    std::cout << communicator.world_size() << " rank, loss " << (last < first ? "falls" : "rises")
              << ", accuracy " << matrix.accuracy() << std::endl;
  }
  return isnet::World::finish(0);
}
