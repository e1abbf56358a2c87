#include "oracle.h"

#include <ATen/ATen.h>

#include <variant>

#include "base/error.h"

namespace isnet::oracle {
namespace {

at::Tensor per_output(const at::Tensor& values) {
  return values.view({1, -1, 1});
}

// Windows of all channels as columns (im2col); what lies outside has the value `padding`.
Matrix windows(const at::Tensor& x, std::vector<std::int64_t> kernel, std::vector<std::int64_t> dilation,
               std::vector<std::int64_t> padding, std::vector<std::int64_t> stride) {
  Matrix matrix;
  const std::vector<std::int64_t> size{x.size(2), x.size(3)};
  matrix.columns = [=](const at::Tensor& a, double outside) {
    const at::Tensor padded =
        at::constant_pad_nd(a, {padding[1], padding[1], padding[0], padding[0]}, outside);
    return at::im2col(padded, kernel, dilation, {0, 0}, stride);
  };
  matrix.fold = [=](const at::Tensor& c) { return at::col2im(c, size, kernel, dilation, padding, stride); };
  return matrix;
}

std::int64_t places(std::int64_t size, std::int64_t kernel, std::int64_t stride, std::int64_t padding = 0) {
  return (size + 2 * padding - kernel) / stride + 1;
}

// 1 for the windows of a channel itself: F×(F·k).
at::Tensor own_windows(std::int64_t channels, std::int64_t kernel_size, const at::Tensor& like) {
  return at::eye(channels, like.options()).repeat_interleave(kernel_size, 1);
}

}  // namespace

at::Tensor Constants::hold(const at::Tensor& live) {
  if (next_ == values_.size()) values_.push_back(live.detach().clone());
  return values_[next_++];
}

Graph::Norm Graph::Norm::slice(std::int64_t start, std::int64_t length) const {
  const auto part = [&](const at::Tensor& values) { return values.narrow(0, start, length); };
  return {part(gamma), part(beta), part(mean), part(deviation)};
}

// The forward pass.

Value Graph::input(const at::Tensor& images, const Normalization& normalization) {
  const auto channels = [&](const std::vector<double>& values) {
    at::Tensor result = at::empty({images.size(1)}, images.options());
    for (std::int64_t c = 0; c < images.size(1); ++c)
      result[c] = values[values.size() == 1 ? 0 : static_cast<std::size_t>(c)];
    return result.view({1, -1, 1, 1});
  };
  const at::Tensor mean = channels(normalization.mean), deviation = channels(normalization.std);
  Node node{Kind::input, {}, (images - mean) / deviation};
  node.low = (0 - mean) / deviation;
  node.high = (1 - mean) / deviation;
  return push(std::move(node));
}

Value Graph::push_matrix(Value x, Matrix matrix, const at::Tensor& live_bias,
                         std::vector<std::int64_t> shape) {
  at::Tensor z = (matrix.columns(output(x), 0).unsqueeze(1) * matrix.weight).sum(2);  // B×K×L
  if (live_bias.defined()) {
    z = z + per_output(live_bias);
    matrix.live_bias = live_bias;
    matrix.bias = constants_.hold(live_bias);
  }
  shape.insert(shape.begin(), z.size(0));
  Node node{Kind::matrix, {x.node}, z.reshape(shape)};
  node.matrix = std::move(matrix);
  return push(std::move(node));
}

Value Graph::convolution(Value x, const torch::nn::Conv2d& layer) {
  const auto& o = layer->options;
  const auto list = [](const auto& values) { return std::vector<std::int64_t>{(*values)[0], (*values)[1]}; };
  const auto padding = list(std::get<torch::ExpandingArray<2>>(o.padding()));
  const auto kernel = list(o.kernel_size()), stride = list(o.stride()), dilation = list(o.dilation());
  const at::Tensor& a = output(x);
  Matrix matrix = windows(a, kernel, dilation, padding, stride);
  // Groups: zeros where an output does not read a channel.
  std::vector<at::Tensor> rows;
  for (std::int64_t k = 0; k < o.out_channels(); ++k) {
    const std::int64_t width = o.in_channels() / o.groups(),
                       first = k / (o.out_channels() / o.groups()) * width;
    const at::Tensor w = layer->weight[k].flatten(1);  // (F/groups)×(kh·kw)
    rows.push_back(at::constant_pad_nd(w, {0, 0, first, o.in_channels() - first - width}).flatten());
  }
  matrix.weight = at::stack(rows).unsqueeze(0).unsqueeze(-1);
  const auto out = [&](std::int64_t size, std::size_t axis) {
    return places(size, dilation[axis] * (kernel[axis] - 1) + 1, stride[axis], padding[axis]);
  };
  const std::int64_t height = out(a.size(2), 0), width = out(a.size(3), 1);
  return push_matrix(x, std::move(matrix), layer->bias, {o.out_channels(), height, width});
}

Value Graph::linear(Value x, const torch::nn::Linear& layer) {
  Matrix matrix;
  matrix.weight = layer->weight.unsqueeze(0).unsqueeze(-1);
  matrix.columns = [](const at::Tensor& a, double) { return a.unsqueeze(-1); };
  matrix.fold = [](const at::Tensor& c) { return c.squeeze(-1); };
  return push_matrix(x, std::move(matrix), layer->bias, {layer->options.out_features()});
}

Value Graph::max_pool(Value x, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
  const at::Tensor a = output(x);
  const std::int64_t channels = a.size(1), size = kernel * kernel;
  Matrix matrix = windows(a, {kernel, kernel}, {1, 1}, {padding, padding}, {stride, stride});
  // The winner of each window has weight 1.
  const at::Tensor candidates =
      matrix.columns(a.detach(), -std::numeric_limits<double>::infinity()).unflatten(1, {channels, size});
  const at::Tensor winners = candidates.argmax(2);                                             // B×F×L
  const at::Tensor chosen = at::one_hot(winners, size).to(a.options()).permute({0, 1, 3, 2});  // B×F×k×L
  matrix.weight = own_windows(channels, size, a).view({1, channels, channels * size, 1}) *
                  chosen.reshape({a.size(0), 1, channels * size, -1});
  matrix.joins = matrix.winner = true;
  const std::int64_t height = places(a.size(2), kernel, stride, padding);
  const std::int64_t width = places(a.size(3), kernel, stride, padding);
  return push_matrix(x, std::move(matrix), {}, {channels, height, width});
}

Value Graph::average_pool(Value x, std::int64_t kernel, std::int64_t stride) {
  const at::Tensor a = output(x);
  const std::int64_t channels = a.size(1), size = kernel * kernel;
  Matrix matrix = windows(a, {kernel, kernel}, {1, 1}, {0, 0}, {stride, stride});
  matrix.weight = own_windows(channels, size, a).view({1, channels, -1, 1}) / static_cast<double>(size);
  matrix.joins = true;
  return push_matrix(x, std::move(matrix), {},
                     {channels, places(a.size(2), kernel, stride), places(a.size(3), kernel, stride)});
}

// Output i of n reads the places from ⌊i·size/n⌋ to ⌈(i + 1)·size/n⌉.
Value Graph::adaptive_average_pool(Value x, std::int64_t height, std::int64_t width) {
  const at::Tensor a = output(x);
  const std::int64_t channels = a.size(1);
  const auto axis = [&](std::int64_t size, std::int64_t n) {
    at::Tensor rows = at::zeros({n, size}, a.options());
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t start = i * size / n, end = ((i + 1) * size + n - 1) / n;
      rows[i].narrow(0, start, end - start).fill_(1.0 / static_cast<double>(end - start));
    }
    return rows;
  };
  const at::Tensor rows = at::kron(axis(a.size(2), height), axis(a.size(3), width));
  Matrix matrix;
  matrix.weight = at::kron(at::eye(channels, a.options()), rows).unsqueeze(0).unsqueeze(-1);
  matrix.columns = [](const at::Tensor& values, double) { return values.flatten(1).unsqueeze(-1); };
  const std::vector<std::int64_t> shape{-1, channels, a.size(2), a.size(3)};
  matrix.fold = [shape](const at::Tensor& c) { return c.reshape(shape); };
  matrix.joins = true;
  return push_matrix(x, std::move(matrix), {}, {channels, height, width});
}

Value Graph::sum_over_space(Value x) {
  const at::Tensor a = output(x);
  const std::int64_t channels = a.size(1);
  Matrix matrix;
  matrix.weight = own_windows(channels, a.size(2) * a.size(3), a).unsqueeze(0).unsqueeze(-1);
  matrix.columns = [](const at::Tensor& values, double) { return values.flatten(1).unsqueeze(-1); };
  const std::vector<std::int64_t> shape{-1, channels, a.size(2), a.size(3)};
  matrix.fold = [shape](const at::Tensor& c) { return c.reshape(shape); };
  matrix.joins = true;
  return push_matrix(x, std::move(matrix), {}, {channels});
}

Value Graph::batch_norm(Value x, const torch::nn::BatchNorm2d& layer) {
  const at::Tensor& u = output(x);
  const auto channel = [](const at::Tensor& values) { return values.view({1, -1, 1, 1}); };
  const at::Tensor mean = batch_ ? u.mean({0, 2, 3}) : layer->running_mean;
  const at::Tensor variance =
      batch_ ? (u - channel(mean)).square().mean({0, 2, 3}) : layer->running_var;  // biased
  const at::Tensor deviation = (variance + layer->options.eps()).sqrt();
  Node node{Kind::batch_norm,
            {x.node},
            channel(layer->weight) * (u - channel(mean)) / channel(deviation) + channel(layer->bias)};
  node.norm =
      Norm{layer->weight, constants_.hold(layer->bias), constants_.hold(mean), constants_.hold(deviation)};
  return push(std::move(node));
}

Value Graph::relu(Value x) {
  return push({Kind::relu, {x.node}, at::relu(output(x))});
}

Value Graph::flatten(Value x) {
  return push({Kind::flatten, {x.node}, output(x).flatten(1)});
}

Value Graph::concatenate(Value x, Value y) {
  return push({Kind::concatenation, {x.node, y.node}, at::cat({output(x), output(y)}, 1)});
}

Value Graph::add(Value x, Value y) {
  return push({Kind::addition, {x.node, y.node}, output(x) + output(y)});
}

Value Graph::dropout(Value x, const at::Tensor& factor) {
  Node node{Kind::dropout, {x.node}, output(x) * factor};
  node.factor = factor;
  return push(std::move(node));
}

}  // namespace isnet::oracle
