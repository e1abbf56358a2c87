// AG-Sononet (Schlemper et al., "Attention gated networks", Medical Image Analysis 53, 2019): five blocks of
// convolutions, two attention gates with the last block as gating signal, and heads on what the gates let
// through. Parameter names as in the gates' authors' code.
#include <ATen/ATen.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <array>

#include "base/error.h"
#include "model/network.h"
#include "model/networks/attention_gate.h"
#include "model/networks/classes_in.h"

namespace isnet {
namespace {

// How what the gates let through (g1, g2) and the last block's mean become logits.
enum class Aggregation { concat, mean, deep_sup, ft };

struct SononetShape {
  std::int64_t feature_scale;
  bool batch_norm;
  AttentionNorm norm;
  Aggregation aggregation;
  std::int64_t late_gate;
  bool mean_of_sigmoids;
};

constexpr std::array<std::int64_t, 5> convolutions{3, 3, 3, 2, 2};  // of each block

// Convolutions 3×3, each with a batch norm where there are any, and a ReLU.
struct Block : torch::nn::Module {
  Block(std::int64_t in, std::int64_t out, std::int64_t count, bool batch_norm) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto layer = register_module(cat("conv", i + 1), std::make_shared<torch::nn::Module>());
      torch::nn::Conv2d conv(torch::nn::Conv2dOptions(i == 0 ? in : out, out, 3).padding(1));
      torch::nn::init::kaiming_normal_(conv->weight);
      convs.push_back(layer->register_module("0", conv));
      if (!batch_norm) continue;
      torch::nn::BatchNorm2d norm(out);
      torch::nn::init::normal_(norm->weight, 1, 0.02);
      norms.push_back(layer->register_module("1", norm));
    }
  }

  Value forward(Tape& tape, Value x) const {
    for (std::size_t i = 0; i < convs.size(); ++i) {
      x = tape.convolution(x, convs[i]);
      if (!norms.empty()) x = tape.batch_norm(x, norms[i]);
      x = tape.relu(x);
    }
    return x;
  }

  std::vector<torch::nn::Conv2d> convs;
  std::vector<torch::nn::BatchNorm2d> norms;
};

class AgSononet : public Network {
 public:
  AgSononet(const SononetShape& shape, std::int64_t num_classes, double dropout)
      : shape_(shape), num_classes_(num_classes), dropout_(dropout) {
    std::array<std::int64_t, 4> widths{};
    for (std::size_t i = 0; i < widths.size(); ++i) {
      widths[i] = (std::int64_t{64} << i) / shape.feature_scale;
      if (widths[i] < 1)
        fail(ErrorKind::usage, "--feature-scale: '", shape.feature_scale,
             "' is not allowed; allowed: 1 to 64, by which the filters 64, 128, 256, 512 are divided");
    }
    std::int64_t channels = 3;
    for (std::size_t i = 0; i < convolutions.size(); ++i) {
      const std::int64_t out = widths[std::min<std::size_t>(i, 3)];
      blocks_.push_back(register_module(
          cat("conv", i + 1), std::make_shared<Block>(channels, out, convolutions[i], shape.batch_norm)));
      channels = out;
    }
    for (std::size_t k = 0; k < 2; ++k)
      gates_.push_back(
          register_module(cat("compatibility_score", k + 1),
                          std::make_shared<AttentionGate>(widths[2 + k], widths[3], widths[3], shape.norm)));
    const std::array<std::int64_t, 3> features{widths[2], widths[3], widths[3]};
    if (shape.aggregation != Aggregation::concat)
      for (std::size_t k = 0; k < 3; ++k)
        heads_.push_back(
            register_module(cat("classifier", k + 1), torch::nn::Linear(features[k], num_classes)));
    if (shape.aggregation == Aggregation::mean) return;
    const std::int64_t in =
        shape.aggregation == Aggregation::ft ? 3 * num_classes : features[0] + features[1] + features[2];
    classifier_ = register_module("classifier", torch::nn::Linear(in, num_classes));
  }

  Value forward(Tape& tape, const at::Tensor& images) override {
    if (std::min(images.size(2), images.size(3)) < 16)
      fail(ErrorKind::usage, "images of ", images.size(2), "×", images.size(3),
           " pixels are too small for AG-Sononet, which halves them four times: at least 16 pixels a side are "
           "needed");
    std::vector<Value> outputs;
    Value x = tape.input(images, normalization);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (i > 0) x = tape.max_pool(x, 2, 2, 0);
      x = blocks_[i]->forward(tape, x);
      tape.mark(x, cat("conv", i + 1));
      outputs.push_back(x);
    }
    std::array<Value, 3> features{};
    for (std::size_t k = 0; k < 2; ++k) {
      const Value from = outputs[2 + k];
      const at::Tensor map = gates_[k]->forward(tape.output(from), tape.output(outputs[4]));
      tape.show(cat("compatibility_score", k + 1), map);
      features[k] = tape.dropout(tape.sum_over_space(tape.attend(from, map)), dropout_);
    }
    features[2] = tape.dropout(tape.flatten(tape.adaptive_average_pool(outputs[4], 1, 1)), dropout_);
    return aggregate(tape, features);
  }

  std::int64_t num_classes() const override { return num_classes_; }
  std::string head_name() const override {
    return shape_.aggregation == Aggregation::mean ? "classifier1" : "classifier";
  }

 private:
  static Value joined(Tape& tape, const std::array<Value, 3>& parts) {
    return tape.concatenate(tape.concatenate(parts[0], parts[1]), parts[2]);
  }

  // Losses of heads as in the gates' authors' training code.
  Value aggregate(Tape& tape, const std::array<Value, 3>& features) {
    if (shape_.aggregation == Aggregation::concat) return tape.linear(joined(tape, features), classifier_);
    std::array<Value, 3> logits{};
    for (std::size_t k = 0; k < 3; ++k) logits[k] = tape.linear(features[k], heads_[k]);
    if (shape_.aggregation == Aggregation::ft) return tape.linear(joined(tape, logits), classifier_);
    const bool deep = shape_.aggregation == Aggregation::deep_sup;
    const bool gates_late =
        is_training() && static_cast<std::int64_t>(tape.context().epoch) < shape_.late_gate;
    for (std::size_t k = 0; k < 3; ++k) tape.add_head(logits[k], k < 2 && gates_late ? 0 : deep ? 0.1 : 1);
    if (!deep) return mean(tape, features, logits);
    const Value out = tape.linear(joined(tape, features), classifier_);
    tape.add_head(out, 1);
    return out;
  }

  // Predicts the mean of the heads' probabilities; what is explained is the mean of their logits, a linear
  // layer over all features.
  Value mean(Tape& tape, const std::array<Value, 3>& features, const std::array<Value, 3>& logits) const {
    std::vector<at::Tensor> scores, weights;
    at::Tensor bias;
    for (std::size_t k = 0; k < 3; ++k) {
      const at::Tensor y = tape.output(logits[k]);
      scores.push_back(shape_.mean_of_sigmoids ? y.sigmoid() : y.log_softmax(1));
      weights.push_back(heads_[k]->weight / 3);
      bias = bias.defined() ? bias + heads_[k]->bias / 3 : heads_[k]->bias / 3;
    }
    const at::Tensor all = at::stack(scores);
    tape.predict(shape_.mean_of_sigmoids ? at::logit(all.mean(0), 1e-12) : all.logsumexp(0) - std::log(3.0));
    return tape.linear(joined(tape, features), at::cat(weights, 1), bias);
  }

  SononetShape shape_;
  std::int64_t num_classes_;
  double dropout_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::vector<std::shared_ptr<AttentionGate>> gates_;
  std::vector<torch::nn::Linear> heads_;
  torch::nn::Linear classifier_{nullptr};
};

Aggregation aggregation_of(const std::string& name) {
  if (name == "mean") return Aggregation::mean;
  if (name == "deep-sup") return Aggregation::deep_sup;
  return name == "ft" ? Aggregation::ft : Aggregation::concat;
}

std::vector<OptionSpec> options() {
  return {
      integer_option("feature-scale", "4", "ag-sononet: divisor of the filters 64, 128, 256, 512", 1, 64),
      switch_option("sononet-batch-norm", true, "ag-sononet: add a batch norm behind each convolution"),
      choice_option("attention-norm", "mean-flow", "ag-sononet: normalisation of the gates' maps over space",
                    attention_norm_names()),
      choice_option(
          "aggregation", "concat",
          "ag-sononet: heads: one on all features (concat), the mean of three (mean), both (deep-sup), or one "
          "on the logits of three (ft)",
          {"concat", "mean", "deep-sup", "ft"}),
      choice_option("mean-of", "softmax",
                    "ag-sononet, aggregation mean: what is averaged to predict; sigmoid for multi-label data",
                    {"softmax", "sigmoid"}),
      integer_option("late-gate", "0",
                     "Ag-sononet, aggregation mean or deep-sup: number of first epochs in which the gates' "
                     "own heads do not count",
                     0)};
}

const Registration<NetworkFactory> ag_sononet(
    networks(), {.name = "ag-sononet",
                 .description = "Attention-gated Sononet",
                 .options = options(),
                 .make =
                     [](const OptionValues& values, std::int64_t num_classes) {
                       const SononetShape shape{values.integer("feature-scale"),
                                                values.flag("sononet-batch-norm"),
                                                attention_norm_of(values.text("attention-norm")),
                                                aggregation_of(values.text("aggregation")),
                                                values.integer("late-gate"),
                                                values.text("mean-of") == "sigmoid"};
                       return std::make_shared<AgSononet>(shape, num_classes, values.real("dropout"));
                     },
                 .defaults = {{"dropout", "0"}},
                 .capabilities = {.classes_in = classes_by_rows({"classifier", "classifier1"})}});

}  // namespace
}  // namespace isnet
