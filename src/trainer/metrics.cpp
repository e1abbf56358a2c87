#include "trainer/metrics.h"

#include <ATen/ATen.h>

#include <limits>
#include <sstream>

#include "base/error.h"

namespace isnet {

double metric(const Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics)
    if (key == name) return value;
  return std::numeric_limits<double>::quiet_NaN();
}

std::pair<double, double> correct_answers(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor right = labels.dim() == 1 ? logits.argmax(1).eq(labels) : (logits > 0).eq(labels > 0.5);
  return {right.sum().item<double>(), static_cast<double>(right.numel())};
}

void MetricSums::add(const Losses& losses, const at::Tensor& labels, std::int64_t samples) {
  std::vector<std::string> names{"loss"};
  const auto weight = static_cast<double>(samples);
  std::vector<double> values{weight, losses.total.item<double>() * weight};
  for (const auto& [name, value] : losses.parts) {
    names.push_back(name);
    values.push_back(value.item<double>() * weight);
  }
  if (labels.defined()) {
    const auto [right, all] =
        correct_answers(losses.logits.narrow(0, 0, samples), labels.narrow(0, 0, samples));
    names.emplace_back("accuracy");
    values.push_back(right / all * weight);
  }
  add(names, values);
}

void MetricSums::add(const std::vector<std::string>& names, const std::vector<double>& sums) {
  if (sums_.empty()) {
    names_ = names;
    sums_.assign(sums.size(), 0.0);
  }
  if (names != names_) fail(ErrorKind::internal, "an objective changed the names of its losses");
  for (std::size_t i = 0; i < sums.size(); ++i) sums_[i] += sums[i];
}

Metrics MetricSums::means(const std::vector<std::string>& names, const std::vector<double>& sums) {
  Metrics metrics;
  for (std::size_t i = 0; i < names.size(); ++i) metrics.emplace_back(names[i], sums[i + 1] / sums[0]);
  metrics.emplace_back("samples", sums.empty() ? 0 : sums[0]);
  return metrics;
}

Metrics MetricSums::reduced(const Communicator& communicator) const {
  if (communicator.world_size() == 1) return means(names_, sums_);
  // A rank that saw no batch does not know the names: it learns them from one that did.
  std::string joined;
  for (const auto& name : names_) joined += name + "\n";
  std::vector<std::string> names;
  for (const auto& text : communicator.all_gather(joined)) {
    if (text.empty() || !names.empty()) continue;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) names.push_back(line);
  }
  std::vector<double> sums = sums_;
  sums.resize(names.size() + 1, 0.0);
  communicator.all_reduce_sum(sums);
  return means(names, sums);
}

void MetricSums::set(std::vector<std::string> names, std::vector<double> sums) {
  names_ = std::move(names);
  sums_ = std::move(sums);
}

}  // namespace isnet
