// `isnet train` from outside: callbacks, loggers, and what Lightning's trainer has besides.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>

#include "trainer/small_training.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using FitLoop = SmallTraining;

TEST_F(FitLoop, EarlyStoppingEndsARunAndCountsOverAResume) {
  const std::string options =
      "--early-stopping-patience 2 --early-stopping-min-delta 100 --monitor val_loss --max-epochs 20 ";
  succeed("whole", options);
  EXPECT_EQ(column(folder_ / "whole" / "metrics.csv", "val", "loss").size(), 3u);
  succeed("parts", options + "--max-epochs 2");
  succeed("parts", options + "--resume last");
  EXPECT_EQ(text_of(folder_ / "whole" / "metrics.csv"), text_of(folder_ / "parts" / "metrics.csv"));
  succeed("late", options + "--min-epochs 6");
  EXPECT_EQ(column(folder_ / "late" / "metrics.csv", "val", "loss").size(), 6u);
}

TEST_F(FitLoop, WithoutValidationNothingIsWatchedAndThisIsSaid) {
  const std::string description = text_of(folder_ / "data/dataset.json");
  const auto place = description.find("\"val\"");
  ASSERT_NE(place, std::string::npos);
  const auto call_val = [&](const std::string& name) {
    write_file_atomically(folder_ / "data/dataset.json",
                          std::string(description).replace(place, 5, '"' + name + '"'));
  };
  call_val("other");
  const auto said = isnet::testing::run(1, command("run", "--max-epochs 1"));
  EXPECT_EQ(said.status, 0) << said.output;
  EXPECT_THAT(said.output, HasSubstr("no validation: "));
  EXPECT_THAT(said.output, HasSubstr("has no split val (it has other, train)"));
  for (const char* watcher : {"--early-stopping-patience 2", "--lr-schedule reduce-on-plateau"}) {
    const auto refused = isnet::testing::run(1, command("stopped", watcher));
    EXPECT_EQ(refused.status, 2);
    EXPECT_THAT(refused.output, HasSubstr("watches val_loss, but ")) << watcher;
  }
  succeed("watched", "--early-stopping-patience 2 --monitor train_loss --max-epochs 1");
  call_val("validation");  // another usual name
  succeed("named", "--max-epochs 1 --early-stopping-patience 2");
  EXPECT_EQ(column(folder_ / "named" / "metrics.csv", "val", "loss").size(), 1u);
}

std::vector<std::string> checkpoints_of(const std::filesystem::path& run) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(run / "checkpoints"))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST_F(FitLoop, CheckpointsAreRankedByAnyMetricInEitherDirection) {
  succeed("run", "--max-epochs 6 --save-top-k 2 --monitor val_accuracy");
  const auto values = column(folder_ / "run" / "metrics.csv", "val", "accuracy");
  std::vector<std::size_t> order(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] > values[b]; });
  std::vector<std::string> expected{"last.ckpt"};
  for (std::size_t i = 0; i < 2; ++i) {
    char name[64];
    std::snprintf(name, sizeof name, "epoch=%03zu-val_accuracy=%.4f.ckpt", order[i], values[order[i]]);
    expected.insert(expected.begin(), name);
  }
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(checkpoints_of(folder_ / "run"), expected);

  succeed("all", "--max-epochs 4 --save-top-k -1 --checkpoint-every-n-epochs 2");
  EXPECT_THAT(checkpoints_of(folder_ / "all"),
              ::testing::ElementsAre(::testing::StartsWith("epoch=001-val_loss="),
                                     ::testing::StartsWith("epoch=003-val_loss="), "last.ckpt"));
}

TEST_F(FitLoop, ValidationsWithinEpochsAreRankedAndResumedBitwise) {
  // 8 steps an epoch, validated after 3 and 6 of them, and at its end.
  const std::string options = "--val-check-interval 3 --save-top-k -1 --accumulate-grad-batches 1 ";
  succeed("run", options + "--max-epochs 2 --batch-size 8");
  EXPECT_EQ(column(folder_ / "run" / "metrics.csv", "val", "loss").size(), 6u);
  EXPECT_EQ(column(folder_ / "run" / "metrics.csv", "val", "step"),
            (std::vector<double>{3, 6, 8, 11, 14, 16}));
  EXPECT_THAT(checkpoints_of(folder_ / "run"),
              ::testing::Contains(HasSubstr("epoch=001-step=000011-val_loss=")));
  // From a checkpoint within the second epoch to the same end.
  std::string within;
  for (const auto& name : checkpoints_of(folder_ / "run"))
    if (name.find("step=000011") != std::string::npos) within = name;
  std::filesystem::copy(folder_ / "run", folder_ / "again", std::filesystem::copy_options::recursive);
  succeed("again", options + "--max-epochs 2 --batch-size 8 --resume " +
                       (folder_ / "run" / "checkpoints" / within).string());
  expect_same_run(folder_ / "run", folder_ / "again");
  const auto refused = isnet::testing::run(1, command("bad", "--val-check-interval 17"));
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.output, HasSubstr("--val-check-interval: an epoch has 16 batches"));
}

TEST_F(FitLoop, ValidatesEveryNthEpochAndTheLastAndStopsAtLimits) {
  succeed("run", "--max-epochs 5 --check-val-every-n-epoch 2");
  EXPECT_EQ(column(folder_ / "run" / "metrics.csv", "val", "epoch"), (std::vector<double>{1, 3, 4}));
  // Patience is over after two epochs of 16 steps; the run goes on to step 40.
  succeed("steps",
          "--max-epochs 9 --early-stopping-patience 1 --early-stopping-min-delta 100 --min-steps 40");
  EXPECT_EQ(column(folder_ / "steps" / "metrics.csv", "train", "step"), (std::vector<double>{16, 32, 40}));
  const auto late = isnet::testing::run(2, command("late", "--max-epochs 2 --max-time 1e-9"));
  EXPECT_EQ(late.status, 75) << late.output;
  succeed("late", "--max-epochs 2 --resume last", 2);
}

TEST_F(FitLoop, BadStepsAreLeftOutOnAllRanksAndEndATrainingInItsLastGoodState) {
  const auto result = isnet::testing::run(
      2, command("run", "--quiet 0 --lr 1e6 --momentum 0.99 --skip-bad-steps 2 --max-epochs 40"));
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("the step is skipped (1 in a row, 1 in all)"));
  EXPECT_THAT(result.output, HasSubstr("after 2 skipped steps before it"));
  // The state is that of a run that ends after the good steps.
  const std::int64_t steps = last("run").state.at("loop").at("global_step");
  ASSERT_GT(steps, 0);
  succeed("good", cat("--lr 1e6 --momentum 0.99 --max-steps ", steps), 2);
  for (const auto& [name, tensor] : model_tensors(last("good"), false))
    EXPECT_TRUE(at::equal(tensor, last("run").tensors.at("model." + name))) << name;
}

TEST_F(FitLoop, ATrialWritesNothingAndOverfittingUsesTheSameBatches) {
  const auto trial = isnet::testing::run(1, command("trial", "--quiet 0 --fast-dev-run 2"));
  EXPECT_EQ(trial.status, 0) << trial.output;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "trial"));
  succeed("over", "--overfit-batches 2 --max-epochs 3 --last-batch drop");
  EXPECT_EQ(column(folder_ / "over" / "metrics.csv", "train", "samples"), (std::vector<double>{8, 8, 8}));
  EXPECT_EQ(column(folder_ / "over" / "metrics.csv", "val", "samples"), (std::vector<double>{8, 8, 8}));
}

TEST_F(FitLoop, AnomaliesAndDeterminismCanBeAskedFor) {
  succeed("run", "--detect-anomaly 1 --deterministic 1 --max-epochs 1");
  const auto result = isnet::testing::run(1, command("bad", "--monitor val_kappa"));
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.output,
              HasSubstr("allowed: val_loss, val_loss_classification, val_accuracy, train_loss"));
}

TEST_F(FitLoop, LogsStepsEpochsAndHistogramsToTensorBoardAndJsonLines) {
  const std::string options =
      "--logger csv,jsonl,tensorboard --tensorboard-histograms 1 --log-every-n-steps 4 ";
  succeed("run", options + "--max-epochs 1", 2);
  succeed("run", options + "--max-epochs 2 --resume last", 2);
  std::vector<std::string> reader{
      ISNET_PYTHON, (std::filesystem::path(ISNET_TESTS_DIR) / "trainer" / "read_events.py").string()};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "run"))
    if (entry.path().filename().string().rfind("events.out.tfevents.", 0) == 0)
      files.push_back(entry.path().string());
  ASSERT_EQ(files.size(), 2u);
  std::sort(files.begin(), files.end());
  reader.insert(reader.end(), files.begin(), files.end());
  const auto read = run_program(reader, {});
  ASSERT_EQ(read.status, 0) << read.output;
  EXPECT_THAT(read.output, HasSubstr("version brain.Event:2"));
  EXPECT_THAT(read.output, HasSubstr("start 9 1\n")) << "the resumed run drops what comes after step 8";
  EXPECT_THAT(read.output, HasSubstr("8 weights/classifier.bias histogram"));
  std::map<std::string, std::map<std::int64_t, double>> values;
  std::istringstream lines(read.output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream parts(line);
    std::int64_t step = 0;
    std::string tag;
    double value = 0;
    if (parts >> step >> tag >> value) values[tag][step] = value;
  }
  const auto expected = column(folder_ / "run" / "metrics.csv", "val", "loss");
  EXPECT_NEAR(values["val/loss"][8], expected.at(0), 1e-6);
  EXPECT_NEAR(values["val/loss"][16], expected.at(1), 1e-6);
  EXPECT_EQ(values["step/loss"].size(), 4u);
  EXPECT_EQ(values["step/learning_rate"][4], 0.01f);
  EXPECT_TRUE(values.count("step/samples_per_second"));

  std::istringstream rows(text_of(folder_ / "run" / "metrics.jsonl"));
  std::vector<std::string> kinds;
  for (std::string row; std::getline(rows, row);) {
    const auto entry = nlohmann::json::parse(row);
    kinds.push_back(cat(entry.at("split").get<std::string>(), entry.at("step")));
    if (kinds.back() == "val16") {
      EXPECT_EQ(entry.at("loss").get<double>(), expected.at(1));
    }
  }
  EXPECT_EQ(kinds, (std::vector<std::string>{"step4", "step8", "val8", "train8", "step12", "step16", "val16",
                                             "train16"}));
  succeed("run", options + "--max-epochs 1 --overwrite 1", 2);
  EXPECT_EQ(text_of(folder_ / "run" / "metrics.jsonl").find("step\":16"), std::string::npos);
}

TEST_F(FitLoop, FindsALearningRate) {
  const auto result = isnet::testing::run(2, command("find", "--quiet 0 --find-lr 30 --find-lr-min 1e-4"));
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("suggested --lr "));
  std::istringstream lines(text_of(folder_ / "find" / "lr_find.csv"));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "learning_rate,loss");
  std::vector<double> rates;
  while (std::getline(lines, line)) rates.push_back(std::stod(line));
  ASSERT_GT(rates.size(), 12u);
  for (std::size_t i = 0; i < rates.size(); ++i)
    EXPECT_NEAR(rates[i], 1e-4 * std::pow(1e4, static_cast<double>(i) / 30), 1e-12 + 1e-9 * rates[i]);
  EXPECT_EQ(text_of(folder_ / "find" / "lr_find.png").substr(1, 3), "PNG");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "find" / "options.ini")) << "no run was begun";
  EXPECT_EQ(isnet::testing::run(1, command("find", "--find-lr 30 --find-lr-min 2 --find-lr-max 1")).status,
            2);
}

TEST_F(FitLoop, ValidateTestAndPredictOnACheckpoint) {
  succeed("run", "--max-epochs 1");
  const auto on = [&](const char* name, const std::string& output, const std::string& more) {
    std::vector<std::string> words{ISNET_BINARY,   name,
                                   "--checkpoint", (folder_ / "run" / "checkpoints" / "last.ckpt").string(),
                                   "--data",       (folder_ / "data").string(),
                                   "--output",     (folder_ / output).string()};
    std::istringstream extra(more);
    for (std::string word; extra >> word;) words.push_back(word);
    return isnet::testing::run(1, words);
  };
  const auto validated = on("validate", "validated", "");
  ASSERT_EQ(validated.status, 0) << validated.output;
  const auto scores = nlohmann::json::parse(text_of(folder_ / "validated" / "metrics.json")).at("val");
  EXPECT_EQ(scores.at("samples"), 8);
  EXPECT_NEAR(scores.at("loss").get<double>(), column(folder_ / "run" / "metrics.csv", "val", "loss").at(0),
              1e-6);
  ASSERT_EQ(on("validate", "few", "--batch-size 3 --limit-val-batches 2").status, 0);
  EXPECT_EQ(nlohmann::json::parse(text_of(folder_ / "few" / "metrics.json")).at("val").at("samples"), 6);
  ASSERT_EQ(on("test", "tested", "--split train --batch-size 4 --limit-test-batches 0.25").status, 0);
  EXPECT_EQ(nlohmann::json::parse(text_of(folder_ / "tested" / "metrics.json")).at("train").at("samples"),
            16);
  EXPECT_EQ(on("test", "none", "").status, 2) << "there is no split test";

  const auto predicted = on("predict", "predictions.csv", "--split val");
  ASSERT_EQ(predicted.status, 0) << predicted.output;
  std::istringstream lines(text_of(folder_ / "predictions.csv"));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "id,label,prediction,class0,class1,class2");
  int row = 0, right = 0;
  for (; std::getline(lines, line); ++row) {
    std::istringstream fields(line);
    std::string id, field;
    std::getline(fields, id, ',');
    EXPECT_EQ(id, cat("val-", row));
    std::vector<double> values;
    while (std::getline(fields, field, ',')) values.push_back(std::stod(field));
    ASSERT_EQ(values.size(), 5u);
    EXPECT_EQ(values[0], row % 3);
    EXPECT_NEAR(values[2] + values[3] + values[4], 1, 1e-6);
    EXPECT_EQ(std::max_element(values.begin() + 2, values.end()) - values.begin() - 2, values[1]);
    right += values[0] == values[1];
  }
  EXPECT_EQ(row, 8);
  EXPECT_NEAR(right / 8.0, scores.at("accuracy").get<double>(), 1e-12);
  ASSERT_EQ(on("predict", "few.csv", "--split val --batch-size 2 --limit-predict-batches 2").status, 0);
  const std::string few = text_of(folder_ / "few.csv");
  EXPECT_EQ(std::count(few.begin(), few.end(), '\n'), 5);
}

// An ISNet of one epoch, with other options.
ProgramResult isnet_run(const TemporaryFolder& folder, const std::string& output, const std::string& more,
                        int ranks = 1) {
  return isnet::testing::run(
      ranks, train(folder / "data", folder / output,
                   "--growth-rate 4 --blocks 2 --init-features 4 --objective isnet --batch-size 4 --lr 0.001 "
                   "--gradient-clip-val 1 --max-epochs 2 --limit-train-batches 4 --quiet 1 " +
                       more));
}

TEST_F(FitLoop, CheckpointedActivationsTrainTheSameWeights) {
  for (const char* more : {"--checkpoint-activations 0", "--checkpoint-activations 1"}) {
    const auto result = isnet_run(folder_, more[25] == '1' ? "again" : "kept", more, 2);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  EXPECT_EQ(text_of(folder_ / "kept" / "metrics.csv"), text_of(folder_ / "again" / "metrics.csv"));
  const auto data = [&](const char* output) {  // without the header, which holds the options
    const std::string file = text_of(folder_ / output / "weights.safetensors");
    std::uint64_t header = 0;
    std::memcpy(&header, file.data(), sizeof header);
    return file.substr(sizeof header + header);
  };
  EXPECT_TRUE(data("kept") == data("again"));
  EXPECT_GT(data("kept").size(), 1000u);
}

TEST_F(FitLoop, MixedPrecisionStaysCloseToSingleAndIsTakenOver) {
  for (const char* precision : {"32", "bf16-mixed"}) {
    const auto result = isnet_run(folder_, precision, std::string("--precision ") + precision);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  const auto single = column(folder_ / "32" / "metrics.csv", "train", "loss");
  const auto mixed = column(folder_ / "bf16-mixed" / "metrics.csv", "train", "loss");
  ASSERT_EQ(mixed.size(), single.size());
  EXPECT_NE(mixed[0], single[0]);
  EXPECT_NEAR(mixed[0], single[0], 0.05 * single[0]);
  EXPECT_THAT(text_of(folder_ / "bf16-mixed" / "options.ini"), HasSubstr("precision = bf16-mixed"));
  // evaluate takes the precision from the checkpoint.
  const auto evaluated_with = [&](const std::string& options) {
    const auto result =
        isnet::testing::run(1, {ISNET_BINARY, "evaluate", "--checkpoint",
                                (folder_ / "bf16-mixed" / "checkpoints" / "last.ckpt").string(), "--data",
                                (folder_ / "data").string(), "--split", "val", "--output",
                                (folder_ / "scores").string(), "--precision", options});
    EXPECT_EQ(result.status, 0) << result.output;
    return text_of(folder_ / "scores" / "metrics.json");
  };
  const auto taken = isnet::testing::run(
      1, {ISNET_BINARY, "evaluate", "--checkpoint",
          (folder_ / "bf16-mixed" / "checkpoints" / "last.ckpt").string(), "--data",
          (folder_ / "data").string(), "--split", "val", "--output", (folder_ / "taken").string()});
  ASSERT_EQ(taken.status, 0) << taken.output;
  EXPECT_EQ(text_of(folder_ / "taken" / "metrics.json"), evaluated_with("bf16-mixed"));
  EXPECT_NE(text_of(folder_ / "taken" / "metrics.json"), evaluated_with("32"));
}

}  // namespace
}  // namespace isnet
