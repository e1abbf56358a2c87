#include "trainer/optimizers/gradient_clipping.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

namespace isnet {
namespace {

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters)
    if (parameter.grad().defined()) gradients.push_back(parameter.grad().detach());
  return gradients;
}

// A tensor operation takes longer than so many numbers.
constexpr std::int64_t few_numbers = 16384;

template <typename Number>
double sum_of_squares(const Number* values, std::int64_t size) {
  std::array<double, 8> sums{};  // in lanes, which a compiler may add up side by side
  std::int64_t i = 0;
  for (; i + 8 <= size; i += 8)
    for (std::int64_t lane = 0; lane < 8; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      sums[static_cast<std::size_t>(lane)] += value * value;
    }
  for (; i < size; ++i) sums[0] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  double sum = 0;
  for (const double one : sums) sum += one;
  return sum;
}

// In float64: that of a few numbers on the CPU read directly, since a small network has hundreds of such
// tensors.
double total_norm(const std::vector<at::Tensor>& gradients) {
  double squares = 0;
  std::vector<at::Tensor> others;
  for (const auto& gradient : gradients) {
    const bool few = gradient.device().is_cpu() && gradient.numel() <= few_numbers &&
                     gradient.is_non_overlapping_and_dense();
    if (few && gradient.scalar_type() == at::kFloat)
      squares += sum_of_squares(gradient.const_data_ptr<float>(), gradient.numel());
    else if (few && gradient.scalar_type() == at::kDouble)
      squares += sum_of_squares(gradient.const_data_ptr<double>(), gradient.numel());
    else
      others.push_back(gradient);
  }
  if (!others.empty()) {
    std::vector<at::Tensor> norms;
    for (const auto& norm : at::_foreach_norm(others, 2)) norms.push_back(norm);
    const auto norm = at::linalg_vector_norm(at::stack(norms), 2).item<double>();
    squares += norm * norm;
  }
  return std::sqrt(squares);
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
  return gradients.empty() ? 0.0 : total_norm(gradients);
}

double clip_gradients(const std::vector<at::Tensor>& parameters, const GradientClipping& clipping) {
  auto gradients = gradients_of(parameters);
  if (gradients.empty()) return 0.0;
  const double norm = total_norm(gradients);
  if (clipping.limit > 0 && clipping.algorithm == ClipAlgorithm::value) {
    for (auto& gradient : gradients) gradient.clamp_(-clipping.limit, clipping.limit);
  } else if (clipping.limit > 0) {
    // torch.nn.utils.clip_grad_norm_: the constant keeps a norm of zero from dividing.
    const double factor = clipping.limit / (norm + 1e-6);
    if (!(factor >= 1))
      for (auto& gradient : gradients) gradient.mul_(factor);
  }
  return norm;
}

}  // namespace isnet
