// The network of hierarchical attention mining (Ouyang et al., IEEE TMI 40(10), 2021): class activation maps
// of each abnormality and of "abnormal at all", from one forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/network.h"

namespace isnet {

/// The output for B images and K abnormal classes; maps are ≥ 0.
struct HamOutputs {
  at::Tensor anomaly, classes;          ///< logits B×1, B×K
  at::Tensor anomaly_maps, class_maps;  ///< B×1×h×w, B×K×h×w
  at::Tensor refined_class_maps;        ///< B×K×H×W in (0, 1), of the images' size
  at::Tensor refined_anomaly_maps;      ///< B×1×H×W, likewise
  Value logits;                         ///< B×(K + 1): the classes', with −anomaly for the normal one
};

/// A network that yields them. num_classes() counts the normal class ("No Finding") too.
class AttentionMiningNetwork : public Network {
 public:
  virtual HamOutputs mine(Tape& tape, const at::Tensor& images) = 0;
  Value forward(Tape& tape, const at::Tensor& images) override { return mine(tape, images).logits; }
  /// Index of the normal class among all.
  virtual std::int64_t normal_class() const = 0;
};

}  // namespace isnet
