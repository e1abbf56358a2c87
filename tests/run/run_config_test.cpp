#include "run/run_config.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "model/objectives/objective.h"
#include "support/refusal.h"
#include "training_options.h"

namespace isnet::testing {
namespace {

using ::testing::AllOf;
using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

DataFacts photos() {
  DataFacts facts;
  facts.source = "photos";
  facts.classes = 3;
  facts.class_names = {"cat", "No Finding", "dog"};
  facts.samples = 8;
  facts.labelled = facts.masked = true;
  facts.validation = "val";
  facts.class_counts = {4, 2, 2};
  facts.splits = "it has train, val";
  return facts;
}

OptionValues settled(const Settings& settings, const DataFacts& data = photos(),
                     const StoredFacts& stored = {}) {
  return resolve(training_options(settings), data, stored).options();
}

StoredModel stored_model(const std::string& ini, NamedTensors tensors = {}) {
  const bool ours = !ini.empty();
  return {{std::move(tensors), {}, {}}, StoredOptions("m.ckpt", ini), {}, "", ours};
}

TEST(RunConfig, DoesNotDependOnTheOrderInWhichOptionsWereGivenOrDeclared) {
  Settings settings{{"network", "ham"},        {"objective", "rrr"}, {"class-weights", "balanced"},
                    {"average", "ema"},        {"batch-size", "4"},  {"blocks", "1,1,1,1"},
                    {"lr-schedule", "cosine"}, {"dropout", "0.25"}};
  const std::string ini = settled(settings).ini();
  std::sort(settings.begin(), settings.end());
  do {
    std::rotate(settings.begin(), settings.begin() + 3, settings.end());
    EXPECT_EQ(settled(settings).ini(), ini);
  } while (!std::is_sorted(settings.begin(), settings.end()));
  auto specs = training_options().specs();
  std::reverse(specs.begin(), specs.end());
  OptionValues reversed(specs);
  for (const auto& [name, value] : settings) reversed.set(name, value);
  const RunConfig config = resolve(reversed, photos());
  for (const auto& spec : specs)
    EXPECT_EQ(config.options().text(spec.name), settled(settings).text(spec.name)) << spec.name;
}

TEST(RunConfig, SettlingAgainChangesNothing) {
  for (const auto& objective : objectives().names())
    for (const std::string network : {"densenet121", "ham", "multitask-unet", "ag-sononet"}) {
      if (objective == "segmentation" || objective == "multitask")
        if (network != "multitask-unet") continue;
      const RunConfig once =
          resolve(training_options({{"network", network}, {"objective", objective}}), photos());
      EXPECT_EQ(resolve(once.options(), photos()).options().ini(), once.options().ini())
          << objective << network;
    }
}

TEST(RunConfig, EveryObjectiveAndNetworkHasItsDefaults) {
  const auto defaults = [](const std::string& objective, const std::string& network = "densenet121") {
    const auto options = settled({{"objective", objective}, {"network", network}});
    return options.text("dropout") + " " + options.text("recompute-bn-statistics") + " " +
           options.text("heatmap-weight");
  };
  EXPECT_EQ(defaults("classifier"), "0 0 0.7");
  EXPECT_EQ(defaults("isnet"), "0.5 64 0.7");
  EXPECT_EQ(defaults("gain"), "0.5 64 0.7");
  EXPECT_EQ(defaults("ham", "ham"), "0.5 64 0.7");
  EXPECT_EQ(defaults("rrr"), "0 64 0.5");
  EXPECT_EQ(defaults("gradient-x-input"), "0 64 0.5");
  EXPECT_EQ(defaults("segmentation", "unet"), "0 0 0.7");
  EXPECT_EQ(defaults("multitask", "multitask-unet"), "0.5 0 0.7");
  EXPECT_EQ(defaults("isnet", "ag-sononet"), "0 64 0.7");
  EXPECT_EQ(settled({{"objective", "classifier"}, {"average", "swa"}}).text("recompute-bn-statistics"), "64");
  EXPECT_EQ(settled({{"objective", "rrr"}, {"heatmap-weight", "0.7"}}).text("heatmap-weight"), "0.7");
}

TEST(RunConfig, TheDataDecideClassesWeightsAndTheNormalClass) {
  const auto options = settled({{"network", "ham"}, {"class-weights", "balanced"}});
  EXPECT_EQ(options.text("num-classes"), "3");
  EXPECT_EQ(options.text("normal-class"), "1");
  EXPECT_THAT(options.reals("class-weights"),
              ElementsAre(DoubleEq(8 / 12.0), DoubleEq(8 / 6.0), DoubleEq(8 / 6.0)));
  EXPECT_EQ(settled({{"network", "ham"}, {"normal-class", "0"}}).text("normal-class"), "0");
  EXPECT_FALSE(settled({}).has("normal-class"));
  EXPECT_EQ(settled({{"num-classes", "5"}}).text("num-classes"), "5");
}

TEST(RunConfig, AdoptsAModelsOptionsWhereTheUserGaveNone) {
  const StoredModel model = stored_model(
      "objective = classifier\nnum-classes = 3\nnetwork = resnet\nnetwork = vgg\nblocks = 1,1\nbatch-size = "
      "99\n");
  const RunConfig config = resolve(training_options({{"blocks", "2,2"}}), {}, {.model = &model});
  EXPECT_EQ(config.model().network, "resnet");
  EXPECT_EQ(config.model().objective, "classifier");
  EXPECT_EQ(config.model().classes, 3);
  EXPECT_EQ(config.options().text("blocks"), "2,2");
  EXPECT_EQ(config.options().text("batch-size"), "32");
  EXPECT_EQ(config.options().text("dropout"), "0");
}

TEST(RunConfig, SaysWhoseFaultAnOptionIs) {
  const StoredModel bad = stored_model("normalize = 0,0\nnum-classes = 2\n");
  EXPECT_THAT(refusal(ErrorKind::checkpoint, [&] { resolve(training_options(), {}, {.model = &bad}); }),
              AllOf(HasSubstr("m.ckpt"), HasSubstr("'normalize'")));
  const StoredModel path = stored_model("num-classes = 2\nlayers = @/etc/passwd\n");
  EXPECT_THAT(refusal(ErrorKind::checkpoint, [&] { resolve(training_options(), {}, {.model = &path}); }),
              HasSubstr("may not name files"));
  const StoredModel model = stored_model("num-classes = 2\n");
  EXPECT_THAT(refusal(ErrorKind::usage,
                      [&] { resolve(training_options({{"num-classes", "4"}}), {}, {.model = &model}); }),
              AllOf(HasSubstr("--num-classes: '4'"), HasSubstr("the head of m.ckpt has 2")));
}

TEST(RunConfig, TheHeadOfAFileTellsTheClasses) {
  const auto classes = [](const std::string& network, const std::string& weight, std::int64_t rows) {
    const StoredModel model = stored_model("", {{weight, at::zeros({rows, 4})}});
    const Settings settings{{"network", network},
                            {"objective", network == "unet" ? "segmentation" : "isnet"}};
    return resolve(training_options(settings), {}, {.model = &model}).model().classes;
  };
  EXPECT_EQ(classes("densenet121", "classifier.weight", 5), 5);
  EXPECT_EQ(classes("resnet18", "fc.weight", 6), 6);
  EXPECT_EQ(classes("vit-b-16", "heads.head.weight", 7), 7);
  EXPECT_EQ(classes("ag-sononet", "classifier1.weight", 2), 2);
  EXPECT_EQ(classes("ham", "cls_fc.weight", 2), 3);
  EXPECT_EQ(classes("vgg11", "classifier.6.weight", 4), 4);
  EXPECT_EQ(classes("multitask-unet", "classification_head.block.5.weight", 3), 3);
  EXPECT_EQ(classes("densenet121", "model.fc.weight", 6), 6);  // another network's head, behind a prefix
  EXPECT_EQ(classes("unet", "last.weight", 6), std::nullopt);
  EXPECT_THAT(refusal(ErrorKind::checkpoint, [&] { classes("resnet18", "conv.weight", 6); }),
              HasSubstr("no classifying layer"));
}

TEST(RunConfig, WeightsOfOtherProgramsImplyTheirConvention) {
  StoredModel foreign = stored_model("", {{"classifier.weight", at::zeros({5, 4})}});
  const auto relu = [&](Settings settings, bool torch_save) {
    foreign.weights.torch_save = torch_save;
    settings.emplace_back("normalize", "none");
    const RunConfig config = resolve(training_options(settings), photos(), {.weights = &foreign});
    return config.options().text("transition-relu") + (config.notes().empty() ? "" : " noted");
  };
  EXPECT_EQ(relu({}, false), "0 noted");
  EXPECT_EQ(relu({{"network", "densenet"}}, false), "1 noted");
  EXPECT_EQ(relu({{"network", "densenet"}}, true), "0 noted");
  EXPECT_EQ(relu({{"transition-relu", "1"}}, true), "1");
  EXPECT_EQ(relu({{"network", "resnet18"}}, true), "1");
  const StoredModel ours = stored_model("transition-relu = 0\nlr = 7\n");
  const auto options = settled({}, photos(), {.weights = &ours});
  EXPECT_EQ(options.text("transition-relu"), "0");
  EXPECT_EQ(options.text("lr"), "0.01");
}

TEST(RunConfig, APipelineTakesTheShapeOfItsUnetFromItsFile) {
  const StoredModel unet = stored_model("network = unet\ndepth = 2\nwf = 2\nmask-threshold = 0.25\n",
                                        {{"weight", at::zeros({100'000})}});
  const auto options = settled({{"network", "pipeline"}}, photos(), {.unet = &unet});
  EXPECT_THAT(options.text("unet-options"), AllOf(HasSubstr("depth=2"), HasSubstr("wf=2")));
  EXPECT_EQ(options.text("mask-threshold"), "0.25");
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { settled({{"network", "pipeline"}}); }),
              HasSubstr("--unet-weights: is required by --network pipeline"));
  EXPECT_THAT(refusal(ErrorKind::usage, [&] { settled({{"unet-weights", "u.ckpt"}}); }),
              AllOf(HasSubstr("--unet-weights"), HasSubstr("--network densenet121"), HasSubstr("pipeline")));
}

TEST(RunConfig, ContradictionsAreNamed) {
  EXPECT_THAT(refusal(ErrorKind::usage, [] { settled({{"objective", "segmentation"}}); }),
              AllOf(HasSubstr("--objective segmentation"), HasSubstr("multitask-unet, unet")));
  EXPECT_THAT(refusal(ErrorKind::usage, [] { settled({{"network", "unet"}}); }),
              HasSubstr("--objective isnet"));
  DataFacts data = photos();
  data.masked = false;
  EXPECT_THAT(refusal(ErrorKind::data, [&] { settled({}, data); }),
              AllOf(HasSubstr("photos"), HasSubstr("no masks"), HasSubstr("--objective isnet")));
  data.labelled = false;
  EXPECT_THAT(refusal(ErrorKind::data,
                      [&] { settled({{"objective", "classifier"}, {"class-weights", "balanced"}}, data); }),
              AllOf(HasSubstr("no labels"), HasSubstr("--class-weights balanced")));
  EXPECT_THAT(refusal(ErrorKind::usage, [] { settled({{"shuffle", "0"}, {"sampling", "weighted"}}); }),
              HasSubstr("--sampling"));
}

TEST(RunConfig, WithoutValidationNothingMayWatchIt) {
  DataFacts data = photos();
  data.validation.clear();
  data.splits = "it has train";
  const RunConfig config = resolve(training_options(), data);
  EXPECT_THAT(config.warnings(), ElementsAre(HasSubstr("photos has no split val (it has train)")));
  EXPECT_THAT(resolve(training_options(), photos()).warnings(), IsEmpty());
  EXPECT_THAT(resolve(training_options({{"limit-val-batches", "0"}}), photos()).warnings(),
              ElementsAre(HasSubstr("--limit-val-batches 0")));
  for (const Settings& watcher :
       {Settings{{"early-stopping-patience", "2"}}, Settings{{"early-stopping-threshold", "0.1"}},
        Settings{{"lr-schedule", "reduce-on-plateau"}}}) {
    EXPECT_THAT(refusal(ErrorKind::usage, [&] { settled(watcher, data); }),
                AllOf(HasSubstr("--" + watcher.front().first), HasSubstr("val_loss")));
    Settings on_train = watcher;
    on_train.emplace_back("monitor", "train_loss");
    EXPECT_NO_THROW(settled(on_train, data));
  }
}

TEST(RunConfig, TakesWhatTrainingFoundAsAValueOfItsOwn) {
  const RunConfig config = resolve(training_options(), photos());
  EXPECT_EQ(config.with({{"cut", "3"}}).options().text("cut"), "3");
  EXPECT_EQ(config.options().text("cut"), "1");
}

TEST(Objectives, AreAsTheirStrategiesSay) {
  for (const auto& name : objectives().names()) {
    const auto& strategy = objectives().at(name);
    const auto objective = strategy.make(
        resolve(training_options({{"objective", name}, {"network", "multitask-unet"}}), photos()).options());
    EXPECT_EQ(objective->needs_masks(), strategy.capabilities.needs_masks) << name;
    EXPECT_EQ(objective->needs_classes(), strategy.capabilities.needs_classes) << name;
    EXPECT_EQ(objective->needs_pixels(), strategy.capabilities.needs_pixels) << name;
  }
}

}  // namespace
}  // namespace isnet::testing
