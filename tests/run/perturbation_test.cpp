#include "run/perturbation.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "model/background_exchange.h"

namespace isnet {
namespace {

// softmax(W·x) of a grey image, which its three channels hold.
class LinearModel : public Network {
 public:
  explicit LinearModel(at::Tensor weights) : weights_(std::move(weights)) {}
  Value forward(Tape& tape, const at::Tensor& images) override {
    const Value x = tape.input(images, normalization);
    const at::Tensor zeros = at::zeros_like(weights_);
    return tape.linear(tape.flatten(x), at::cat({weights_, zeros, zeros}, 1),
                       at::zeros({weights_.size(0)}, weights_.options()));
  }
  std::int64_t num_classes() const override { return weights_.size(0); }
  std::string head_name() const override { return ""; }

 private:
  at::Tensor weights_;
};

at::Tensor tensor_of(const nlohmann::json& rows) {
  std::vector<at::Tensor> tensors;
  for (const auto& row : rows) tensors.push_back(at::tensor(row.get<std::vector<double>>(), at::kDouble));
  return at::stack(tensors);
}

TEST(PerturbationCurves, OfADeletionAreThoseOfQuantus) {
  const auto golden = nlohmann::json::parse(
      read_file(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / "localisation.json"));
  const auto& test = golden.at("flipping");
  const std::int64_t side = test.at("side"), steps = test.at("steps");
  const at::Tensor images =
      tensor_of(test.at("images")).view({-1, 1, side, side}).expand({-1, 3, side, side});
  LinearModel model(tensor_of(test.at("weights")));
  const at::Tensor curves =
      perturbation_curves(model, images.contiguous(), tensor_of(test.at("relevance")).view({-1, side, side}),
                          at::tensor(test.at("labels").get<std::vector<std::int64_t>>(), at::kLong), steps,
                          Perturbation::deletion,
                          /*multi_label=*/false);
  // Ours begins with the whole image; Quantus begins after the first step.
  const double difference =
      (curves.narrow(1, 1, steps) - tensor_of(test.at("curves"))).abs().max().item<double>();
  EXPECT_LT(difference, 1e-9);
}

TEST(PerturbedImages, LoseTheirMostRelevantPixelsOrGetThemBack) {
  const at::Tensor images = at::rand({1, 3, 2, 2}, at::kDouble) + 0.1;
  const at::Tensor places = at::tensor({1, 0, 3, 2}, at::kLong).view({1, 2, 2});
  const at::Tensor deleted = perturbed(images, places, 2, Perturbation::deletion);
  EXPECT_EQ(deleted[0][0][0].abs().sum().item<double>(), 0);
  EXPECT_TRUE(at::equal(deleted[0][0][1], images[0][0][1]));
  const at::Tensor inserted = perturbed(images, places, 2, Perturbation::insertion);
  EXPECT_TRUE(at::equal(inserted[0][0][0], images[0][0][0]));
  EXPECT_TRUE(at::equal(inserted[0][0][1], blurred_images(images, 0.1)[0][0][1]));
  EXPECT_TRUE(at::equal(perturbed(images, places, 4, Perturbation::insertion), images));
}

TEST(PerturbationCurves, EndWithTheBlackImageAndWithTheWholeOne) {
  LinearModel model(at::rand({3, 16}, at::kDouble));
  const at::Tensor images = at::rand({2, 3, 4, 4}, at::kDouble),
                   relevance = at::zeros({2, 4, 4}, at::kDouble);
  const at::Tensor classes = at::zeros({2}, at::kLong);
  const at::Tensor whole = model.logits(images).softmax(1).select(1, 0);
  const at::Tensor deletion =
      perturbation_curves(model, images, relevance, classes, 3, Perturbation::deletion, false);
  EXPECT_TRUE(at::allclose(deletion.select(1, 0), whole));
  EXPECT_TRUE(at::allclose(deletion.select(1, 3), at::full({2}, 1.0 / 3, at::kDouble)));
  const at::Tensor insertion =
      perturbation_curves(model, images, relevance, classes, 3, Perturbation::insertion, false);
  EXPECT_TRUE(at::allclose(insertion.select(1, 3), whole));
}

}  // namespace
}  // namespace isnet
