// Networks for the oracle: the published families, from the parameters of one of ours, and random ones that
// both the oracle and the tape can run.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "model/network.h"
#include "oracle.h"

namespace isnet::oracle {

/// The forward pass of a DenseNet, ResNet or VGG (by the names of its parameters), without dropout.
Value densenet(Graph& graph, Network& network, const at::Tensor& images, bool transition_relu = true);
Value resnet(Graph& graph, Network& network, const at::Tensor& images);
/// layers: channels of convolutions, 0 for a max pool.
Value vgg(Graph& graph, Network& network, const at::Tensor& images, const std::vector<std::int64_t>& layers,
          std::int64_t pool_height, std::int64_t pool_width);
/// layers: as --layers has them.
Value sequence(Graph& graph, Network& network, const at::Tensor& images, const std::string& layers);

/// A network of random layers: convolutions of any kernel, stride, padding, dilation and groups, with and
/// without bias, batch norm and ReLU; overlapping and uneven pools; residual sums, concatenations, batch
/// norms on their own, dropout, hidden linear layers.
class RandomNetwork : public Network {
 public:
  RandomNetwork(unsigned seed, std::int64_t height, std::int64_t width, std::int64_t classes);

  Value forward(Tape& tape, const at::Tensor& images) override;
  /// The same on the oracle; `factors`: of the dropout layers.
  Value forward(Graph& graph, const at::Tensor& images, const std::vector<at::Tensor>& factors);
  std::int64_t num_classes() const override { return classes_; }
  std::string head_name() const override { return "head"; }
  const std::string& description() const { return description_; }
  /// Values before and after each dropout layer of the last forward pass on a tape.
  std::vector<std::pair<Value, Value>> dropouts;

 private:
  enum class Kind {
    convolution,
    batch_norm,
    relu,
    max_pool,
    average_pool,
    adaptive_pool,
    residual_sum,
    concatenation,
    keep,
    dropout,
    attended_sum,
    flatten,
    linear
  };
  struct Step {
    Kind kind;
    std::size_t module = 0;
    std::int64_t a = 0, b = 0, c = 0;
  };
  template <typename Layers, typename Dropout>
  Value run(Layers& layers, const at::Tensor& images, const Dropout& dropout);

  std::int64_t pick(std::int64_t low, std::int64_t high);
  bool chance(double probability);
  void convolution(std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                   std::int64_t dilation, std::int64_t groups, bool bias);
  void batch_norm();
  void step(Step step, const std::string& text);
  void layer();
  void joined_layers();
  void pool();

  std::mt19937 random_;
  std::int64_t channels_ = 3, height_, width_, classes_;
  std::vector<Step> steps_;
  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<torch::nn::BatchNorm2d> norms_;
  std::vector<torch::nn::Linear> linears_;
  std::string description_;
};

/// Random γ of both signs, β, running statistics and biases.
void randomize_constants(Network& network);

}  // namespace isnet::oracle
