#include "trainer/optimizers/gradient_clipping.h"

#include <ATen/ATen.h>

namespace isnet {
namespace {

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters)
    if (parameter.grad().defined()) gradients.push_back(parameter.grad().detach());
  return gradients;
}

// The norm of the norms, on the gradients' device.
at::Tensor total_norm(const std::vector<at::Tensor>& gradients) {
  std::vector<at::Tensor> norms;
  for (const auto& norm : at::_foreach_norm(gradients, 2)) norms.push_back(norm);
  return at::linalg_vector_norm(at::stack(norms), 2);
}

}  // namespace

std::vector<OptionSpec> gradient_clipping_options() {
  return {
      real_option("gradient-clip-val", "", "Largest norm (or value) of the gradients; none by default", 0,
                  1e30, true),
      choice_option("gradient-clip-algorithm", "norm", "What --gradient-clip-val limits", {"norm", "value"})};
}

GradientClipping gradient_clipping(const OptionValues& options) {
  GradientClipping clipping;
  if (options.has("gradient-clip-val")) clipping.limit = options.real("gradient-clip-val");
  if (options.text("gradient-clip-algorithm") == "value") clipping.algorithm = ClipAlgorithm::value;
  return clipping;
}

double gradient_norm(const std::vector<at::Tensor>& parameters) {
  const auto gradients = gradients_of(parameters);
  return gradients.empty() ? 0.0 : total_norm(gradients).item<double>();
}

double clip_gradients(const std::vector<at::Tensor>& parameters, const GradientClipping& clipping) {
  auto gradients = gradients_of(parameters);
  if (gradients.empty()) return 0.0;
  const at::Tensor norm = total_norm(gradients);
  if (clipping.limit > 0 && clipping.algorithm == ClipAlgorithm::value) {
    for (auto& gradient : gradients) gradient.clamp_(-clipping.limit, clipping.limit);
  } else if (clipping.limit > 0) {
    // torch.nn.utils.clip_grad_norm_: the constant keeps a norm of zero from dividing.
    const at::Tensor factor = at::clamp_max(clipping.limit / (norm + 1e-6), 1.0);
    for (auto& gradient : gradients) gradient.mul_(factor.to(gradient.options()));
  }
  return norm.item<double>();
}

}  // namespace isnet
