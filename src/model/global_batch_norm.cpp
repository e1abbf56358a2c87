#include "model/global_batch_norm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "distributed/autograd_state.h"

namespace isnet {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// All axes but that of channels.
std::vector<std::int64_t> sample_axes(const at::Tensor& x) {
  std::vector<std::int64_t> axes(static_cast<std::size_t>(x.dim()));
  std::iota(axes.begin(), axes.end(), 0);
  axes.erase(axes.begin() + 1);
  return axes;
}

at::Tensor per_channel(const at::Tensor& values, const at::Tensor& like) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape[1] = -1;
  return values.view(shape);
}

fused::Moments own_moments(const at::Tensor& x) {
  const auto options = x.options().dtype(at::kDouble);
  if (x.numel() == 0) return {at::zeros({x.size(1)}, options), at::zeros({x.size(1)}, options), 0};
  const auto [variance, mean] = at::var_mean(x, sample_axes(x), /*unbiased=*/false);
  return {mean.to(at::kDouble), variance.to(at::kDouble), static_cast<double>(x.numel() / x.size(1))};
}

struct StandardizeState {
  std::shared_ptr<const AcrossRanks> across;
  double count;  // of the global batch, a channel
};

// x → x̂ = (x − μ)/σ, 1/σ; μ and 1/σ are functions of all ranks' x. The derivative is written in x̂ and 1/σ
// themselves, so that it can be differentiated again.
struct Standardize : torch::autograd::Function<Standardize> {
  static variable_list forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& mean,
                               const at::Tensor& inverse_deviation, const StandardizeState& state) {
    const at::Tensor inverse = inverse_deviation.clone();
    const at::Tensor standard = (x - per_channel(mean, x)).mul_(per_channel(inverse, x));
    context->set_materialize_grads(false);
    context->save_for_backward({standard, inverse});
    keep(context, state);
    return {standard, inverse};
  }

  // dx = (1/σ)·(g − Σg/n − x̂·(Σg·x̂ + h/σ)/n), sums over all ranks' samples; g, h: by x̂ and by 1/σ.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &standard = saved[0], &inverse = saved[1];
    const auto& [across, count] = kept<StandardizeState>(context);
    const at::Tensor live = gradients[0].defined() ? gradients[0] : at::zeros_like(standard);
    const at::Tensor by_inverse = gradients[1].defined() ? gradients[1] : at::zeros_like(inverse);
    const auto axes = sample_axes(standard);
    const at::Tensor sums =
        across->sum(at::stack({live.sum(axes), (live * standard).sum(axes) + by_inverse * inverse}));
    const at::Tensor means = sums / count;
    const at::Tensor dx = per_channel(inverse, standard) * (live - per_channel(means[0], standard) -
                                                            standard * per_channel(means[1], standard));
    return {dx, {}, {}, {}};
  }
};

// running ← (1 − momentum)·running + momentum·value
void move_towards(at::Tensor running, const at::Tensor& value, double momentum) {
  running.mul_(1 - momentum).add_(value.to(running.options()), momentum);
}

}  // namespace

fused::Moments merged(const fused::Moments& own, const AcrossRanks& across) {
  const at::NoGradGuard no_grad;
  const std::int64_t channels = own.mean.size(0);
  const at::Tensor count = at::full({1}, own.count, own.mean.options());
  const at::Tensor all = across.gather(at::cat({count, own.mean, own.variance * own.count}));
  const at::Tensor counts = all.narrow(1, 0, 1), means = all.narrow(1, 1, channels);
  const double n = counts.sum().item<double>();
  const at::Tensor mean = (counts * means).sum(0) / n;
  const at::Tensor squares =
      all.narrow(1, 1 + channels, channels).sum(0) + (counts * (means - mean).square()).sum(0);
  return {mean, squares / n, n};
}

void require_several_values(double count) {
  if (count < 2)
    fail(ErrorKind::usage,
         "batch norm in training mode needs more than one value for each channel, and this batch of a rank "
         "has one: use a larger --batch-size or larger images; where --last-batch short leaves such a small batch, use --last-batch drop or pad");
}

void update_running_statistics(at::Tensor running_mean, at::Tensor running_var, const fused::Moments& moments,
                               double momentum) {
  const at::NoGradGuard no_grad;
  if (running_mean.defined()) move_towards(running_mean, moments.mean, momentum);
  if (running_var.defined())
    move_towards(running_var, moments.variance * (moments.count / (moments.count - 1)), momentum);
}

BatchNormalized global_batch_norm(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias,
                                  const at::Tensor& running_mean, const at::Tensor& running_var,
                                  double momentum, double epsilon,
                                  const std::shared_ptr<const AcrossRanks>& across) {
  const at::Tensor x = input.to(at::promote_types(input.scalar_type(), at::kFloat));
  const fused::Moments moments = merged(own_moments(x.detach()), *across);
  require_several_values(moments.count);
  update_running_statistics(running_mean, running_var, moments, momentum);
  const at::Tensor mean = moments.mean.to(x.scalar_type());
  const at::Tensor inverse = (moments.variance + epsilon).rsqrt().to(x.scalar_type());
  at::Tensor output = Standardize::apply(x, mean, inverse, StandardizeState{across, moments.count})[0];
  if (weight.defined()) output = output * per_channel(weight, x);
  if (bias.defined()) output = output + per_channel(bias, x);
  return {output.to(input.scalar_type()), mean, inverse};
}

}  // namespace isnet
