// What an autograd function keeps besides tensors, as long as the graph.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace isnet {

template <typename Content>
struct AutogradState : torch::CustomClassHolder {
  explicit AutogradState(Content content) : content(std::move(content)) {}
  Content content;
};

template <typename Content>
void keep(torch::autograd::AutogradContext* context, Content content) {
  context->saved_data["state"] =
      at::IValue::make_capsule(c10::make_intrusive<AutogradState<Content>>(std::move(content)));
}

template <typename Content>
Content& kept(torch::autograd::AutogradContext* context) {
  const auto capsule = context->saved_data.at("state").toCapsule();
  return c10::static_intrusive_pointer_cast<AutogradState<Content>>(capsule)->content;
}

}  // namespace isnet
