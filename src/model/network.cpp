#include "model/network.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "base/error.h"

namespace isnet {

Registry<NetworkFactory>& networks() {
  static Registry<NetworkFactory> registry("network");
  return registry;
}

namespace {

// The registered networks that have the capability.
std::string names_of_networks(bool Capabilities<NetworkFactory>::* capability) {
  std::string text;
  for (const auto& name : networks().names())
    if (networks().at(name).capabilities.*capability) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::string classifying_networks() {
  return names_of_networks(&Capabilities<NetworkFactory>::classifies);
}

std::string segmenting_networks() {
  return names_of_networks(&Capabilities<NetworkFactory>::segments);
}

void Network::place(at::Device device, at::ScalarType dtype) {
  const auto move = [&](at::Tensor tensor) {
    tensor.set_data(tensor.is_floating_point() ? tensor.to(device, dtype) : tensor.to(device));
  };
  for (const auto& parameter : parameters()) move(parameter);
  for (const auto& buffer : buffers()) move(buffer);
}

at::Tensor Network::logits(const at::Tensor& images) {
  TapeContext context;
  context.network = this;
  context.multiplication = multiplication;
  context.statistics = is_training() ? BatchStatistics::batch_update : BatchStatistics::running;
  Tape tape(std::move(context));
  return tape.prediction(forward(tape, images));
}

Normalization parse_normalization(const std::string& text) {
  if (text == "none") return {};
  if (text == "imagenet") return {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
  const auto refuse = [&] {
    fail(ErrorKind::usage, "--normalize: '", text,
         "' is not allowed; allowed: none|imagenet|M,S or M,M,M,S,S,S with every S above 0");
  };
  std::vector<double> values;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    double value = 0;
    const auto result = std::from_chars(part.data(), part.data() + part.size(), value);
    if (result.ec != std::errc() || result.ptr != part.data() + part.size() || !std::isfinite(value))
      refuse();
    values.push_back(value);
  }
  if (values.size() != 2 && values.size() != 6) refuse();
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  Normalization normalization{{values.begin(), middle}, {middle, values.end()}};
  for (const double s : normalization.std)
    if (s <= 0) refuse();
  return normalization;
}

std::string to_text(const Normalization& normalization) {
  if (normalization.identity()) return "none";
  std::ostringstream out;
  out.precision(17);
  for (const double m : normalization.mean) out << m << ',';
  for (std::size_t i = 0; i < normalization.std.size(); ++i) out << (i ? "," : "") << normalization.std[i];
  return out.str();
}

}  // namespace isnet
