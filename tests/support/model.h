// Networks and options for tests, as golden files describe them.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "base/options.h"
#include "model/losses/heatmap_loss.h"
#include "model/lrp/layer_rule.h"
#include "model/lrp/selection.h"
#include "model/network.h"
#include "model/objectives/objective.h"
#include "support/golden.h"

namespace isnet::testing {

/// Every option of networks, objectives and heatmap losses, at its default.
inline OptionValues model_options() {
  std::vector<OptionSpec> specs{integer_option("seed", "0", "", 0), real_option("dropout", "0", "", 0, 1)};
  for (const auto& more : {networks().options(), objectives().options(), heatmap_losses().options(),
                           heatmap_selections().options(), layer_rules().options()})
    specs.insert(specs.end(), more.begin(), more.end());
  return OptionValues(specs);
}

inline std::string exact(double value) {
  std::ostringstream out;
  out.precision(17);
  out << value;
  return out.str();
}

/// The DenseNet that a golden file's attributes describe, in float64.
inline std::shared_ptr<Network> densenet_of(const hdf5::Group& group) {
  auto options = model_options();
  options.set("growth-rate", cat(group.attribute<std::int64_t>("growth_rate")));
  options.set("init-features", cat(group.attribute<std::int64_t>("init_features")));
  std::string blocks;
  for (const auto layers : group.attribute_values<std::int64_t>("blocks"))
    blocks += (blocks.empty() ? "" : ",") + cat(layers);
  options.set("blocks", blocks);
  auto network = networks().at("densenet").make(options, group.attribute<std::int64_t>("classes"));
  network->place(at::kCPU, at::kDouble);
  return network;
}

/// A list of numbers as an option's text.
inline std::string joined(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const auto value : values) text += (text.empty() ? "" : ",") + cat(value);
  return text;
}

/// The ISNet objective's options that a golden file's attributes describe.
inline OptionValues isnet_options_of(const hdf5::Group& group) {
  auto options = model_options();
  options.set("heatmap-weight", exact(group.attribute<double>("P")));
  options.set("lrp-epsilon", exact(group.attribute<double>("epsilon")));
  options.set("first-layer", group.attribute<std::int64_t>("zB") ? "zb" : "epsilon");
  options.set("cut", exact(group.attribute<double>("C1")));
  options.set("cut2", exact(group.attribute<double>("C2")));
  options.set("gwrp-decay", exact(group.attribute<double>("d")));
  options.set("loss-e", exact(group.attribute<double>("E")));
  options.set("loss-w1", exact(group.attribute<double>("w1")));
  options.set("loss-w2", exact(group.attribute<double>("w2")));
  return options;
}

/// Copies tensors of torchvision's names into the module; all have to be there.
inline void load(torch::nn::Module& module, const hdf5::Group& weights) {
  at::NoGradGuard no_grad;
  const auto tensors = golden_tensors(weights);
  std::size_t used = 0;
  const auto copy = [&](const std::string& name, at::Tensor target) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      if (name.find("num_batches_tracked") != std::string::npos) return;
      fail(ErrorKind::data, "golden weights lack ", name);
    }
    target.copy_(found->second);
    ++used;
  };
  for (const auto& entry : module.named_parameters()) copy(entry.key(), entry.value());
  for (const auto& entry : module.named_buffers()) copy(entry.key(), entry.value());
  if (used != tensors.size()) fail(ErrorKind::data, "golden weights that the network lacks");
}

/// Worst gradient error: difference / max(largest of that tensor, 1e-6 × largest gradient of the network).
inline Worst worst_gradient(const torch::nn::Module& module,
                            const std::map<std::string, at::Tensor>& expected) {
  double network_largest = 0;
  for (const auto& entry : expected) network_largest = std::max(network_largest, largest(entry.second));
  Worst worst;
  for (const auto& entry : module.named_parameters()) {
    const auto found = expected.find(entry.key());
    if (found == expected.end()) continue;
    const at::Tensor actual =
        entry.value().grad().defined() ? entry.value().grad() : at::zeros_like(entry.value());
    // Zero but for rounding (a bias in front of a batch norm that trains): compared on the network's scale.
    const bool nothing = largest(found->second) < 1e-12 * network_largest;
    worst.add(entry.key(),
              relative_difference(actual, found->second, (nothing ? 1.0 : 1e-6) * network_largest));
  }
  return worst;
}

/// Compares the gradients of a functional of a network by its weights with finite differences. In eval mode:
/// constants of denominators (biases, statistics) do not depend on what is moved; biases are left out.
template <typename Functional>
void expect_gradients_of_finite_differences(torch::nn::Module& network, const Functional& functional) {
  functional().backward();
  for (const auto& entry : network.named_parameters()) {
    if (entry.key().find("bias") != std::string::npos) continue;
    const at::NoGradGuard no_grad;
    at::Tensor parameter = entry.value();
    const at::Tensor step = at::randn_like(parameter) * 1e-6;
    parameter.add_(step);
    const double up = functional().template item<double>();
    parameter.sub_(step * 2);
    const double down = functional().template item<double>();
    parameter.add_(step);
    const double expected = (up - down) / 2, actual = (parameter.grad() * step).sum().item<double>();
    EXPECT_NEAR(actual, expected, 2e-4 * std::max(std::abs(expected), 1e-6)) << entry.key();
  }
}

}  // namespace isnet::testing
