// Which samples a report shows.
#include "report/sample_choice.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace isnet {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

// Two classes; samples of class 0 with these probabilities of it.
Predictions predictions(const std::vector<double>& of_label) {
  Predictions made;
  made.class_names = {"a", "b"};
  for (std::size_t i = 0; i < of_label.size(); ++i) {
    made.ids.push_back(cat("s", i));
    made.labels.push_back(0);
    made.probabilities.insert(made.probabilities.end(), {of_label[i], 1 - of_label[i]});
  }
  decide(made);
  return made;
}

std::vector<std::string> of_kind(const std::vector<ChosenSample>& chosen, const std::string& kind) {
  std::vector<std::string> ids;
  for (const auto& one : chosen)
    if (std::find(one.kinds.begin(), one.kinds.end(), kind) != one.kinds.end())
      ids.push_back(cat(one.sample));
  return ids;
}

TEST(SampleChoice, ShowsTheSurestErrorsTheWorstAndTheBest) {
  const auto chosen = choose_samples(predictions({0.9, 0.1, 0.6, 0.4, 0.95, 0.05}), 2, 1);
  EXPECT_THAT(of_kind(chosen, "confident_error"), ElementsAre("5", "1"));
  EXPECT_THAT(of_kind(chosen, "worst"), ElementsAre("5", "1"));
  EXPECT_THAT(of_kind(chosen, "best"), ElementsAre("4", "0"));
  EXPECT_EQ(of_kind(chosen, "random").size(), 2u);
}

TEST(SampleChoice, ShowsEachSampleOnceAndNoErrorsWhereThereAreNone) {
  const auto chosen = choose_samples(predictions({0.9, 0.8}), 8, 1);
  EXPECT_EQ(chosen.size(), 2u);
  EXPECT_TRUE(of_kind(chosen, "confident_error").empty());
  EXPECT_TRUE(choose_samples(predictions({0.9}), 0, 1).empty());
}

TEST(SampleChoice, DrawsTheSameSamplesForTheSameSeed) {
  std::vector<double> many(1000, 0.9);
  const auto drawn = [&](std::uint64_t seed) {
    return of_kind(choose_samples(predictions(many), 5, seed), "random");
  };
  EXPECT_EQ(drawn(1), drawn(1));
  EXPECT_NE(drawn(1), drawn(2));
  EXPECT_EQ(drawn(3).size(), 5u);
}

TEST(SampleChoice, TakesTheBestOfEachClassInTurn) {
  Predictions made = predictions({0.99, 0.98, 0.97, 0.4});
  made.labels = {0, 0, 0, 1};
  const auto best = of_kind(choose_samples(made, 2, 1), "best");
  EXPECT_THAT(best, Contains("3")) << "the only right sample of its class";
}

TEST(SampleChoice, TellsTheProbabilitiesOfLabelAndPrediction) {
  Predictions made;
  made.class_names = {"a", "b", "c", "d", "e", "f", "g"};
  made.ids = {"x"};
  made.labels = {6};
  made.probabilities = {0.3, 0.25, 0.2, 0.1, 0.1, 0.04, 0.01};
  decide(made);
  const auto json = sample_json(made, {0, {"worst"}});
  EXPECT_EQ(json.at("probabilities").size(), 6u);
  EXPECT_EQ(json.at("probabilities").back().at(0), 6);
  EXPECT_EQ(json.at("right"), false);
}

}  // namespace
}  // namespace isnet
