// The tape: layers compute their outputs on it, and it remembers what they did, so that one generic reverse
// walk (walk.h) yields the relevance of any network so written. docs/lrp.md explains both.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "distributed/across_ranks.h"
#include "model/lrp/fused.h"
#include "model/lrp/operation.h"

namespace isnet {

/// Which statistics batch norm normalises with.
enum class BatchStatistics {
  running,      ///< the running ones: evaluation
  batch,        ///< the batch's, running ones left alone
  batch_update  ///< the batch's, running ones updated: training
};

/// The context that layers need besides their inputs.
struct TapeContext {
  bool recording = false;  ///< keep what the reverse walk needs
  bool fused = true;       ///< fused kernels where they apply; without: composite, twice differentiable
  at::ScalarType multiplication = at::ScalarType::Undefined;  ///< of convolutions; Undefined: the images'
  BatchStatistics statistics = BatchStatistics::running;
  std::shared_ptr<const AcrossRanks> across;  ///< the batch's statistics are those of all ranks; may be null
  bool dropout = false;                       ///< dropout layers drop
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;
  at::Tensor ids;  ///< B (int64, CPU): global sample ids; needed where dropout is on
  const torch::nn::Module* network = nullptr;  ///< whose layers messages name; may be null
};

/// Per-channel input normalisation (x − mean)/std; one value, or one for each of the three channels.
struct Normalization {
  std::vector<double> mean{0.0};
  std::vector<double> std{1.0};
  bool identity() const;
};

/// The output of a layer, as a place on the tape.
struct Value {
  int node = -1;
};

/// Computes a network's outputs layer by layer, and records. Use: one tape per forward pass; dies with the
/// step. Not thread-safe. All methods return values on this tape; shapes in comments are those of the output.
class Tape {
 public:
  explicit Tape(TapeContext context) : context_(std::move(context)) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Pixels in [0, 1], B×3×H×W, then normalised. The walk ends here.
  Value input(const at::Tensor& images, const Normalization& normalization);

  Value convolution(Value x, const torch::nn::Conv2d& layer);
  Value batch_norm(Value x, const torch::nn::BatchNorm2d& layer);
  Value relu(Value x);
  Value linear(Value x, const torch::nn::Linear& layer);
  Value linear(Value x, const at::Tensor& weight, const at::Tensor& bias);  ///< weight: K×F
  Value max_pool(Value x, std::int64_t kernel, std::int64_t stride, std::int64_t padding);
  Value average_pool(Value x, std::int64_t kernel, std::int64_t stride);
  Value adaptive_average_pool(Value x, std::int64_t height, std::int64_t width);
  Value flatten(Value x);               ///< B×(F·H·W)
  Value concatenate(Value x, Value y);  ///< along channels
  Value add(Value x, Value y);          ///< residual sum
  Value dropout(Value x, double probability);
  Value sum_over_space(Value x);  ///< B×F
  /// x ⊙ attention (B×1×H×W or B×F×H×W): constant for relevance, which passes to x alone; live for gradients.
  Value attend(Value x, const at::Tensor& attention);

  /// Computed now, if nobody has needed it yet.
  const at::Tensor& output(Value x) const;
  const TapeContext& context() const { return context_; }

  /// The layer that has this weight, for messages; "without a name" where the context has no network.
  std::string layer_name(const at::Tensor& weight) const;
  /// For each step, the layer that it belongs to or, if it has no parameters, the one before it; "" at the
  /// start.
  std::vector<std::string> layer_names() const;
  /// The place of a step, for messages: the layer that it belongs to, or the one before it.
  std::string place(int node) const;

  /// Names an activation at which heatmaps can be asked for (relevance()): the output of a ReLU or a pool,
  /// read by layers with weights, pools or sums. Names are the network's own, torchvision's where it has
  /// them.
  void mark(Value x, std::string name);
  const std::vector<std::pair<std::string, int>>& marks() const { return marks_; }  ///< name and node

  /// Adds a head whose classification loss counts with `weight` in training; without any, the logits that the
  /// network returns are the only head, with weight 1.
  void add_head(Value logits, double weight) { heads_.emplace_back(logits, weight); }
  const std::vector<std::pair<Value, double>>& heads() const { return heads_; }
  /// Sets what the network predicts, B×K, where that is not what it returns (whose relevance is asked for): scores
  /// whose softmax are the probabilities.
  void predict(at::Tensor scores) { prediction_ = std::move(scores); }
  const at::Tensor& prediction(Value logits) const {
    return prediction_.defined() ? prediction_ : output(logits);
  }
  /// Keeps a map of where the network looks, B×1×h×w, for `isnet explain`; not when not recording.
  void show(std::string name, const at::Tensor& map) {
    if (context_.recording) shown_.emplace_back(std::move(name), map.detach());
  }
  const std::vector<std::pair<std::string, at::Tensor>>& shown() const { return shown_; }

  /// A figure of the forward pass for metrics, a mean over its samples (a scalar): what a network notices of
  /// its images.
  void remark(std::string name, at::Tensor mean) { remarks_.emplace_back(std::move(name), std::move(mean)); }
  const std::vector<std::pair<std::string, at::Tensor>>& remarks() const { return remarks_; }

  /// The pixels that relevance may stay on, B×1×H×W of zeros and ones: where the network blots the others out
  /// itself, they have none, whatever the rule of the first layer says. Undefined: all.
  void restrict_to(at::Tensor region) { region_ = std::move(region); }
  const at::Tensor& region() const { return region_; }

  /// A step of the forward pass. Batch norms and concatenations are computed when somebody reads them: a ReLU
  /// or a batch norm does not.
  struct Node {
    std::unique_ptr<Operation> operation;
    std::vector<int> inputs;
    mutable at::Tensor output;  ///< by Tape::output()
  };
  const Node& node(Value x) const { return nodes_[static_cast<std::size_t>(x.node)]; }
  const Node& node(int index) const { return nodes_[static_cast<std::size_t>(index)]; }
  int size() const { return static_cast<int>(nodes_.size()); }

  /// Adds a step; for operations that are defined elsewhere. The operation is dropped when not recording. A
  /// null one has no relevance rule; better is a WithoutRule, which has a name.
  Value record(std::unique_ptr<Operation> operation, std::vector<int> inputs, at::Tensor output);

 private:
  Value defer(std::unique_ptr<Operation> operation, std::vector<int> inputs);
  bool fuses(const at::Tensor& x) const { return context_.fused && fused::supports(x); }
  /// The nodes whose outputs, one after the other along channels, are that of `node`.
  std::vector<int> parts(int node) const;
  /// Mean and biased variance of each channel of the batch, or of all ranks'; those of a part are computed
  /// once.
  fused::Moments moments(int node);

  TapeContext context_;
  std::vector<Node> nodes_;
  std::unordered_map<int, fused::Moments> moments_;
  std::vector<std::pair<std::string, int>> marks_;
  std::vector<std::pair<std::string, at::Tensor>> remarks_;
  at::Tensor region_;
  std::vector<std::pair<Value, double>> heads_;
  at::Tensor prediction_;
  std::vector<std::pair<std::string, at::Tensor>> shown_;
  int dropout_layers_ = 0;
};

}  // namespace isnet
