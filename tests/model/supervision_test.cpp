// LRP deep supervision: heatmaps at hidden layers and their losses, against vectors of another program, and
// their properties in both forms.
#include <gmock/gmock.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <functional>
#include <iostream>
#include <limits>

#include "model/losses/supervision.h"
#include "model/lrp/walk.h"
#include "support/golden.h"
#include "support/model.h"
#include "support/refusal.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;

struct SupervisedCase {
  const char *file, *group;
};

void PrintTo(const SupervisedCase& test, std::ostream* out) {
  *out << test.file << " " << test.group;
}

class SupervisionGolden : public ::testing::TestWithParam<SupervisedCase> {
 protected:
  SupervisionGolden() {
    const bool resnet = std::string(GetParam().file).rfind("resnet", 0) == 0;
    options_.set("blocks", resnet ? "1,1,1,1" : "3,4,2");
    if (resnet) options_.set("widths", "4,6,8,10");
    if (!resnet) {
      options_.set("growth-rate", "8");
      options_.set("init-features", "16");
    }
    options_.set("lrp-form", "flex");
    options_.set("lrp-epsilon", exact(file_.attribute<double>("eps")));
    options_.set("heatmaps", std::string(GetParam().group) == "selective" ? "selective" : "all");
    network_ = networks().at(resnet ? "resnet" : "densenet").make(options_, 3);
    network_->place(at::kCPU, at::kDouble);
    load(*network_, file_.group("weights"));
    network_->eval();
    batch_.images = golden_tensor(file_, "input/x");
    batch_.masks = golden_tensor(file_, "input/mask");
    batch_.labels = golden_tensor(file_, "input/label");
    batch_.ids = at::arange(batch_.size(), at::kLong);
    for (const auto& name : group_.group("output/hidden").dataset_names()) layers_.push_back(name);
  }

  const hdf5::File file_ = golden_file(GetParam().file);
  const hdf5::Group group_ = file_.group(GetParam().group);
  OptionValues options_ = model_options();
  std::shared_ptr<Network> network_;
  Batch batch_;
  std::vector<std::string> layers_;
};

TEST_P(SupervisionGolden, HeatmapsOfHiddenLayersAreReached) {
  const LrpOptions lrp = lrp_options(options_);
  Tape tape(context_for(*network_, batch_, 0, true));
  const Value out = network_->forward(tape, batch_.images);
  const auto selection = heatmap_selections().at(options_.text("heatmaps")).make(options_);
  const Selected selected = selection->select(logits_of(tape, out, lrp), batch_, 0);
  const Heatmaps heatmaps = relevance(tape, out, selected.start, lrp, layers_);
  Worst worst;
  worst.add("input", relative_difference(heatmaps.pixels, golden_tensor(group_, "output/R")));
  ASSERT_GE(layers_.size(), 3u);
  for (std::size_t i = 0; i < layers_.size(); ++i)
    worst.add(layers_[i],
              relative_difference(heatmaps.hidden[i], golden_tensor(group_, "output/hidden/" + layers_[i])));
  EXPECT_LE(worst.value(), 1e-9) << worst.name();
  std::cout << "worst: " << worst.name() << " " << worst.value() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Cases, SupervisionGolden,
                         ::testing::Values(SupervisedCase{"resnet_flex.h5", "original"},
                                           SupervisedCase{"resnet_flex.h5", "selective"},
                                           SupervisedCase{"densenet_flex.h5", "original"},
                                           SupervisedCase{"densenet_flex.h5", "selective"}),
                         [](const auto& test) {
                           return std::string(test.param.file).substr(0, 6) + "_" + test.param.group;
                         });

// conv → ReLU (marked) → conv → ReLU → pool → sum with a shortcut → linear, on a tape that begins at the
// pixels or at the marked activation itself.
struct Small {
  Small() {
    torch::manual_seed(5);
    first = torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3).padding(1));
    second = torch::nn::Conv2d(torch::nn::Conv2dOptions(4, 6, 3).stride(2));
    third = torch::nn::Conv2d(torch::nn::Conv2dOptions(6, 6, 3).padding(1));
    norm = torch::nn::BatchNorm2d(6);
    head = torch::nn::Linear(6 * 2 * 2, 3);
    for (torch::nn::Module* module :
         {static_cast<torch::nn::Module*>(first.get()), static_cast<torch::nn::Module*>(second.get()),
          static_cast<torch::nn::Module*>(third.get()), static_cast<torch::nn::Module*>(norm.get()),
          static_cast<torch::nn::Module*>(head.get())})
      module->to(at::kDouble);
    const at::NoGradGuard no_grad;
    norm->running_mean.normal_();
    norm->bias.normal_();
  }
  Value rest(Tape& tape, Value hidden) {
    const Value a = tape.relu(tape.batch_norm(tape.convolution(hidden, second), norm));
    const Value b = tape.relu(tape.add(a, tape.convolution(a, third)));
    return tape.linear(tape.flatten(tape.adaptive_average_pool(b, 2, 2)), head);
  }
  torch::nn::Conv2d first{nullptr}, second{nullptr}, third{nullptr};
  torch::nn::BatchNorm2d norm{nullptr};
  torch::nn::Linear head{nullptr};
};

TapeContext recording() {
  TapeContext context;
  context.recording = true;
  return context;
}

// The definition: relevance at a layer is that of the network behind it, whose input is the layer's output.
TEST(Supervision, AHiddenLayersHeatmapIsThatOfTheNetworkBehindIt) {
  Small network;
  const at::Tensor x = at::rand({2, 3, 9, 11}, at::kDouble);
  for (const auto form : {LrpForm::block, LrpForm::flex}) {
    for (const char* first_layer : {"zb", "epsilon"}) {
      Tape whole(recording());
      const Value hidden = whole.relu(whole.convolution(whole.input(x, {}), network.first));
      whole.mark(hidden, "hidden");
      const Value y = network.rest(whole, hidden);
      const auto all = [&](const at::Tensor& logits) {
        return heatmap_selections().at("all").make(model_options())->select(logits, Batch{}, 0).start;
      };
      const LrpOptions lrp{form, 0.1, first_layer};
      const Heatmaps heatmaps = relevance(whole, y, all(whole.output(y)), lrp, {"hidden"});
      Tape behind(recording());
      const Value logits = network.rest(behind, behind.input(whole.output(hidden), {}));
      const at::Tensor expected =
          relevance(behind, logits, all(behind.output(logits)), {form, 0.1, "epsilon"});
      EXPECT_LE(relative_difference(heatmaps.hidden.at(0), expected), 1e-14);
      EXPECT_GT(largest(expected), 0);
    }
  }
}

class SupervisedFamily : public ::testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  SupervisedFamily() {
    torch::manual_seed(2);
    for (const auto& [name, value] : {std::pair{"growth-rate", "4"},
                                      {"init-features", "6"},
                                      {"blocks", "2,2"},
                                      {"widths", "4,6"},
                                      {"layers", "4,M,6,M"},
                                      {"pool", "2,2"},
                                      {"hidden", "8"}})
      options_.set(name, value);
    options_.set("supervised-layers", GetParam().second);
    network_ = networks().at(GetParam().first).make(options_, 3);
    network_->place(at::kCPU, at::kDouble);
    network_->eval();
    batch_.images = at::rand({2, 3, 37, 34}, at::kDouble);
    batch_.masks = (at::rand({2, 1, 37, 34}, at::kDouble) > 0.6).to(at::kDouble);
    batch_.labels = at::arange(2, at::kLong);
    batch_.ids = at::arange(2, at::kLong);
  }
  Heatmaps heatmaps(const LrpOptions& lrp, at::Tensor* logits = nullptr) {
    Tape tape(context_for(*network_, batch_, 0, true));
    const Value y = network_->forward(tape, batch_.images);
    if (logits) *logits = tape.output(y);
    const auto start =
        heatmap_selections().at("all").make(model_options())->select(tape.output(y), batch_, 0).start;
    return relevance(tape, y, start, lrp, options_.list("supervised-layers"));
  }
  OptionValues options_ = model_options();
  std::shared_ptr<Network> network_;
  Batch batch_;
};

TEST_P(SupervisedFamily, RelevanceIsConservedAtEveryLayer) {
  at::NoGradGuard no_grad;
  for (auto& entry : network_->named_parameters())
    if (entry.key().find("bias") != std::string::npos) entry.value().zero_();
  for (const auto form : {LrpForm::block, LrpForm::flex}) {
    at::Tensor logits;
    const Heatmaps maps = heatmaps({form, 1e-12, "epsilon"}, &logits);
    for (const auto& hidden : maps.hidden)
      EXPECT_LE(relative_difference(hidden.sum({2, 3, 4}), logits), 1e-7);
  }
}

TEST_P(SupervisedFamily, GradientsOfTheJointLossAreThoseOfFiniteDifferences) {
  for (const char* form : {"block", "flex"}) {
    options_.set("lrp-form", form);
    options_.set("heatmap-weight", "1");
    options_.set("lrp-epsilon", "0.1");
    const auto objective = objectives().at("isnet").make(options_);
    const auto loss = [&] { return objective->compute(*network_, batch_).total; };
    network_->zero_grad();
    loss().backward();
    for (const auto& entry : network_->named_parameters()) {
      if (entry.key().find("bias") != std::string::npos) continue;  // constants of the denominators
      at::Tensor parameter = entry.value();
      const at::NoGradGuard no_grad;
      const at::Tensor step = at::randn_like(parameter) * 1e-7;
      parameter.add_(step);
      const double up = loss().item<double>();
      parameter.sub_(step * 2);
      const double down = loss().item<double>();
      parameter.add_(step);
      const double expected = (up - down) / 2, actual = (parameter.grad() * step).sum().item<double>();
      EXPECT_NEAR(actual, expected, 1e-3 * std::max(std::abs(expected), 1e-9)) << form << " " << entry.key();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, SupervisedFamily,
                         ::testing::Values(std::pair{"densenet", "features.transition1.relu,features.fReLU"},
                                           std::pair{"resnet", "layer1,layer2"},
                                           std::pair{"vgg", "features.2,features.5"}),
                         [](const auto& test) { return std::string(test.param.first); });

TEST(Supervision, ALayerThatTheNetworkDoesNotHaveIsRefusedWithThePossibleOnes) {
  auto options = model_options();
  options.set("widths", "4,6");
  options.set("blocks", "1,1");
  options.set("supervised-layers", "layer1,layer9");
  const auto network = networks().at("resnet").make(options, 2);
  Batch batch;
  batch.images = at::rand({1, 3, 32, 32});
  batch.masks = at::ones({1, 1, 32, 32});
  batch.labels = at::zeros({1}, at::kLong);
  batch.ids = at::zeros({1}, at::kLong);
  const auto objective = objectives().at("isnet").make(options);
  const std::string message = refusal(ErrorKind::usage, [&] { objective->compute(*network, batch); });
  EXPECT_THAT(message, HasSubstr("--supervised-layers"));
  EXPECT_THAT(message, HasSubstr("'layer9'; possible: layer1, layer2"));
  for (const char* names : {"layer1,layer1", "layer1,", ","})
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { options.set("supervised-layers", names); }),
                HasSubstr("different names"));
}

TEST(Supervision, EachLayerHasItsOwnCuts) {
  auto options = model_options();
  options.set("supervised-layers", "a,b");
  options.set("cut", "2");
  options.set("cut2", "4");
  Heatmaps heatmaps;
  heatmaps.pixels = at::rand({2, 3, 3, 12, 10}, at::kDouble);
  heatmaps.hidden = {at::rand({2, 3, 5, 6, 5}, at::kDouble), at::rand({2, 3, 7, 3, 3}, at::kDouble)};
  const at::Tensor masks = at::rand({2, 3, 12, 10}, at::kDouble);
  const auto judged = [&] { return Supervision(options, 1).judge(heatmaps, masks, {}, 3); };
  const auto alone = [&](const at::Tensor& maps, const char* cut, const char* cut2) {
    auto own = model_options();
    own.set("cut", cut);
    own.set("cut2", cut2);
    return heatmap_losses().at("gwrp").make(own)->compute(maps, masks, {});
  };
  auto parts = judged().parts;  // those of the pixels, where nothing is said
  EXPECT_TRUE(at::equal(parts.at(1).second, alone(heatmaps.hidden[0], "2", "4")));
  options.set("supervised-cut", "3,50");
  options.set("supervised-cut2", "60");
  parts = judged().parts;
  const std::vector<at::Tensor> losses{alone(heatmaps.pixels, "2", "4"), alone(heatmaps.hidden[0], "3", "60"),
                                       alone(heatmaps.hidden[1], "50", "60")};
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(parts.at(i).second, losses[i])) << i;
  const at::Tensor sorted = std::get<0>(at::stack(losses).sort(0, true));
  const at::Tensor weights = at::tensor({1.0, 0.8, 0.64}, at::kDouble);
  EXPECT_LE(relative_difference(judged().total, (sorted * weights).sum() / 2.44), 1e-15);

  options.set("supervised-cut", "1,2,3");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { judged(); }), HasSubstr("--supervised-cut: '1,2,3'"));
  options.set("supervised-cut", "70");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { judged(); }), HasSubstr("0 < cut"));
}

TEST(Supervision, EachKindOfMapsHasItsOwnCuts) {
  const hdf5::Group group =
      golden_file("loss_gwrp.h5").group("ze_zpe");  // first half z+, second half epsilon
  auto options = model_options();
  const auto c1 = group.attribute_values<double>("cut"), c2 = group.attribute_values<double>("cut2");
  options.set("cut", exact(c1[0]) + "," + exact(c1[1]));
  options.set("cut2", exact(c2[0]) + "," + exact(c2[1]));
  Heatmaps heatmaps;
  heatmaps.pixels = golden_tensor(group, "input/R");
  const Supervision supervision(options, 2);
  const auto judged = supervision.judge(heatmaps, golden_tensor(group, "input/mask"), {}, 2);
  EXPECT_LE(relative_difference(judged.total, golden_tensor(group, "output/loss")), 1e-12);
  EXPECT_EQ(supervision.places(), 2u);
  options.set("cut", "1,2,3");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { Supervision(options, 2); }), HasSubstr("--cut: '1,2,3'"));
}

TEST(Supervision, CutsForAnotherNumberOfClassesAreRefused) {
  auto options = model_options();
  options.set("cut", "1,2");
  options.set("cut2", "3,4");
  Heatmaps heatmaps;
  heatmaps.pixels = at::rand({2, 1, 3, 8, 8});
  const at::Tensor masks = at::ones({2, 1, 8, 8}), classes = at::zeros({2, 1}, at::kLong);
  const Supervision supervision(options, 1);
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { supervision.judge(heatmaps, masks, classes, 3); }),
              HasSubstr("2 values for 3 classes"));
  EXPECT_TRUE(supervision.judge(heatmaps, masks, classes, 2).total.isfinite().item<bool>());
}

}  // namespace
}  // namespace isnet
