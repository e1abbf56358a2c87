// What an autograd function keeps besides tensors, as long as the graph.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

#include <utility>

namespace isnet {

/// A holder that autograd can carry: any C++ object.
template <typename Content>
struct AutogradState : torch::CustomClassHolder {
  explicit AutogradState(Content content) : content(std::move(content)) {}
  Content content;
};

/// In a forward pass: keeps `content` for the backward pass, one object for each function.
template <typename Content>
void keep(torch::autograd::AutogradContext* context, Content content) {
  context->saved_data["state"] =
      at::IValue::make_capsule(c10::make_intrusive<AutogradState<Content>>(std::move(content)));
}

/// In the backward pass: what keep() was given. Content must be the same type.
template <typename Content>
Content& kept(torch::autograd::AutogradContext* context) {
  const auto capsule = context->saved_data.at("state").toCapsule();
  return c10::static_intrusive_pointer_cast<AutogradState<Content>>(capsule)->content;
}

}  // namespace isnet
