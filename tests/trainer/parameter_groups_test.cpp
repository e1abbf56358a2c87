#include "trainer/optimizers/parameter_groups.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "support/refusal.h"

namespace isnet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

// A network of a convolution, a batch norm and a head, by its names.
NamedParameters parameters() {
  const auto one = [](at::IntArrayRef shape) { return at::zeros(shape, at::kDouble).requires_grad_(); };
  return {{"features.conv0.weight", one({4, 3, 3, 3})}, {"features.conv0.bias", one({4})},
          {"features.norm0.weight", one({4})},          {"features.norm0.bias", one({4})},
          {"classifier.weight", one({2, 4})},           {"classifier.bias", one({2})}};
}

OptionValues options_of(const std::vector<std::pair<std::string, std::string>>& settings) {
  OptionValues options(parameter_group_options());
  for (const auto& [name, value] : settings) options.set(name, value);
  return options;
}

std::vector<std::string> meant(const std::string& pattern) {
  const auto all = parameters();
  const auto flags = matching("freeze", {pattern}, all, "classifier");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (flags[i]) names.push_back(all[i].first);
  return names;
}

TEST(ParameterPatterns, AreGlobsOfWholeNamesOrWords) {
  EXPECT_THAT(meant("features.conv0.*"), ElementsAre("features.conv0.weight", "features.conv0.bias"));
  EXPECT_THAT(meant("norms"), ElementsAre("features.norm0.weight", "features.norm0.bias"));
  EXPECT_THAT(meant("biases"), ElementsAre("features.conv0.bias", "features.norm0.bias", "classifier.bias"));
  EXPECT_THAT(meant("head"), ElementsAre("classifier.weight", "classifier.bias"));
  EXPECT_EQ(meant("backbone").size(), 4u);
  EXPECT_EQ(meant("*").size(), 6u);
}

TEST(ParameterPatterns, ThatMeanNothingAreRefusedWithNamesThatThereAre) {
  const auto message = refusal(ErrorKind::usage, [] { meant("features.conv1.*"); });
  EXPECT_THAT(message, HasSubstr("--freeze: 'features.conv1.*' matches no parameter"));
  EXPECT_THAT(message, HasSubstr("features.conv0.weight"));
  EXPECT_THAT(refusal(ErrorKind::usage, [] { meant("features"); }), HasSubstr("matches no parameter"));
}

TEST(ParameterGroups, OneWithoutOptions) {
  const auto groups = parameter_groups(parameters(), options_of({}), "classifier");
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].parameters.size(), 6u);
  EXPECT_EQ(groups[0].rate_factor, 1);
  EXPECT_TRUE(groups[0].decays);
}

TEST(ParameterGroups, HoldEachParameterOnceWithTheLastFactorThatFits) {
  const auto groups = parameter_groups(parameters(),
                                       options_of({{"weight-decay-exclude", "norms,biases"},
                                                   {"lr-factors", "backbone=0.1,features.norm0.*=0.5"}}),
                                       "classifier");
  std::map<std::string, std::pair<double, bool>> settings;
  for (const auto& group : groups)
    for (const auto& entry : group.parameters)
      EXPECT_TRUE(settings.emplace(entry.first, std::make_pair(group.rate_factor, group.decays)).second);
  const std::map<std::string, std::pair<double, bool>> expected{
      {"features.conv0.weight", {0.1, true}},  {"features.conv0.bias", {0.1, false}},
      {"features.norm0.weight", {0.5, false}}, {"features.norm0.bias", {0.5, false}},
      {"classifier.weight", {1, true}},        {"classifier.bias", {1, false}}};
  EXPECT_EQ(settings, expected);
}

TEST(ParameterGroups, LeaveOutWhatIsFrozen) {
  const auto all = parameters();
  EXPECT_TRUE(freeze(all, options_of({{"freeze", "backbone"}}), "classifier").empty());
  const auto groups = parameter_groups(all, options_of({}), "classifier");
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].parameters.size(), 2u);
  EXPECT_FALSE(all[0].second.requires_grad());
}

TEST(Freezing, UntilAnEpochLeavesParametersTrainableAndNamesThem) {
  const auto all = parameters();
  const auto waiting =
      freeze(all, options_of({{"freeze", "features.conv0.*"}, {"freeze-until-epoch", "3"}}), "classifier");
  ASSERT_EQ(waiting.size(), 2u);
  EXPECT_EQ(waiting[1].first, "features.conv0.bias");
  EXPECT_TRUE(waiting[1].second.requires_grad());
}

TEST(ParameterGroups, BadOptionsAreRefusedWithWhatIsAllowed) {
  const auto grouping = [](const std::string& text) {
    return refusal(ErrorKind::usage,
                   [&] { parameter_groups(parameters(), options_of({{"lr-factors", text}}), "classifier"); });
  };
  for (const char* text : {"head", "head=", "=2", "head=-1", "head=x", "head=1x", "head=nan", "head=1e7"})
    EXPECT_THAT(grouping(text), HasSubstr("PATTERN=X with X from 0 to 1e6")) << text;
  const auto freezing = [](const std::vector<std::pair<std::string, std::string>>& settings) {
    return refusal(ErrorKind::usage, [&] { freeze(parameters(), options_of(settings), "classifier"); });
  };
  EXPECT_THAT(freezing({{"freeze", "head,backbone"}}), HasSubstr("leaves no parameter to train"));
  EXPECT_THAT(freezing({{"freeze-until-epoch", "2"}}), HasSubstr("needs --freeze"));
}

}  // namespace
}  // namespace isnet
