#include "trainer/metrics.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "base/error.h"

namespace isnet {

double metric(const Metrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics)
    if (key == name) return value;
  return std::numeric_limits<double>::quiet_NaN();
}

namespace {

// Small tensors in host memory are read where they are: each operation on tensors costs a step more than the
// numbers do.
template <typename T>
bool readable(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.is_contiguous() &&
         tensor.scalar_type() == c10::CppTypeToScalarType<T>::value;
}

// The place of the largest value, the first of equal ones; NaN is larger than all.
template <typename T>
std::int64_t largest(const T* values, std::int64_t count) {
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < count; ++i)
    if (values[i] > values[best] || (std::isnan(values[i]) && !std::isnan(values[best]))) best = i;
  return best;
}

// How many rows of B×K logits have their largest value at the label.
template <typename T>
double right_rows(const at::Tensor& logits, const at::Tensor& labels, std::int64_t samples) {
  const std::int64_t classes = logits.size(1), *label = labels.const_data_ptr<std::int64_t>();
  const T* row = logits.const_data_ptr<T>();
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < samples; ++i, row += classes)
    right += largest(row, classes) == label[i] ? 1 : 0;
  return static_cast<double>(right);
}

// How many of B×K logits have the sign that the labels ask for.
template <typename T>
double right_signs(const at::Tensor& logits, const at::Tensor& labels, std::int64_t samples) {
  const T *logit = logits.const_data_ptr<T>(), *label = labels.const_data_ptr<T>();
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < samples * logits.size(1); ++i)
    right += (logit[i] > 0) == (label[i] > T{0.5}) ? 1 : 0;
  return static_cast<double>(right);
}

template <typename T>
bool counted_here(const at::Tensor& logits, const at::Tensor& labels, std::int64_t samples, double& right) {
  if (logits.dim() != 2 || logits.size(1) == 0 || !readable<T>(logits)) return false;
  if (labels.dim() == 1 && readable<std::int64_t>(labels))
    right = right_rows<T>(logits, labels, samples);
  else if (labels.sizes() == logits.sizes() && readable<T>(labels))
    right = right_signs<T>(logits, labels, samples);
  else
    return false;
  return true;
}

// What a metric's sum is divided by, where that is not the number of samples: the sum behind it, of its name
// with this mark.
constexpr const char* divisor_mark = "/";

// Dice and intersection over union of each class of pixels.
void add_pixels(const at::Tensor& pixel_counts, std::vector<std::string>& names, std::vector<double>& sums) {
  const at::Tensor counts = pixel_counts.to(at::kCPU, at::kDouble).contiguous();
  const std::int64_t classes = counts.size(0);
  const auto count = [&, all = counts.const_data_ptr<double>()](std::int64_t truth, std::int64_t predicted) {
    return all[truth * classes + predicted];
  };
  const auto add = [&](const std::string& name, double part, double whole) {
    names.insert(names.end(), {name, name + divisor_mark});
    sums.insert(sums.end(), {part, whole});
  };
  for (std::int64_t k = 0; k < classes; ++k) {
    double truth = 0, predicted = 0;
    for (std::int64_t other = 0; other < classes; ++other) {
      truth += count(k, other);
      predicted += count(other, k);
    }
    add(cat("dice_", k), 2 * count(k, k), truth + predicted);
    add(cat("iou_", k), count(k, k), truth + predicted - count(k, k));
  }
}

}  // namespace

double value_of(const at::Tensor& scalar) {
  if (scalar.numel() == 1 && readable<float>(scalar)) return *scalar.const_data_ptr<float>();
  if (scalar.numel() == 1 && readable<double>(scalar)) return *scalar.const_data_ptr<double>();
  return scalar.item<double>();
}

std::pair<double, double> correct_answers(const at::Tensor& logits, const at::Tensor& labels,
                                          std::int64_t samples) {
  const auto all = static_cast<double>(labels.dim() == 1 ? samples : samples * labels.size(1));
  double right = 0;
  if (counted_here<float>(logits, labels, samples, right) ||
      counted_here<double>(logits, labels, samples, right))
    return {right, all};
  const at::Tensor logit = logits.detach().narrow(0, 0, samples), label = labels.narrow(0, 0, samples);
  const at::Tensor equal = label.dim() == 1 ? logit.argmax(1).eq(label) : (logit > 0).eq(label > 0.5);
  return {equal.sum().item<double>(), all};
}

void MetricSums::add(const Losses& losses, const at::Tensor& labels, std::int64_t samples) {
  std::vector<std::string> names{"loss"};
  const auto weight = static_cast<double>(samples);
  std::vector<double> values{weight, value_of(losses.total) * weight};
  for (const auto& [name, value] : losses.parts) {
    names.push_back(name);
    values.push_back(value_of(value) * weight);
  }
  if (labels.defined() && losses.logits.defined()) {
    const auto [right, all] = correct_answers(losses.logits, labels, samples);
    names.emplace_back("accuracy");
    values.push_back(right / all * weight);
  }
  if (losses.pixel_counts.defined()) add_pixels(losses.pixel_counts, names, values);
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
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool ratio = i + 1 < names.size() && names[i + 1] == names[i] + divisor_mark;
    metrics.emplace_back(names[i], sums[i + 1] / sums[ratio ? i + 2 : 0]);
    if (ratio) ++i;
  }
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
