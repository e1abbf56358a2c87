// Small U-Nets in float64, and what is asked of them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/model.h"
#include "support/refusal.h"

namespace isnet::testing {

template <typename Action>
void expect_refusal(Action&& action, ErrorKind kind, const std::vector<std::string>& said) {
  const std::string message = refusal(kind, std::forward<Action>(action));
  for (const auto& part : said) EXPECT_NE(message.find(part), std::string::npos) << message;
}

inline OptionValues small_unet(const std::vector<std::pair<std::string, std::string>>& more = {}) {
  auto options = model_options();
  options.set("depth", "3");
  options.set("wf", "1");
  options.set("padding", "1");
  for (const auto& [name, value] : more) options.set(name, value);
  return options;
}

inline std::shared_ptr<Network> make(const char* name, const OptionValues& options,
                                     std::int64_t classes = 3) {
  at::manual_seed(1);
  auto network = networks().at(name).make(options, classes);
  network->place(at::kCPU, at::kDouble);
  network->eval();
  return network;
}

inline at::Tensor pixel_logits(Network& network, const at::Tensor& images) {
  const at::NoGradGuard no_grad;
  Tape tape(TapeContext{});
  return tape.output(network.outputs(tape, images).pixels);
}

inline std::int64_t parameters(const Network& network) {
  std::int64_t sum = 0;
  for (const auto& parameter : network.parameters()) sum += parameter.numel();
  return sum;
}

}  // namespace isnet::testing
