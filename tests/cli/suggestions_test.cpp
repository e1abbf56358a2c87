#include "cli/suggestions.h"

#include <gmock/gmock.h>

namespace isnet::cli {
namespace {

std::string answer(const std::string& name) {
  static const std::vector<OptionSpec> specs{
      integer_option("max-epochs", "10", "Epochs", 1), real_option("lr", "0.01", "Rate", 0, 1),
      integer_option("batch-size", "32", "Samples", 1), text_option("weights", "", "FILE", "Weights"),
      text_option("resume", "", "FILE", "Resume"), text_option("output", "", "DIR", "Output")};
  return suggestion_for(name, specs);
}

TEST(Suggestions, NamesOfOtherToolsAreAnsweredWithOurs) {
  EXPECT_EQ(answer("epochs"), ": use --max-epochs");
  EXPECT_EQ(answer("num_train_epochs"), ": use --max-epochs");
  EXPECT_EQ(answer("learning-rate"), ": use --lr");
  EXPECT_EQ(answer("per_device_train_batch_size"), ": use --batch-size");
  EXPECT_EQ(answer("save_dir"), ": use --output");
  EXPECT_EQ(answer("checkpoint"), ": use --weights or --resume");
}

TEST(Suggestions, UnderscoresAndCapitalsAreForgiven) {
  EXPECT_EQ(answer("batch_size"), " (did you mean --batch-size?)");
  EXPECT_EQ(answer("Max_Epochs"), " (did you mean --max-epochs?)");
}

TEST(Suggestions, WhatNoOptionDoesIsAnsweredWithWhatDoes) {
  EXPECT_THAT(answer("gpus"), ::testing::HasSubstr("mpirun -n N"));
  EXPECT_THAT(answer("val-split"), ::testing::HasSubstr("isnet pack --splits"));
}

TEST(Suggestions, AnythingElseIsAnsweredWithTheNearestNameOrWithTheHelp) {
  EXPECT_EQ(answer("max-epoch"), ": use --max-epochs");
  EXPECT_EQ(answer("outptu"), " (did you mean --output?)");
  EXPECT_EQ(answer("zzzzzz"), " (see --help)");
}

}  // namespace
}  // namespace isnet::cli
