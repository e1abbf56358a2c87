// A plug-in with networks whose relevance is out of order: one has an operation without a rule, the other
// spoils the relevance of one pixel in epoch 1, of every eighth sample.
#include <ATen/ATen.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <limits>

#include "base/plugin.h"
#include "model/lrp/walk.h"
#include "model/network.h"

ISNET_PLUGIN()

namespace {

using isnet::Tape;
using isnet::Value;
using isnet::Walk;

class Spoils : public isnet::Operation {
 public:
  explicit Spoils(at::Tensor samples) : samples_(std::move(samples)) {}
  std::string name() const override { return "spoiler"; }
  void relevance(Walk& walk, int node) const override {
    at::Tensor bad = at::zeros_like(walk.output(node), at::dtype(at::kBool));
    for (std::int64_t b = 0; b < samples_.size(0); ++b) bad[b][0][0][0] = samples_[b];
    const at::Tensor c = walk.by_map(walk.total(node));
    const at::Tensor spoilt =
        at::where(bad.unsqueeze(1), at::full({}, std::numeric_limits<double>::infinity(), c.options()), c);
    walk.pass(walk.tape().node(node).inputs[0], spoilt.flatten(0, 1), Walk::Gate::pending);
  }

 private:
  at::Tensor samples_;  // B, which are spoilt
};

class Foreign : public isnet::Network {
 public:
  Foreign(bool spoils, std::int64_t classes)
      : spoils_(spoils),
        stem_(register_module("stem", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3)))),
        head_(register_module("classifier", torch::nn::Linear(4, classes))) {}

  Value forward(Tape& tape, const at::Tensor& images) override {
    Value x = tape.input(images, normalization);
    const auto& context = tape.context();
    if (spoils_) {
      const at::Tensor bad = context.ids.defined() && context.epoch == 1
                                 ? context.ids.remainder(8).eq(0)
                                 : at::zeros({images.size(0)}, at::dtype(at::kBool));
      x = tape.record(std::make_unique<Spoils>(bad), {x.node}, tape.output(x));
    }
    x = tape.relu(tape.convolution(x, stem_));
    if (!spoils_)
      x = tape.record(std::make_unique<isnet::WithoutRule>("softplus"), {x.node},
                      at::softplus(tape.output(x)));
    return tape.linear(tape.flatten(tape.adaptive_average_pool(x, 1, 1)), head_);
  }
  std::int64_t num_classes() const override { return head_->options.out_features(); }
  std::string head_name() const override { return "classifier"; }

 private:
  bool spoils_;
  torch::nn::Conv2d stem_;
  torch::nn::Linear head_;
};

isnet::Strategy<isnet::NetworkFactory> network(const char* name, bool spoils) {
  return {name, "for tests", {}, [spoils](const isnet::OptionValues&, std::int64_t classes) {
            return std::make_shared<Foreign>(spoils, classes);
          }};
}

const isnet::Registration<isnet::NetworkFactory> without_rule(isnet::networks(),
                                                              network("without-rule", false));
const isnet::Registration<isnet::NetworkFactory> spoiling(isnet::networks(), network("spoiling", true));

}  // namespace
