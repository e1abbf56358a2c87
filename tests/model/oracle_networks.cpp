#include "oracle_networks.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "model/networks/layer_list.h"

namespace isnet::oracle {
namespace {

// Modules of a network by name, as the holders that layers take.
struct Modules {
  explicit Modules(Network& network) : modules(network.named_modules()) {}
  bool has(const std::string& name) const { return modules.contains(name); }
  template <typename Holder>
  Holder get(const std::string& name) const {
    return Holder(std::dynamic_pointer_cast<typename Holder::ContainedType>(modules[name]));
  }
  torch::nn::Conv2d conv(const std::string& name) const { return get<torch::nn::Conv2d>(name); }
  torch::nn::BatchNorm2d norm(const std::string& name) const { return get<torch::nn::BatchNorm2d>(name); }
  torch::nn::Linear linear(const std::string& name) const { return get<torch::nn::Linear>(name); }

  // Whether a stem is that for large images, which has a pool too.
  bool halves(const std::string& name) const { return conv(name)->options.stride()->at(0) == 2; }

  torch::OrderedDict<std::string, std::shared_ptr<torch::nn::Module>> modules;
};

}  // namespace

Value densenet(Graph& g, Network& network, const at::Tensor& images, bool transition_relu) {
  const Modules m(network);
  const std::string f = "features.";
  Value x = g.convolution(g.input(images, network.normalization), m.conv(f + "conv0"));
  x = g.relu(g.batch_norm(x, m.norm(f + "norm0")));
  if (m.halves(f + "conv0")) x = g.max_pool(x, 3, 2, 1);
  for (int block = 1; m.has(f + cat("denseblock", block)); ++block) {
    for (int i = 1; m.has(f + cat("denseblock", block, ".denselayer", i)); ++i) {
      const std::string layer = f + cat("denseblock", block, ".denselayer", i, ".");
      Value y = g.convolution(g.relu(g.batch_norm(x, m.norm(layer + "norm1"))), m.conv(layer + "conv1"));
      y = g.convolution(g.relu(g.batch_norm(y, m.norm(layer + "norm2"))), m.conv(layer + "conv2"));
      x = g.concatenate(x, y);
    }
    const std::string transition = f + cat("transition", block, ".");
    if (!m.has(f + cat("transition", block))) continue;
    x = g.convolution(g.relu(g.batch_norm(x, m.norm(transition + "norm"))), m.conv(transition + "conv"));
    x = g.average_pool(transition_relu ? g.relu(x) : x, 2, 2);
  }
  x = g.relu(g.batch_norm(x, m.norm(f + "norm5")));
  return g.linear(g.flatten(g.adaptive_average_pool(x, 1, 1)), m.linear("classifier"));
}

Value resnet(Graph& g, Network& network, const at::Tensor& images) {
  const Modules m(network);
  const auto normalized = [&](Value x, const std::string& conv, const std::string& norm) {
    return g.batch_norm(g.convolution(x, m.conv(conv)), m.norm(norm));
  };
  Value x = g.relu(normalized(g.input(images, network.normalization), "conv1", "bn1"));
  if (m.halves("conv1")) x = g.max_pool(x, 3, 2, 1);
  for (int stage = 1; m.has(cat("layer", stage)); ++stage) {
    for (int i = 0; m.has(cat("layer", stage, ".", i)); ++i) {
      const std::string block = cat("layer", stage, ".", i, ".");
      Value y = g.relu(normalized(x, block + "conv1", block + "bn1"));
      y = normalized(y, block + "conv2", block + "bn2");
      if (m.has(block + "conv3")) y = normalized(g.relu(y), block + "conv3", block + "bn3");
      if (m.has(block + "downsample")) x = normalized(x, block + "downsample.0", block + "downsample.1");
      x = g.relu(g.add(y, x));
    }
  }
  return g.linear(g.flatten(g.adaptive_average_pool(x, 1, 1)), m.linear("fc"));
}

Value vgg(Graph& g, Network& network, const at::Tensor& images, const std::vector<std::int64_t>& layers,
          std::int64_t pool_height, std::int64_t pool_width) {
  const Modules m(network);
  Value x = g.input(images, network.normalization);
  int place = 0;
  for (const std::int64_t layer : layers) {
    if (layer == 0) {
      x = g.max_pool(x, 2, 2, 0);
      ++place;
      continue;
    }
    x = g.convolution(x, m.conv(cat("features.", place++)));
    if (m.has(cat("features.", place))) {
      const auto norm = m.modules[cat("features.", place)]->as<torch::nn::BatchNorm2dImpl>();
      if (norm) x = g.batch_norm(x, m.norm(cat("features.", place++)));
    }
    x = g.relu(x);
    ++place;
  }
  x = g.flatten(g.adaptive_average_pool(x, pool_height, pool_width));
  for (place = 0; m.has(cat("classifier.", place + 3)); place += 3)
    x = g.relu(g.linear(x, m.linear(cat("classifier.", place))));
  return g.linear(x, m.linear(cat("classifier.", place)));
}

Value sequence(Graph& g, Network& network, const at::Tensor& images, const std::string& layers) {
  const Modules m(network);
  Value x = g.input(images, network.normalization);
  for (const LayerSpec& layer : parse_layers(layers)) {
    const auto [height, width] = layer.extent;
    switch (layer.kind) {
      case LayerKind::convolution:
        x = g.convolution(x, m.conv(layer.name));
        break;
      case LayerKind::batch_norm:
        x = g.batch_norm(x, m.norm(layer.name));
        break;
      case LayerKind::relu:
        x = g.relu(x);
        break;
      case LayerKind::max_pool:
        x = g.max_pool(x, height, layer.stride[0], layer.padding[0]);
        break;
      case LayerKind::average_pool:
        x = g.average_pool(x, height, layer.stride[0]);
        break;
      case LayerKind::adaptive_average_pool:
        x = g.adaptive_average_pool(x, height, width);
        break;
      case LayerKind::flatten:
        x = g.flatten(x);
        break;
      case LayerKind::linear:
        x = g.linear(x, m.linear(layer.name));
        break;
      case LayerKind::input:
      case LayerKind::dropout:
        break;
    }
  }
  return x;
}

void randomize_constants(Network& network) {
  const at::NoGradGuard no_grad;
  for (auto& module : network.modules()) {
    if (auto* norm = module->as<torch::nn::BatchNorm2dImpl>()) {
      norm->weight.uniform_(0.5, 1.5).mul_(at::where(at::rand_like(norm->weight) < 0.25, -1.0, 1.0));
      norm->bias.normal_(0, 0.3);
      norm->running_mean.normal_(0, 0.3);
      norm->running_var.uniform_(0.3, 2);
    } else if (auto* conv = module->as<torch::nn::Conv2dImpl>()) {
      if (conv->bias.defined()) conv->bias.normal_(0, 0.2);
    } else if (auto* linear = module->as<torch::nn::LinearImpl>()) {
      if (linear->bias.defined()) linear->bias.normal_(0, 0.2);
    }
  }
}

// Random networks.

std::int64_t RandomNetwork::pick(std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random_() % static_cast<unsigned>(high - low + 1));
}

bool RandomNetwork::chance(double probability) {
  return static_cast<double>(random_() % 1000) < probability * 1000;
}

void RandomNetwork::step(Step step, const std::string& text) {
  steps_.push_back(step);
  description_ += (description_.empty() ? "" : " ") + text;
}

void RandomNetwork::convolution(std::int64_t out, std::int64_t kernel, std::int64_t stride,
                                std::int64_t padding, std::int64_t dilation, std::int64_t groups, bool bias) {
  const auto name = cat("conv", convolutions_.size());
  convolutions_.push_back(
      register_module(name, torch::nn::Conv2d(torch::nn::Conv2dOptions(channels_, out, kernel)
                                                  .stride(stride)
                                                  .padding(padding)
                                                  .dilation(dilation)
                                                  .groups(groups)
                                                  .bias(bias))));
  step({Kind::convolution, convolutions_.size() - 1},
       cat("conv", out, "k", kernel, "s", stride, "p", padding, "d", dilation, "g", groups, bias ? "b" : ""));
  channels_ = out;
  const auto size = [&](std::int64_t n) {
    return (n + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  };
  height_ = size(height_);
  width_ = size(width_);
}

void RandomNetwork::batch_norm() {
  norms_.push_back(register_module(cat("norm", norms_.size()), torch::nn::BatchNorm2d(channels_)));
  step({Kind::batch_norm, norms_.size() - 1}, "bn");
}

void RandomNetwork::layer() {
  const std::int64_t side = std::min(height_, width_), kernel = std::min(pick(1, 5), side);
  const std::int64_t dilation = kernel > 1 && 2 * kernel - 1 <= side && chance(0.3) ? 2 : 1;
  const std::int64_t stride = side > 7 ? pick(1, 3) : 1, padding = pick(0, kernel / 2);
  const bool first = convolutions_.empty();
  const std::int64_t groups = !first && channels_ % 2 == 0 && chance(0.3) ? 2 : 1;
  convolution(groups * pick(2, 3), kernel, stride, padding, dilation, groups, chance(0.5));
  if (chance(0.5)) batch_norm();
  if (chance(0.75)) step({Kind::relu}, "relu");
}

void RandomNetwork::pool() {
  const std::int64_t side = std::min(height_, width_), kernel = std::min(pick(2, 3), side);
  if (side < 2) return;
  const std::int64_t stride = pick(1, 3), kind = pick(0, 2);
  const auto shrink = [&](std::int64_t padding) {
    height_ = (height_ + 2 * padding - kernel) / stride + 1;
    width_ = (width_ + 2 * padding - kernel) / stride + 1;
  };
  if (kind == 0) {
    const std::int64_t padding = pick(0, kernel / 2);
    step({Kind::max_pool, 0, kernel, stride, padding}, cat("max", kernel, "s", stride, "p", padding));
    shrink(padding);
  } else if (kind == 1) {
    step({Kind::average_pool, 0, kernel, stride}, cat("avg", kernel, "s", stride));
    shrink(0);
  } else {
    height_ = pick(2, height_);
    width_ = pick(2, width_);
    step({Kind::adaptive_pool, 0, height_, width_}, cat("adaptive", height_, "x", width_));
  }
}

// A residual sum or a concatenation with what was there before.
void RandomNetwork::joined_layers() {
  const std::int64_t before = channels_;
  step({Kind::keep}, "(");
  const bool sum = chance(0.5);
  if (chance(0.5)) {
    batch_norm();
    step({Kind::relu}, "relu");
  }
  convolution(sum ? before : pick(2, 3), 3, 1, 1, 1, 1, chance(0.5));
  if (chance(0.5)) batch_norm();
  if (chance(0.3)) step({Kind::relu}, "relu");
  step({sum ? Kind::residual_sum : Kind::concatenation}, sum ? ")+" : "),");
  if (!sum) channels_ += before;
  if (chance(0.3)) batch_norm();
  if (chance(0.6)) step({Kind::relu}, "relu");
}

RandomNetwork::RandomNetwork(unsigned seed, std::int64_t height, std::int64_t width, std::int64_t classes)
    : random_(seed), height_(height), width_(width), classes_(classes) {
  layer();
  if (steps_.back().kind != Kind::relu) layer();  // joins of the first layer itself: refused by its rules
  for (std::int64_t i = pick(2, 5); i > 0 && std::min(height_, width_) >= 2; --i) {
    const double kind = static_cast<double>(pick(0, 99));
    if (kind < 35)
      layer();
    else if (kind < 60)
      pool();
    else if (kind < 90)
      joined_layers();
    else
      batch_norm();
  }
  const std::int64_t end = pick(0, 3);
  if (end > 1) height_ = width_ = 1;
  if (end == 2) step({Kind::adaptive_pool, 0, 1, 1}, "global");
  if (end == 3)
    step({Kind::attended_sum}, "attended-sum");
  else
    step({Kind::flatten}, "flatten");
  std::int64_t width_now = channels_ * height_ * width_;
  const auto linear = [&](const std::string& name, std::int64_t out) {
    linears_.push_back(
        register_module(name, torch::nn::Linear(torch::nn::LinearOptions(width_now, out).bias(chance(0.8)))));
    step({Kind::linear, linears_.size() - 1}, cat("linear", out));
    width_now = out;
  };
  if (chance(0.4)) {
    linear("hidden", pick(4, 8));
    if (chance(0.7)) step({Kind::relu}, "relu");
  }
  if (chance(0.4)) step({Kind::dropout}, "dropout");
  linear("head", classes);
}

template <typename Layers, typename Dropout>
Value RandomNetwork::run(Layers& layers, const at::Tensor& images, const Dropout& dropout) {
  Value x = layers.input(images, normalization);
  std::vector<Value> kept;
  for (const auto& s : steps_) {
    switch (s.kind) {
      case Kind::convolution:
        x = layers.convolution(x, convolutions_[s.module]);
        break;
      case Kind::batch_norm:
        x = layers.batch_norm(x, norms_[s.module]);
        break;
      case Kind::relu:
        x = layers.relu(x);
        break;
      case Kind::max_pool:
        x = layers.max_pool(x, s.a, s.b, s.c);
        break;
      case Kind::average_pool:
        x = layers.average_pool(x, s.a, s.b);
        break;
      case Kind::adaptive_pool:
        x = layers.adaptive_average_pool(x, s.a, s.b);
        break;
      case Kind::keep:
        kept.push_back(x);
        break;
      case Kind::residual_sum:
        x = layers.add(x, kept.back());
        break;
      case Kind::concatenation:
        x = layers.concatenate(kept.back(), x);
        break;
      case Kind::attended_sum:
        x = layers.sum_over_space(layers.attend(x, at::sigmoid(layers.output(x).mean(1, true))));
        break;
      case Kind::dropout:
        x = dropout(x);
        break;
      case Kind::flatten:
        x = layers.flatten(x);
        break;
      case Kind::linear:
        x = layers.linear(x, linears_[s.module]);
        break;
    }
  }
  return x;
}

Value RandomNetwork::forward(Tape& tape, const at::Tensor& images) {
  dropouts.clear();
  return run(tape, images, [&](Value x) {
    const Value y = tape.dropout(x, 0.4);
    dropouts.emplace_back(x, y);
    return y;
  });
}

Value RandomNetwork::forward(Graph& graph, const at::Tensor& images, const std::vector<at::Tensor>& factors) {
  std::size_t next = 0;
  return run(graph, images, [&](Value x) { return graph.dropout(x, factors.at(next++)); });
}

}  // namespace isnet::oracle
