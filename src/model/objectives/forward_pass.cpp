#include "model/objectives/forward_pass.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "model/lrp/walk.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

ForwardPass forward_on(TapeContext context, Network& network, const at::Tensor& images) {
  ForwardPass pass{std::make_unique<Tape>(std::move(context)), {}};
  pass.logits = network.forward(*pass.tape, images);
  return pass;
}

// On one black image, leaving the network's state alone.
bool knows_gradients(Network& network, const at::Tensor& images) {
  const at::NoGradGuard no_grad;
  TapeContext context;
  context.recording = true;
  context.network = &network;
  context.multiplication = network.multiplication;
  const at::Tensor black = at::zeros({1, images.size(1), images.size(2), images.size(3)}, images.options());
  return has_input_gradients(*forward_on(std::move(context), network, black).tape);
}

InputGradients by_autograd(const ForwardPass& pass, const at::Tensor& start,
                           const std::vector<std::string>& layers) {
  const bool train = at::GradMode::is_enabled();
  const at::AutoGradMode enabled(true);
  torch::autograd::variable_list sources{pass.images};
  for (const auto& name : layers) sources.push_back(pass.tape->output({marked_node(*pass.tape, name)}));
  std::vector<std::vector<at::Tensor>> by_source(sources.size());
  for (std::int64_t map = 0; map < start.size(1); ++map) {
    const auto gradients = torch::autograd::grad({pass.tape->output(pass.logits)}, sources,
                                                 {start.select(1, map)}, /*retain_graph=*/true, train);
    for (std::size_t i = 0; i < sources.size(); ++i) by_source[i].push_back(gradients[i]);
  }
  InputGradients result;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    at::Tensor joined = at::stack(by_source[i], 1);
    if (!train) joined = joined.detach();
    if (i == 0)
      result.pixels = std::move(joined);
    else
      result.hidden.push_back(std::move(joined));
  }
  return result;
}

}  // namespace

ForwardPass record_forward(Network& network, const Batch& batch, std::uint64_t seed) {
  return forward_on(context_for(network, batch, seed, /*recording=*/true), network, batch.images);
}

ForwardPass GradientForward::operator()(Network& network, const Batch& batch, std::uint64_t seed) {
  if (!explicit_) explicit_ = knows_gradients(network, batch.images);
  if (*explicit_) return record_forward(network, batch, seed);
  const at::AutoGradMode enabled(true);
  TapeContext context = context_for(network, batch, seed, /*recording=*/true);
  context.fused = false;
  const at::Tensor images = batch.images.detach().requires_grad_(true);
  ForwardPass pass = forward_on(std::move(context), network, images);
  pass.images = images;
  return pass;
}

InputGradients input_gradients(const ForwardPass& pass, const at::Tensor& start,
                               const std::vector<std::string>& layers) {
  if (pass.images.defined()) return by_autograd(pass, start, layers);
  return input_gradients(*pass.tape, pass.logits, start, layers);
}

at::Tensor constant_gradient_at(const ForwardPass& pass, const at::Tensor& start, const std::string& layer) {
  if (!pass.images.defined()) {
    const at::NoGradGuard no_grad;
    return gradient_at(*pass.tape, pass.logits, start, layer);
  }
  const at::Tensor& activation = pass.tape->output({marked_node(*pass.tape, layer)});
  std::vector<at::Tensor> maps;
  for (std::int64_t map = 0; map < start.size(1); ++map)
    maps.push_back(torch::autograd::grad({pass.tape->output(pass.logits)}, {activation},
                                         {start.select(1, map).detach()}, /*retain_graph=*/true)[0]);
  return at::stack(maps, 1);
}

}  // namespace isnet
