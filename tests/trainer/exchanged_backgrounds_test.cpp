#include "trainer/exchanged_backgrounds.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <numeric>

#include "base/error.h"
#include "data/loader.h"
#include "support/data.h"
#include "support/temporary_folder.h"
#include "trainer/batches.h"
#include "trainer/options.h"

namespace isnet {
namespace {

using isnet::testing::small_layout;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_small_data_set;
using ::testing::HasSubstr;

// Three classes, told by the mean of some rows of the image.
class RowsNetwork : public Network {
 public:
  RowsNetwork(std::int64_t first, std::int64_t last) : first_(first), last_(last) {}
  Value forward(Tape& tape, const at::Tensor& images) override {
    const Value input = tape.input(images, normalization);
    const at::Tensor mean = images.slice(2, first_, last_).flatten(1).mean(1, /*keepdim=*/true);
    tape.predict(-(mean - at::tensor({0.4, 0.5, 0.6}, images.options())).square());
    return input;
  }
  std::int64_t num_classes() const override { return 3; }
  std::string head_name() const override { return "head"; }

 private:
  std::int64_t first_, last_;
};

// Keeps the images that it gets.
class Witness : public Objective {
 public:
  Losses compute(Network& network, const Batch& batch) override {
    images = batch.images;
    Tape tape(context_for(network, batch, 0, /*recording=*/false));
    const Value logits = network.forward(tape, batch.images);
    Losses losses;
    losses.logits = tape.prediction(logits);
    losses.total = at::zeros({}, batch.images.options());
    return losses;
  }
  at::Tensor images;
};

// Images of 6×5 whose upper three rows are the object.
class ExchangedBackgrounds : public ::testing::Test {
 protected:
  ExchangedBackgrounds() {
    write_small_data_set(folder_.path(), {{"train", 24}}, 3);
    train_ = DataSet(folder_.path()).split("train");
  }

  std::shared_ptr<Objective> with(const std::vector<std::pair<std::string, std::string>>& settings) {
    std::vector<OptionSpec> specs = trainer_option_specs();
    for (const auto& more : exchanged_background_options()) specs.push_back(more);
    OptionValues options(specs);
    options.set("seed", "3");
    for (const auto& [name, value] : settings) options.set(name, value);
    return with_exchanged_backgrounds(witness_, options, train_);
  }

  Batch batch_of(const std::vector<std::int64_t>& ids, std::uint64_t epoch = 0) const {
    BatchPlan plan;
    plan.ids = ids;
    plan.counted.assign(ids.size(), 1);
    return to_batch(read_batch(*train_, plan, epoch, {}), at::kCPU, at::kFloat);
  }

  // What the objective gets of these samples in training.
  at::Tensor seen(Objective& objective, const std::vector<std::int64_t>& ids, std::uint64_t epoch = 0) const {
    RowsNetwork network(0, 3);
    network.train();
    objective.compute(network, batch_of(ids, epoch));
    return witness_->images;
  }

  double part(Network& network, const std::string& name, const std::string& kind = "swap") {
    network.eval();
    const Losses losses = with({{"background-flips", kind}})->compute(network, all());
    for (const auto& [key, value] : losses.parts)
      if (key == name) return value.item<double>();
    return -1;
  }

  Batch all() const {
    std::vector<std::int64_t> ids(24);
    std::iota(ids.begin(), ids.end(), 0);
    return batch_of(ids);
  }

  TemporaryFolder folder_;
  std::shared_ptr<const SplitReader> train_;
  std::shared_ptr<Witness> witness_ = std::make_shared<Witness>();
};

TEST_F(ExchangedBackgrounds, ObjectsStayAndBackgroundsChange) {
  for (const char* kind : {"swap", "noise", "constant", "shuffle"}) {
    const auto objective = with({{"augment-background", kind}});
    const at::Tensor before = batch_of({0, 5, 9}).images, after = seen(*objective, {0, 5, 9});
    EXPECT_TRUE(at::equal(after.slice(2, 0, 3), before.slice(2, 0, 3))) << kind;
    for (std::int64_t i = 0; i < 3; ++i)
      EXPECT_FALSE(at::equal(after[i].slice(1, 3), before[i].slice(1, 3))) << kind << ", sample " << i;
  }
}

TEST_F(ExchangedBackgrounds, WhatASampleGetsDependsOnSampleAndEpochAlone) {
  for (const char* kind : {"swap", "noise"}) {
    const auto objective = with({{"augment-background", kind}, {"augment-background-chance", "0.7"}});
    const at::Tensor whole = seen(*objective, {4, 1, 17, 8});
    EXPECT_TRUE(at::equal(seen(*objective, {17, 8}), whole.slice(0, 2))) << kind;
    EXPECT_TRUE(at::equal(seen(*objective, {1}), whole.slice(0, 1, 2))) << kind;
    EXPECT_FALSE(at::equal(seen(*objective, {4, 1, 17, 8}, 1), whole)) << kind;
  }
}

TEST_F(ExchangedBackgrounds, TheChanceIsTheShareOfImagesThatChange) {
  const auto objective = with({{"augment-background", "swap"}, {"augment-background-chance", "0.5"}});
  std::int64_t changed = 0;
  for (std::uint64_t epoch = 0; epoch < 10; ++epoch) {
    const Batch batch = all();
    RowsNetwork network(0, 3);
    network.train();
    Batch now = batch;
    now.epoch = epoch;
    objective->compute(network, now);
    changed += witness_->images.ne(batch.images).flatten(1).any(1).sum().item<std::int64_t>();
  }
  EXPECT_NEAR(static_cast<double>(changed), 120, 30);
}

TEST_F(ExchangedBackgrounds, ValidationKeepsItsImages) {
  const auto objective = with({{"augment-background", "swap"}, {"background-flips", "swap"}});
  RowsNetwork network(0, 3);
  network.eval();
  objective->compute(network, all());
  EXPECT_TRUE(at::equal(witness_->images, all().images));
}

TEST_F(ExchangedBackgrounds, FlipsTellANetworkThatLooksAtTheBackgroundFromOneThatDoesNot) {
  RowsNetwork object(0, 3), background(3, 6);
  for (const char* kind : {"swap", "noise"}) {
    EXPECT_EQ(part(object, "background_flips", kind), 0) << kind;
    EXPECT_GT(part(background, "background_flips", kind), 0.3) << kind;
  }
  // Accuracy on other backgrounds is that on the own ones where backgrounds do not count.
  object.eval();
  const at::Tensor own_logits = witness_->compute(object, all()).logits;
  const double own = own_logits.argmax(1).eq(all().labels).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(part(object, "background_accuracy"), own, 1e-12);
}

TEST_F(ExchangedBackgrounds, ThePenaltyIsTheMeanSquaredChangeOfTheLogits) {
  const auto objective = with({{"background-consistency", "3"}});
  for (const bool sees : {false, true}) {
    RowsNetwork network(sees ? 3 : 0, sees ? 6 : 3);
    network.train();
    const Losses losses = objective->compute(network, all());
    ASSERT_EQ(losses.parts.back().first, "loss_background");
    const double penalty = losses.parts.back().second.item<double>();
    EXPECT_EQ(penalty > 0, sees);
    EXPECT_NEAR(losses.total.item<double>(), 3 * penalty, 1e-9);
  }
}

TEST_F(ExchangedBackgrounds, WithoutOptionsTheObjectiveIsLeftAlone) {
  EXPECT_EQ(with({}), witness_);
}

TEST_F(ExchangedBackgrounds, DataWithoutMasksIsRefused) {
  TemporaryFolder bare;
  auto layout = small_layout();
  layout.mask_channels = 0;
  write_small_data_set(bare.path(), {{"train", 6}}, 3, 1000, layout);
  train_ = DataSet(bare.path()).split("train");
  try {
    with({{"background-flips", "swap"}});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), HasSubstr("--background-flips: needs masks, which the split train lacks"));
  }
}

}  // namespace
}  // namespace isnet
