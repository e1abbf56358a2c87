// Golden vectors (tests/golden/*.h5) as tensors, and how near a result has to come to them.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/error.h"
#include "data/hdf5.h"

namespace isnet::testing {

inline hdf5::File golden_file(const std::string& name) {
  return hdf5::File::open(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / name);
}

/// A dataset as a float64 tensor (int64 for integers).
inline at::Tensor golden_tensor(const hdf5::Group& group, const std::string& path) {
  const hdf5::Dataset dataset = group.dataset(path);
  const auto tensor = [](auto array, at::ScalarType type) {
    return at::from_blob(array.values.data(), array.shape, at::dtype(type)).clone();
  };
  return hdf5::is_integer(dataset.type()) ? tensor(dataset.read<std::int64_t>(), at::kLong)
                                          : tensor(dataset.read<double>(), at::kDouble);
}

/// The datasets of a group by name (names with dots, such as parameters').
inline std::map<std::string, at::Tensor> golden_tensors(const hdf5::Group& group) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& name : group.dataset_names()) tensors[name] = golden_tensor(group, name);
  return tensors;
}

inline double largest(const at::Tensor& tensor) {
  return tensor.numel() ? tensor.abs().max().to(at::kDouble).item<double>() : 0.0;
}

/// Largest difference relative to the largest expected value (at least `floor`); infinite for other shapes or
/// NaN.
inline double relative_difference(const at::Tensor& actual, const at::Tensor& expected, double floor = 0) {
  if (actual.sizes() != expected.sizes()) return std::numeric_limits<double>::infinity();
  const double difference = largest(actual.to(at::kDouble) - expected.to(at::kDouble));
  const double scale = std::max(largest(expected), floor);
  if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
  return difference == 0 ? 0 : difference / scale;
}

/// Worst error of a test, kept for the report.
class Worst {
 public:
  void add(const std::string& name, double error) {
    if (error >= value_) {
      value_ = error;
      name_ = name;
    }
  }
  double value() const { return value_; }
  const std::string& name() const { return name_; }

 private:
  double value_ = 0;
  std::string name_ = "-";
};

}  // namespace isnet::testing
