// Copies of tensors, and the way back.
#include "trainer/kept_tensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace isnet {
namespace {

// What BN layers have, and what is laid out otherwise.
std::vector<at::Tensor> buffers(bool dense) {
  std::vector<at::Tensor> all{at::randn({7}), at::randn({3, 4}, at::kDouble), at::full({}, 5, at::kLong),
                              at::randn({4, 5}).t()};
  if (!dense) all.push_back(at::randn({6, 6}).slice(1, 0, 6, 2));
  return all;
}

TEST(KeptTensors, ComeBackAsTheyWereWhenTheyWereKeptLast) {
  for (const bool dense : {true, false}) {
    const auto tensors = buffers(dense);
    KeptTensors kept;
    for (int time = 0; time < 2; ++time) {
      std::vector<at::Tensor> expected;
      for (const auto& tensor : tensors) expected.push_back(tensor.clone());
      kept.keep(tensors);
      for (const auto& tensor : tensors) tensor.add_(1);
      kept.put_back();
      for (std::size_t i = 0; i < tensors.size(); ++i)
        EXPECT_TRUE(at::equal(tensors[i], expected[i])) << dense << ' ' << time << ' ' << i;
      for (const auto& tensor : tensors) tensor.mul_(2);
    }
  }
}

TEST(KeptTensors, AreNotTouchedBeforeTheyAreKept) {
  KeptTensors().put_back();
  KeptTensors kept;
  kept.keep({});
  kept.put_back();
}

}  // namespace
}  // namespace isnet
