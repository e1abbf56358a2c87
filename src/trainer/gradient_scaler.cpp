#include "trainer/gradient_scaler.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace isnet {

std::vector<OptionSpec> gradient_scaler_options() {
  return {
      real_option("grad-scaler-init-scale", "65536", "16-mixed: initial scale of the loss", 0, 1e30,
                  true),
      integer_option("grad-scaler-growth-interval", "2000",
                     "16-mixed: steps without an overflow after which the scale is doubled", 1, 1 << 30)};
}

GradientScalerOptions gradient_scaler(const OptionValues& options) {
  GradientScalerOptions scaler;
  scaler.enabled = options.text("precision") == "16-mixed";
  scaler.init_scale = options.real("grad-scaler-init-scale");
  scaler.growth_interval = options.integer("grad-scaler-growth-interval");
  return scaler;
}

GradientScaler::GradientScaler(const GradientScalerOptions& options)
    : options_(options),
      scale_(at::full({}, options.init_scale, at::kFloat)),
      growth_tracker_(at::zeros({}, at::kInt)),
      found_(at::zeros({}, at::kFloat)) {}

double GradientScaler::current() const {
  return scale_.item<double>();
}

at::Tensor GradientScaler::scale(const at::Tensor& loss) const {
  return enabled() ? loss * current() : loss;
}

bool GradientScaler::unscale(const std::vector<at::Tensor>& parameters) {
  if (!enabled()) return false;
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters)
    if (parameter.grad().defined()) gradients.push_back(parameter.grad().detach());
  if (gradients.empty()) return false;
  const auto device = gradients.front().device();
  const at::Tensor inverse = scale_.to(at::kDouble).reciprocal().to(device, at::kFloat);
  at::Tensor found = at::zeros({}, inverse.options());
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, found, inverse);
  found_ = found.cpu();
  return found_.item<float>() > 0;
}

void GradientScaler::update() {
  if (!enabled()) return;
  at::_amp_update_scale_(scale_, growth_tracker_, found_, options_.growth_factor, options_.backoff_factor,
                         options_.growth_interval);
}

nlohmann::json GradientScaler::state() const {
  return {{"scale", current()}, {"growth_tracker", growth_tracker_.item<std::int64_t>()}};
}

void GradientScaler::load_state(const nlohmann::json& state) {
  try {
    scale_.fill_(state.at("scale").get<double>());
    growth_tracker_.fill_(state.at("growth_tracker").get<std::int64_t>());
  } catch (const std::exception& e) {
    fail(ErrorKind::checkpoint, "the checkpoint lacks the state of gradient scaling: ", e.what());
  }
}

}  // namespace isnet
