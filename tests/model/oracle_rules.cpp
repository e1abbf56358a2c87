// The way back: rules, the walk of the block form, the second forward pass of the flex form.
#include <ATen/ATen.h>
#include <torch/autograd.h>

#include "oracle.h"

namespace isnet::oracle {
namespace {

at::Tensor steady(const at::Tensor& z, double epsilon) {
  return z + epsilon * at::where(z < 0, -at::ones_like(z), at::ones_like(z));
}

at::Tensor positive_part(const at::Tensor& x) {
  return x.clamp_min(0);
}
at::Tensor negative_part(const at::Tensor& x) {
  return x.clamp_max(0);
}

// Σ_k share_jk · R_k. shares: B×K×P×L; relevance: B×M×K×L; result B×M×P×L.
at::Tensor share_out(const at::Tensor& shares, const at::Tensor& relevance) {
  return at::einsum("bkpl,bmkl->bmpl", {shares, relevance});
}

at::Tensor per_output(const at::Tensor& values) {
  return values.view({1, -1, 1});
}

}  // namespace

// Rules of one layer. columns: B×P×L; matrix.weight and bias with a batch norm fused in; relevance B×M×K×L.
namespace {

at::Tensor general_rule(const Matrix& matrix, const at::Tensor& columns, const at::Tensor& relevance,
                        const Settings& settings) {
  const at::Tensor a = columns.unsqueeze(1);  // B×1×P×L
  const at::Tensor& w = matrix.weight;
  const at::Tensor b = matrix.bias.defined() ? per_output(matrix.bias) : at::zeros({1, 1, 1}, a.options());
  const auto shares = [&](const at::Tensor& contributions, const at::Tensor& bias) {
    return contributions / steady(contributions.sum(2) + bias, settings.epsilon).unsqueeze(2);
  };
  if (settings.rule == "zplus" && !matrix.winner)
    return share_out(shares(positive_part(a * w), positive_part(b)), relevance);
  if (settings.rule == "alpha-beta" && !matrix.joins)
    return share_out(settings.alpha * shares(positive_part(a * w), positive_part(b)) -
                         settings.beta * shares(negative_part(a * w), negative_part(b)),
                     relevance);
  return share_out(shares(a * w, b), relevance);
}

// z^B: what the pixels contribute beyond the bounds l and h. Outside the image there are no pixels.
at::Tensor bounded_rule(const Matrix& matrix, const at::Tensor& x, const at::Tensor& low,
                        const at::Tensor& high, const at::Tensor& relevance, const Settings& settings) {
  const auto columns = [&](const at::Tensor& values) {
    return matrix.columns(values.expand_as(x), 0).unsqueeze(1);
  };
  const at::Tensor& w = matrix.weight;
  const at::Tensor contributions =
      columns(x) * w - columns(low) * positive_part(w) - columns(high) * negative_part(w);
  at::Tensor z = contributions.sum(2);
  if (matrix.bias.defined()) {
    const at::Tensor b = per_output(matrix.bias);
    z = z + b - positive_part(b) * low.mean() - negative_part(b) * high.mean();
  }
  return share_out(contributions / steady(z, settings.epsilon).unsqueeze(2), relevance);
}

at::Tensor squared_rule(const Matrix& matrix, const at::Tensor& x, const at::Tensor& relevance) {
  const at::Tensor squares = matrix.weight.square() * matrix.columns(at::ones_like(x), 0).unsqueeze(1);
  return share_out(squares / squares.sum(2, /*keepdim=*/true), relevance);
}

}  // namespace

// From the end of the linear layer (with its fused batch norm) to its input.
at::Tensor Graph::through(const Node& node, const Arrived& arrived, const Settings& settings) const {
  Matrix matrix = *node.matrix;
  if (arrived.norm) {
    const std::int64_t outputs = matrix.weight.size(1), repeat = outputs / arrived.norm->gamma.size(0);
    const auto each = [&](const at::Tensor& values) { return values.repeat_interleave(repeat); };
    const at::Tensor factor = each(arrived.norm->gamma / arrived.norm->deviation);
    matrix.weight = matrix.weight * factor.view({1, -1, 1, 1});
    const at::Tensor bias =
        matrix.bias.defined() ? matrix.bias - each(arrived.norm->mean) : -each(arrived.norm->mean);
    matrix.bias = factor * bias + each(arrived.norm->beta);
    matrix.joins = matrix.winner = false;
  }
  const Node& below = get(node.inputs[0]);
  const at::Tensor& a = below.output;
  const std::int64_t batch = a.size(0), maps = arrived.relevance.size(1);
  const at::Tensor r = arrived.relevance.reshape({batch, maps, matrix.weight.size(1), -1});
  const bool pixels = below.kind == Kind::input && settings.first_layer != "epsilon";
  const at::Tensor columns = !pixels ? general_rule(matrix, matrix.columns(a, 0), r, settings)
                             : settings.first_layer == "zb"
                                 ? bounded_rule(matrix, a, below.low, below.high, r, settings)
                                 : squared_rule(matrix, a, r);
  const at::Tensor folded = matrix.fold(columns.flatten(0, 1));
  return folded.unflatten(0, {batch, maps});
}

// A batch norm is one layer with the convolution, linear layer or pool that it reads, also through a
// concatenation; elsewhere it is a diagonal layer of its own.
void Graph::pass_norm(std::vector<std::vector<Arrived>>& arrived, int reader, int node,
                      const at::Tensor& relevance, const Norm& norm, const Settings& settings) const {
  const Node& below = get(node);
  auto& place = arrived[static_cast<std::size_t>(node)];
  if (below.kind == Kind::matrix) {
    place.push_back({relevance, norm});
  } else if (below.kind == Kind::concatenation) {
    std::int64_t start = 0;
    for (const int input : below.inputs) {
      const std::int64_t length = get(input).output.size(1);
      pass_norm(arrived, reader, input, relevance.narrow(2, start, length), norm.slice(start, length),
                settings);
      start += length;
    }
  } else {
    Matrix diagonal;
    const at::Tensor factor = norm.gamma / norm.deviation;
    diagonal.weight = factor.diag().unsqueeze(0).unsqueeze(-1);
    diagonal.bias = norm.beta - factor * norm.mean;
    const at::Tensor r = general_rule(diagonal, below.output.flatten(2), relevance.flatten(3), settings);
    place.push_back({r.reshape(relevance.sizes()), {}});
  }
}

at::Tensor Graph::walk(std::vector<std::vector<Arrived>> arrived, const Settings& settings) const {
  at::Tensor heatmaps;
  for (int index = static_cast<int>(nodes_.size()) - 1; index >= 0; --index) {
    const Node& node = get(index);
    const auto here = arrived[static_cast<std::size_t>(index)];
    at::Tensor plain;  // from readers that are no fused batch norm
    for (const auto& part : here)
      if (!part.norm) plain = plain.defined() ? plain + part.relevance : part.relevance;
    const auto pass = [&](int input, const at::Tensor& relevance) {
      arrived[static_cast<std::size_t>(input)].push_back({relevance, {}});
    };
    if (node.kind == Kind::matrix) {
      for (const auto& part : here)
        if (part.norm) pass(node.inputs[0], through(node, part, settings));
      if (plain.defined()) pass(node.inputs[0], through(node, {plain, {}}, settings));
      continue;
    }
    if (!plain.defined()) continue;
    switch (node.kind) {
      case Kind::input:
        heatmaps = plain;
        break;
      case Kind::relu:
      case Kind::dropout:
        pass(node.inputs[0], plain);
        break;
      case Kind::flatten: {
        auto shape = get(node.inputs[0]).output.sizes().vec();
        shape.insert(shape.begin() + 1, plain.size(1));
        pass(node.inputs[0], plain.reshape(shape));
        break;
      }
      case Kind::concatenation: {
        const std::int64_t first = get(node.inputs[0]).output.size(1);
        pass(node.inputs[0], plain.narrow(2, 0, first));
        pass(node.inputs[1], plain.narrow(2, first, plain.size(2) - first));
        break;
      }
      case Kind::addition: {
        at::Tensor o = get(node.inputs[0]).output, d = get(node.inputs[1]).output;
        if (settings.rule == "zplus") o = positive_part(o), d = positive_part(d);
        const at::Tensor z = steady(o + d, settings.epsilon).unsqueeze(1);
        pass(node.inputs[0], o.unsqueeze(1) * plain / z);
        pass(node.inputs[1], d.unsqueeze(1) * plain / z);
        break;
      }
      case Kind::batch_norm:
        pass_norm(arrived, index, node.inputs[0], plain, *node.norm, settings);
        break;
      case Kind::matrix:
        break;
    }
  }
  return heatmaps;
}

at::Tensor Graph::relevance(Value logits, const at::Tensor& weights, const Settings& settings) const {
  if (settings.flex) return flex(logits, weights, settings);
  std::vector<std::vector<Arrived>> arrived(nodes_.size());
  at::Tensor y = output(logits);
  if (settings.rule == "zplus") {
    const Node& head = get(logits.node);
    const at::Tensor a = get(head.inputs[0]).output.unsqueeze(1);  // B×1×F
    y = positive_part(a * head.matrix->weight.squeeze(-1)).sum(2);
    if (head.matrix->bias.defined()) y = y + positive_part(head.matrix->live_bias);
  }
  arrived[static_cast<std::size_t>(logits.node)].push_back({weights * y.unsqueeze(1), {}});
  return walk(std::move(arrived), settings);
}

at::Tensor Graph::selective_relevance(Value logits, const Settings& settings) const {
  const Node& head = get(logits.node);
  const Matrix& matrix = *head.matrix;
  const at::Tensor& a = get(head.inputs[0]).output;  // B×F
  const at::Tensor w = matrix.weight.squeeze(-1).squeeze(0);
  std::vector<at::Tensor> rows;
  for (std::int64_t b = 0; b < a.size(0); ++b) {
    const auto k = head.output[b].argmin().item<std::int64_t>();
    at::Tensor row = at::zeros_like(a[b]), sum = at::zeros({}, a.options());
    std::vector<std::pair<at::Tensor, at::Tensor>> layers;  // z_c, contributions
    for (std::int64_t c = 0; c < w.size(0); ++c) {
      if (c == k) continue;
      const at::Tensor contributions = a[b] * (w[k] - w[c]);
      at::Tensor z = contributions.sum();
      if (matrix.bias.defined()) z = z + matrix.bias[k] - matrix.bias[c];
      sum = sum + (-z).exp();
      layers.emplace_back(z, contributions);
    }
    for (const auto& [z, contributions] : layers) {
      const at::Tensor r = z * (-z).exp() / steady(sum, 1e-5);
      row = row + contributions * r / steady(z, settings.epsilon);
    }
    rows.push_back(row);
  }
  std::vector<std::vector<Arrived>> arrived(nodes_.size());
  arrived[static_cast<std::size_t>(head.inputs[0])].push_back({at::stack(rows).unsqueeze(1), {}});
  return walk(std::move(arrived), settings);
}

// A second forward pass, of a change of the pixels (or of the first layer's output): linear, with the ReLUs'
// factors of the first pass, out/(z' + ε s(z')). Its gradient is c; the heatmap is activation times c.
at::Tensor Graph::flex(Value logits, const at::Tensor& weights, const Settings& settings) const {
  const auto size = nodes_.size();
  // z' of each node: inputs and weights live, biases and statistics constant.
  std::vector<at::Tensor> constant(size);
  for (std::size_t i = 0; i < size; ++i) {
    const Node& node = nodes_[i];
    const auto below = [&](std::size_t n) { return constant[static_cast<std::size_t>(node.inputs[n])]; };
    constant[i] = node.output;
    if (node.kind == Kind::matrix) {
      at::Tensor z =
          (node.matrix->columns(get(node.inputs[0]).output, 0).unsqueeze(1) * node.matrix->weight).sum(2);
      if (node.matrix->bias.defined()) z = z + per_output(node.matrix->bias);
      constant[i] = z.reshape(node.output.sizes());
    } else if (node.kind == Kind::batch_norm) {
      const auto channel = [](const at::Tensor& values) { return values.view({1, -1, 1, 1}); };
      constant[i] = channel(node.norm->gamma / node.norm->deviation) * (below(0) - channel(node.norm->mean)) +
                    channel(node.norm->beta);
    } else if (node.kind == Kind::flatten) {
      constant[i] = below(0).flatten(1);
    } else if (node.kind == Kind::dropout) {
      constant[i] = below(0) * node.factor;
    } else if (node.kind == Kind::concatenation) {
      constant[i] = at::cat({below(0), below(1)}, 1);
    } else if (node.kind == Kind::addition) {
      constant[i] = below(0) + below(1);
    }
  }
  // The first layer's end, where its rule takes over: convolution, batch norm, ReLU.
  std::size_t entry = 0;
  std::optional<Norm> norm;
  if (settings.first_layer != "epsilon") {
    entry = 1;
    if (entry + 1 < size && nodes_[entry + 1].kind == Kind::batch_norm) norm = nodes_[++entry].norm;
    if (entry + 1 < size && nodes_[entry + 1].kind == Kind::relu) ++entry;
  }
  const at::Tensor change = at::zeros_like(nodes_[entry].output).requires_grad_();
  std::vector<at::Tensor> changes(size);
  changes[entry] = change;
  for (std::size_t i = entry + 1; i < size; ++i) {
    const Node& node = nodes_[i];
    const auto below = [&](std::size_t n) { return changes[static_cast<std::size_t>(node.inputs[n])]; };
    switch (node.kind) {
      case Kind::matrix:
        changes[i] = (node.matrix->columns(below(0), 0).unsqueeze(1) * node.matrix->weight)
                         .sum(2)
                         .reshape(node.output.sizes());
        break;
      case Kind::batch_norm:
        changes[i] = (node.norm->gamma / node.norm->deviation).view({1, -1, 1, 1}) * below(0);
        break;
      case Kind::relu:
        changes[i] = below(0) * node.output /
                     steady(constant[static_cast<std::size_t>(node.inputs[0])], settings.epsilon);
        break;
      case Kind::flatten:
        changes[i] = below(0).flatten(1);
        break;
      case Kind::concatenation:
        changes[i] = at::cat({below(0), below(1)}, 1);
        break;
      case Kind::addition:
        changes[i] = below(0) + below(1);
        break;
      case Kind::dropout:
        changes[i] = below(0) * node.factor;
        break;
      case Kind::input:
        break;
    }
  }
  std::vector<at::Tensor> maps;
  for (std::int64_t m = 0; m < weights.size(1); ++m) {
    const at::Tensor start = (changes[static_cast<std::size_t>(logits.node)] * weights.select(1, m)).sum();
    const at::Tensor c = torch::autograd::grad({start}, {change}, {}, true, /*create_graph=*/true)[0];
    maps.push_back(c * nodes_[entry].output);
  }
  const at::Tensor relevance = at::stack(maps, 1);
  return entry == 0 ? relevance : through(nodes_[1], {relevance, norm}, settings);
}

}  // namespace isnet::oracle
