#include "model/losses/classification_loss.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <sstream>

#include "support/golden.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using namespace isnet::testing;

// "class-weights=1,2 focal-gamma=2"
ClassificationLoss loss_of(const std::string& text) {
  OptionValues options(classification_loss_options());
  std::istringstream parts(text);
  for (std::string part; parts >> part;)
    options.set(part.substr(0, part.find('=')), part.substr(part.find('=') + 1));
  return ClassificationLoss(options);
}

Batch batch_of(const at::Tensor& labels) {
  Batch batch;
  batch.labels = labels;
  return batch;
}

TEST(ClassificationLoss, AndItsGradientAreThoseOfPythonInFloat64) {
  const hdf5::File golden = golden_file("classification_loss.h5");
  for (const auto& [kind, labels] : {std::pair{"single", "labels"}, {"multi", "several"}}) {
    const hdf5::Group cases = golden.group(kind);
    for (const auto& name : cases.group_names()) {
      const hdf5::Group one = cases.group(name);
      const at::Tensor logits = golden_tensor(golden, "logits").requires_grad_();
      const at::Tensor loss =
          loss_of(one.attribute<std::string>("options"))(logits, batch_of(golden_tensor(golden, labels)));
      loss.backward();
      EXPECT_NEAR(loss.item<double>(), golden_tensor(one, "loss").item<double>(), 1e-14)
          << kind << " " << name;
      EXPECT_LT(relative_difference(logits.grad(), golden_tensor(one, "gradient")), 1e-13)
          << kind << " " << name;
    }
  }
}

TEST(ClassificationLoss, OfPartsWithTheMeanWeightOfTheWholeIsTheLossOfTheWhole) {
  const hdf5::File golden = golden_file("classification_loss.h5");
  const at::Tensor logits = golden_tensor(golden, "logits"), labels = golden_tensor(golden, "labels");
  const auto loss = loss_of("class-weights=0.5,2,0.1,1.25 label-smoothing=0.1 focal-gamma=1");
  const at::Tensor weights = at::tensor({0.5, 2.0, 0.1, 1.25}, at::kDouble).index_select(0, labels);
  double parts = 0;
  for (const auto& [from, to] : {std::pair{0, 2}, {2, 3}, {3, 7}}) {
    Batch part = batch_of(labels.slice(0, from, to));
    part.mean_weight = weights.mean().item<double>();
    parts += loss(logits.slice(0, from, to), part).item<double>() * (to - from) / 7.0;
  }
  EXPECT_NEAR(parts, loss(logits, batch_of(labels)).item<double>(), 1e-14);
}

TEST(ClassificationLoss, OfFocalGammaHasAFiniteGradientWhereTheAnswerIsCertain) {
  for (const char* gamma : {"0.5", "1", "2"}) {
    for (const bool multi : {false, true}) {
      const at::Tensor logits = at::tensor({200.0f, -200.0f, -200.0f, 200.0f}).view({2, 2}).requires_grad_();
      const at::Tensor labels =
          multi ? at::tensor({1.0f, 0.0f, 1.0f, 0.0f}).view({2, 2}) : at::tensor({0, 0}, at::kLong);
      const at::Tensor loss = loss_of(cat("focal-gamma=", gamma))(logits, batch_of(labels));
      loss.backward();
      EXPECT_TRUE(loss.isfinite().item<bool>()) << gamma;
      EXPECT_TRUE(logits.grad().isfinite().all().item<bool>()) << gamma << multi;
    }
  }
}

TEST(ClassificationLoss, BalancedWeightsMakeEveryClassCountAlike) {
  const auto weights = balanced_class_weights({1, 3, 0, 4}, 8);
  EXPECT_EQ(weights, (std::vector<double>{2.0, 8.0 / 12, 0.0, 0.5}));
  EXPECT_EQ(balanced_positive_weights({2, 8, 0}, 8), (std::vector<double>{3.0, 0.0, 1.0}));
}

TEST(ClassificationLoss, BadOptionsAreRefusedWithWhatIsAllowed) {
  const auto refused = [](const std::string& text, const at::Tensor& labels) {
    return refusal(ErrorKind::usage, [&] { loss_of(text)(at::zeros({2, 3}), batch_of(labels)); });
  };
  const at::Tensor single = at::zeros({2}, at::kLong), multi = at::zeros({2, 3});
  for (const char* text : {"class-weights=1,-1,1", "class-weights=a,b", "class-weights=1,,2",
                           "class-weights=1,inf,1", "positive-weights=nan,1,1"})
    EXPECT_THAT(refused(text, single), HasSubstr("a number ≥ 0 for each class")) << text;
  EXPECT_THAT(refused("class-weights=1,2", single), HasSubstr("2 numbers for 3 classes"));
  EXPECT_THAT(refused("class-weights=balanced", single), HasSubstr("no training data"));
  EXPECT_THAT(refused("positive-weights=1,2,3", single), HasSubstr("use --class-weights"));
  EXPECT_THAT(refused("positive-weights=1,2", multi), HasSubstr("2 numbers for 3 classes"));
  EXPECT_THAT(refused("label-smoothing=1.5", single), HasSubstr("--label-smoothing"));
  EXPECT_THAT(refusal(ErrorKind::data, [] { loss_of("")(at::zeros({2, 3}), Batch{}); }),
              HasSubstr("no labels"));
}

}  // namespace
}  // namespace isnet
