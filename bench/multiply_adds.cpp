#include "bench/multiply_adds.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

namespace isnet::bench {
namespace {

std::atomic<double> counted{0};
thread_local int depth = 0;

using Values = c10::ArrayRef<const c10::IValue>;

// Of all images' maps together: places of one channel.
double places(const at::Tensor& maps) {
  return static_cast<double>(maps.numel()) / static_cast<double>(std::max<std::int64_t>(maps.size(1), 1));
}

// Places of a convolution's output, of all images together.
double output_places(const at::Tensor& input, const at::Tensor& weight, Values in) {
  const auto strides = in[3].toIntVector(), padding = in[4].toIntVector(), dilation = in[5].toIntVector();
  const auto along = [](const std::vector<std::int64_t>& values, std::int64_t axis) {
    return values.at(values.size() == 1 ? 0 : static_cast<std::size_t>(axis));
  };
  auto places = static_cast<double>(input.size(0));
  for (std::int64_t axis = 0; axis < input.dim() - 2; ++axis) {
    const std::int64_t reach = along(dilation, axis) * (weight.size(axis + 2) - 1) + 1;
    const std::int64_t room = input.size(axis + 2) + 2 * along(padding, axis) - reach;
    places *= static_cast<double>(room / along(strides, axis) + 1);
  }
  return places;
}

// Each place of the output, of a transposed convolution of the input, meets each weight once.
double of_convolution(Values in) {
  const at::Tensor &input = in[0].toTensor(), &weight = in[1].toTensor();
  return (in[6].toBool() ? places(input) : output_places(input, weight, in)) *
         static_cast<double>(weight.numel());
}

// The same for the gradient by the input and for that by the weight, where they are wanted.
double of_convolution_backward(Values in) {
  const at::Tensor &gradient = in[0].toTensor(), &input = in[1].toTensor(), &weight = in[2].toTensor();
  const auto wanted = in[10].toBoolList();
  return places(in[7].toBool() ? input : gradient) * static_cast<double>(weight.numel()) *
         ((wanted.get(0) ? 1 : 0) + (wanted.get(1) ? 1 : 0));
}

// …×m×k by …×k×n, or by a vector.
double of_product(const at::Tensor& left, const at::Tensor& right) {
  return static_cast<double>(left.numel()) * static_cast<double>(right.dim() > 1 ? right.size(-1) : 1);
}

// Queries by keys, and these by values; B×heads×n×d. Backward: the first again, and two gradients of each.
double of_attention(const at::Tensor& queries, const at::Tensor& keys, double products) {
  return products * static_cast<double>(queries.numel()) * static_cast<double>(keys.size(-2));
}

double work_of(std::string_view name, Values in) {
  if (name == "aten::convolution") return of_convolution(in);
  if (name == "aten::convolution_backward") return of_convolution_backward(in);
  if (name == "aten::mm" || name == "aten::bmm" || name == "aten::mv" || name == "aten::dot")
    return of_product(in[0].toTensor(), in[1].toTensor());
  if (name == "aten::addmm" || name == "aten::baddbmm" || name == "aten::addmv")
    return of_product(in[1].toTensor(), in[2].toTensor());
  if (name == "aten::_scaled_dot_product_flash_attention_for_cpu")
    return of_attention(in[0].toTensor(), in[1].toTensor(), 2);
  return of_attention(in[1].toTensor(), in[2].toTensor(), 5);
}

bool counts(std::string_view name) {
  for (const char* known :
       {"aten::convolution", "aten::convolution_backward", "aten::mm", "aten::bmm", "aten::mv", "aten::dot",
        "aten::addmm", "aten::baddbmm", "aten::addmv", "aten::_scaled_dot_product_flash_attention_for_cpu",
        "aten::_scaled_dot_product_flash_attention_for_cpu_backward"})
    if (name == known) return true;
  return false;
}

struct Inside : at::ObserverContext {};

// What an operator calls in turn is its own work.
std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& function) {
  if (!counts(function.name())) return nullptr;
  if (depth++ == 0) counted = counted + work_of(function.name(), function.inputs());
  return std::make_unique<Inside>();
}

void leave(const at::RecordFunction&, at::ObserverContext* context) {
  if (context) --depth;
}

struct Observer {
  at::CallbackHandle handle = at::addGlobalCallback(
      at::RecordFunctionCallback(enter, leave).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  ~Observer() { at::removeCallback(handle); }
};

}  // namespace

double multiply_adds(const std::function<void()>& action) {
  counted = 0;
  const Observer observer;
  action();
  return counted;
}

}  // namespace isnet::bench
