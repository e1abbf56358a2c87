// Oracle: the rules of layer-wise relevance propagation, written down literally, in float64.
//
// For every layer the relevance R itself goes from outputs to inputs, R_j = Σ_k share_jk · R_k, with all the
// contributions a_j w_jk of a layer in one dense tensor. It is slow, and shares no code with the engine,
// which carries R/a by transposed convolutions. Rules: Bach et al., PLoS ONE 10(7), e0130140 (2015); LRP-Flex
// (arXiv 2401.08409) is the gradient of the network that one gets by putting factors in place of its ReLUs.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/lrp/tape.h"

namespace isnet::oracle {

/// Biases and batch statistics as denominators see them. The first forward pass stores its own, later ones
/// get the stored numbers, whatever has become of the parameters: so a difference quotient holds them
/// constant.
class Constants {
 public:
  at::Tensor hold(const at::Tensor& live);
  void rewind() { next_ = 0; }

 private:
  std::vector<at::Tensor> values_;
  std::size_t next_ = 0;
};

struct Settings {
  bool flex = false;
  double epsilon = 0.01;
  std::string first_layer = "zb";  ///< zb, w2, epsilon
  std::string rule = "epsilon";    ///< of the layers above: epsilon, zplus, alpha-beta
  double alpha = 2, beta = 1;
};

/// A linear layer as a matrix: z_kl = Σ_p w_kp a_pl + b_k, l: places where the same weights are applied.
struct Matrix {
  at::Tensor weight;           ///< (B or 1)×K×P×(L or 1), live
  at::Tensor bias, live_bias;  ///< K, constant and live; undefined: none
  std::function<at::Tensor(const at::Tensor&, double padding)> columns;  ///< B×F×… → B×P×L
  std::function<at::Tensor(const at::Tensor&)> fold;  ///< its adjoint, N×P×L → N×F×…: sums over places
  bool joins = false;                                 ///< pools and sums: no weights of their own
  bool winner = false;                                ///< max pool: one contribution to each output
};

/// Methods as Tape's.
class Graph {
 public:
  Graph(Constants& constants, bool batch_statistics) : constants_(constants), batch_(batch_statistics) {
    constants.rewind();
  }

  Value input(const at::Tensor& images, const Normalization& normalization);
  Value convolution(Value x, const torch::nn::Conv2d& layer);
  Value batch_norm(Value x, const torch::nn::BatchNorm2d& layer);
  Value relu(Value x);
  Value linear(Value x, const torch::nn::Linear& layer);
  Value max_pool(Value x, std::int64_t kernel, std::int64_t stride, std::int64_t padding);
  Value average_pool(Value x, std::int64_t kernel, std::int64_t stride);
  Value adaptive_average_pool(Value x, std::int64_t height, std::int64_t width);
  Value flatten(Value x);
  Value concatenate(Value x, Value y);
  Value add(Value x, Value y);
  Value dropout(Value x, const at::Tensor& factor);
  Value sum_over_space(Value x);
  Value attend(Value x, const at::Tensor& attention) { return dropout(x, attention); }

  const at::Tensor& output(Value x) const { return nodes_[static_cast<std::size_t>(x.node)].output; }

  /// Heatmaps B×M×3×H×W. weights: B×M×K; map m starts with relevance weights_mk · y_k at logit k (z⁺: of the
  /// logits of positive weights).
  at::Tensor relevance(Value logits, const at::Tensor& weights, const Settings& settings) const;
  /// Block form, one map (B×1×3×H×W): of η = ln(p_k) − ln(1 − p_k), k the lowest logit, as a layer of its
  /// own.
  at::Tensor selective_relevance(Value logits, const Settings& settings) const;

 private:
  enum class Kind { input, matrix, batch_norm, relu, flatten, concatenation, addition, dropout };
  struct Norm {  // γ (live)/σ·(u − μ) + β
    at::Tensor gamma, beta, mean, deviation;
    Norm slice(std::int64_t start, std::int64_t length) const;
  };
  struct Node {
    Kind kind;
    std::vector<int> inputs;
    at::Tensor output;
    std::optional<Matrix> matrix = {};
    std::optional<Norm> norm = {};
    at::Tensor factor = {};          // dropout
    at::Tensor low = {}, high = {};  // input
  };
  struct Arrived {  // relevance at a node's output, or at the end of a batch norm that is fused with it
    at::Tensor relevance;
    std::optional<Norm> norm;
  };

  Value push(Node node) {
    nodes_.push_back(std::move(node));
    return {static_cast<int>(nodes_.size()) - 1};
  }
  Value push_matrix(Value x, Matrix matrix, const at::Tensor& live_bias, std::vector<std::int64_t> shape);
  const Node& get(int index) const { return nodes_[static_cast<std::size_t>(index)]; }

  at::Tensor walk(std::vector<std::vector<Arrived>> arrived, const Settings& settings) const;
  void pass_norm(std::vector<std::vector<Arrived>>& arrived, int reader, int node,
                 const at::Tensor& relevance, const Norm& norm, const Settings& settings) const;
  at::Tensor through(const Node& node, const Arrived& arrived, const Settings& settings) const;
  at::Tensor flex(Value logits, const at::Tensor& weights, const Settings& settings) const;

  Constants& constants_;
  bool batch_;
  std::vector<Node> nodes_;
};

}  // namespace isnet::oracle
