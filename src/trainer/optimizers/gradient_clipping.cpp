#include "trainer/optimizers/gradient_clipping.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

namespace isnet {
namespace {

// A tensor operation takes longer than so many numbers.
constexpr std::int64_t few_numbers = 16384;

template <typename Number>
double sum_of_squares(const Number* values, std::int64_t size) {
  constexpr std::int64_t lanes = 16;  // sums side by side
  std::array<double, lanes> sums{};
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes)
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      sums[static_cast<std::size_t>(lane)] += value * value;
    }
  for (; i < size; ++i) sums[0] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  double sum = 0;
  for (const double one : sums) sum += one;
  return sum;
}

double norm_of(const std::vector<at::Tensor>& gradients) {
  std::vector<at::Tensor> norms;
  for (const auto& norm : at::_foreach_norm(gradients, 2)) norms.push_back(norm);
  return at::linalg_vector_norm(at::stack(norms), 2).item<double>();
}

}  // namespace

std::vector<OptionSpec> gradient_clipping_options() {
  return {
      real_option("gradient-clip-val", "",
                  "Largest norm (or value) of the gradients; 0: any (default: 1 for objectives with heatmaps, "
                  "else 0)",
                  0, 1e30),
      choice_option("gradient-clip-algorithm", "norm", "What --gradient-clip-val limits", {"norm", "value"})};
}

GradientClipping gradient_clipping(const OptionValues& options) {
  GradientClipping clipping;
  if (options.has("gradient-clip-val")) clipping.limit = options.real("gradient-clip-val");
  if (options.text("gradient-clip-algorithm") == "value") clipping.algorithm = ClipAlgorithm::value;
  return clipping;
}

// In float64: that of a few numbers on the CPU read directly, since a small network has hundreds of such
// tensors.
double gradient_norm(const std::vector<at::Tensor>& parameters) {
  const at::NoGradGuard no_grad;
  double squares = 0;
  std::vector<at::Tensor> others;
  for (const auto& parameter : parameters) {
    const at::Tensor& gradient = parameter.grad();
    if (!gradient.defined()) continue;
    const bool few =
        gradient.is_cpu() && gradient.numel() <= few_numbers && gradient.is_non_overlapping_and_dense();
    if (few && gradient.scalar_type() == at::kFloat)
      squares += sum_of_squares(gradient.const_data_ptr<float>(), gradient.numel());
    else if (few && gradient.scalar_type() == at::kDouble)
      squares += sum_of_squares(gradient.const_data_ptr<double>(), gradient.numel());
    else
      others.push_back(gradient);
  }
  if (!others.empty()) {
    const double norm = norm_of(others);
    squares += norm * norm;
  }
  return std::sqrt(squares);
}

double clip_gradients(const std::vector<at::Tensor>& parameters, const GradientClipping& clipping) {
  const double norm = gradient_norm(parameters);
  clip_gradients(parameters, clipping, norm);
  return norm;
}

void clip_gradients(const std::vector<at::Tensor>& parameters, const GradientClipping& clipping,
                    double norm) {
  if (clipping.limit <= 0) return;
  const at::NoGradGuard no_grad;
  // torch.nn.utils.clip_grad_norm_: the constant keeps a norm of zero from dividing.
  const double factor = clipping.limit / (norm + 1e-6);
  const bool by_value = clipping.algorithm == ClipAlgorithm::value;
  if (!by_value && factor >= 1) return;
  for (const auto& parameter : parameters) {
    const at::Tensor& gradient = parameter.grad();
    if (!gradient.defined()) continue;
    if (by_value)
      gradient.clamp_(-clipping.limit, clipping.limit);
    else
      gradient.mul_(factor);
  }
}

}  // namespace isnet
