// evaluate --report and compare --report, from outside and in a browser.
#include <gmock/gmock.h>

#include <cmath>

#include "../evaluation/trained_model.h"
#include "base/error.h"
#include "report/page.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int no_browser = 77;

Json data_of(const std::string& file) {
  const std::string page = read_file(file), begin = "<script type=\"application/json\" id=\"data\">";
  const auto from = page.find(begin) + begin.size();
  return Json::parse(page.substr(from, page.find("</script>", from) - from));
}

// The page in a browser at three sizes, light and dark: check_page.py. Says what is wrong.
void expect_good_page(const std::string& file, std::vector<std::string> texts = {}) {
  std::vector<std::string> words{"python3", ISNET_TESTS_DIR "/report/check_page.py", file, "--texts"};
  words.insert(words.end(), texts.begin(), texts.end());
  ProgramOptions options;
  options.timeout = std::chrono::seconds(500);
  const auto result = run_program(words, options);
  if (result.status == no_browser) GTEST_SKIP() << "no Chromium here";
  EXPECT_EQ(result.status, 0) << result.output;
}

// What evaluate --background and --explanation add to a split's metrics.
constexpr const char* background_figures = R"({
  "samples": 10, "accuracy": 0.5, "classes": ["a", "b"], "confusion_matrix": [[4, 1], [4, 1]],
  "scores": {"accuracy": {"value": 0.5, "low": 0.24, "high": 0.76, "method": "Wilson"}, "per_class": {}},
  "background": {"samples": 10, "left_out": {"no_object": 1}, "draws": 3, "seed": 0, "fill": "inpaint", "majority_share": 0.5,
    "conditions": [
      {"name": "original", "background": "its own", "accuracy": {"value": 0.5, "low": 0.24, "high": 0.76, "method": "Wilson"}},
      {"name": "mixed_rand", "background": "another image", "accuracy": {"value": 0.2, "low": 0.1, "high": 0.4, "method": "bootstrap"},
       "flip_rate": {"value": 0.7, "low": 0.4, "high": 0.9, "method": "bootstrap"}, "logit_change": {"value": 1.25, "low": null, "high": null, "method": null},
       "per_class": {"a": {"samples": 5, "accuracy": {"value": 0.2, "low": null, "high": null, "method": null}, "flip_rate": null, "logit_change": 1.5}}}],
    "gaps": {"original_minus_mixed_rand": {"value": 0.3, "low": 0.1, "high": 0.5, "method": "bootstrap"}}, "remarks": ["A remark on <b>backgrounds</b>."]},
  "explanations": [{"explanation": "grad-cam", "class": "predicted", "samples": 10,
    "figures": {"background_share": {"mean": {"value": 0.6, "low": 0.5, "high": 0.7, "method": "bootstrap"}}, "pointing_game": {"mean": null}},
    "curves": {"fraction": [0, 0.5, 1], "deletion": [0.9, 0.4, 0.1], "insertion": [0.1, 0.5, 0.9]}}]})";

TEST(ReportOfTheBackground, SaysWhetherItIsBlindAndBesideIt) {
  nlohmann::ordered_json data{{"format", "isnet-report"}, {"version", 1}, {"kind", "evaluation"}, {"title", "a run"}};
  data["program"] = {{"isnet", "0"}, {"torch", "0"}};
  data["options"] = nlohmann::ordered_json::array();
  nlohmann::ordered_json subject{{"name", "test"}, {"task", "single-label"}, {"classes", {"a", "b"}}};
  subject["metrics"] = nlohmann::ordered_json::parse(background_figures);
  data["subjects"] = {subject};
  const TemporaryFolder folder;
  write_file_atomically(folder / "background.html", report_page(data));
  expect_good_page((folder / "background.html").string(),
                   {"The background of another image of any class changes 70.0 % of the predictions", "Grad-CAM, predicted class",
                    "60.0 % of the relevance lies in the background", "A remark on <b>backgrounds</b>.", "1 left out"});
}

class ReportOfANetwork : public TrainedModel {
 protected:
  static ProgramResult report(const std::string& file, std::vector<std::string> more, int ranks = 1) {
    more.insert(more.end(), {"--report", path(file), "--bootstrap", "100", "--posterior-draws", "1000"});
    return evaluate(more, ranks);
  }
};

TEST_F(ReportOfANetwork, OpensInABrowserWithPicturesAndTheTraining) {
  const auto written = report(
      "report.html", {"--split", "test,test-unbiased", "--calibrate", "1", "--operating-points", "youden"});
  ASSERT_EQ(written.status, 0) << written.output;
  EXPECT_THAT(written.output, HasSubstr("report written to"));
  const Json data = data_of(path("report.html"));
  EXPECT_EQ(data.at("format"), "isnet-report");
  EXPECT_EQ(data.at("model").at("sha256"), sha256_of_file(path("run/checkpoints/last.ckpt")));
  EXPECT_EQ(data.at("data").at("splits").at(0).at("samples"), 7);
  EXPECT_FALSE(data.at("training").at("columns").empty());
  const Json& sample = data.at("subjects").at(0).at("samples").at(0);
  EXPECT_THAT(sample.at("image").get<std::string>(), ::testing::StartsWith("data:image/"));
  EXPECT_TRUE(sample.contains("mask"));
  const double share = sample.at("maps").at(0).at("background");
  EXPECT_GE(share, 0);
  EXPECT_LE(share, 1);
  expect_good_page(path("report.html"), {"class0", "test-unbiased", "run/checkpoints/last.ckpt"});
}

TEST_F(ReportOfANetwork, IsTheSameOnThreeRanks) {
  ASSERT_EQ(report("one.html", {"--split", "test", "--precision", "64"}).status, 0);
  const auto three = report("three.html", {"--split", "test", "--precision", "64", "--backend", "gloo"}, 3);
  ASSERT_EQ(three.status, 0) << three.output;
  Json one = data_of(path("one.html")), other = data_of(path("three.html"));
  const Json& samples = one.at("subjects").at(0).at("samples");
  for (std::size_t i = 0; i < samples.size(); ++i)
    for (const char* key : {"id", "kinds", "image", "mask", "predicted"})
      EXPECT_EQ(samples[i].at(key), other.at("subjects").at(0).at("samples").at(i).at(key)) << key;
  EXPECT_EQ(one.at("subjects").at(0).at("metrics").at("confusion_matrix"),
            other.at("subjects").at(0).at("metrics").at("confusion_matrix"));
}

TEST_F(ReportOfANetwork, NeverReplacesWhatIsRead) {
  std::filesystem::create_directories(path("folder.html"));
  std::filesystem::copy_file(path("run/checkpoints/last.ckpt"), path("model.html"),
                             std::filesystem::copy_options::overwrite_existing);
  const auto refused = [&](const std::string& file) {
    const auto result = report(file, {"--split", "test"});
    EXPECT_EQ(result.status, 2) << file << result.output;
    return result.output;
  };
  EXPECT_THAT(refused("folder.html"), HasSubstr("is a folder"));
  EXPECT_THAT(refused("run/metrics.csv"), HasSubstr("FILE.html"));
  const std::string before = sha256_of_file(path("model.html"));
  const auto input = run_isnet({"evaluate", "--checkpoint", "model.html", "--data", "data", "--split", "test",
                                "--report", path("model.html")});
  EXPECT_EQ(input.status, 2) << input.output;
  EXPECT_THAT(input.output, HasSubstr("is an input"));
  EXPECT_EQ(sha256_of_file(path("model.html")), before);
}

TEST_F(ReportOfANetwork, ComparesModelsOnTheSamePage) {
  ASSERT_EQ(evaluate({"--split", "test", "--output", "scores"}).status, 0);
  const auto compared = run_isnet({"compare", path("run"), path("scores/predictions.csv"), "--report",
                                   path("compared.html"), "--bootstrap", "100"});
  ASSERT_EQ(compared.status, 0) << compared.output;
  const Json data = data_of(path("compared.html"));
  EXPECT_EQ(data.at("subjects").size(), 2u);
  EXPECT_TRUE(data.at("comparison").at("pairs").at(0).contains("mcnemar"));
  expect_good_page(path("compared.html"), {"McNemar", "class0"});
}

class ReportOfPredictions : public ::testing::Test {
 protected:
  // Classes in turn; the label has the largest probability in most rows.
  std::string predictions(std::size_t samples, const std::vector<std::string>& classes) const {
    std::string text = "id,label";
    for (const auto& name : classes) text += ",\"" + name + "\"";
    text += "\n";
    for (std::size_t i = 0; i < samples; ++i) {
      const std::size_t label = i % classes.size();
      const double p = 0.55 + 0.4 * std::sin(0.7 * static_cast<double>(i));
      text += cat("\"s", i, "</script><b>\",", label);
      for (std::size_t k = 0; k < classes.size(); ++k)
        text += cat(",", k == label ? p : (1 - p) / static_cast<double>(classes.size() - 1));
      text += "\n";
    }
    return text;
  }
  ProgramResult report(const std::string& text) {
    write_file_atomically(folder_ / "p.csv", text);
    return run_program({ISNET_BINARY, "evaluate", "--predictions", (folder_ / "p.csv").string(), "--report",
                        file(), "--bootstrap", "100", "--posterior-draws", "1000"});
  }
  std::string file() const { return (folder_ / "new folder" / "report.html").string(); }
  TemporaryFolder folder_;
};

TEST_F(ReportOfPredictions, ShowsHostileNamesAsText) {
  const std::string name = "</script><img src=x onerror=document.title=1>";
  const auto written = report(predictions(40, {name, "__proto__", "{{data}}"}));
  ASSERT_EQ(written.status, 0) << written.output;
  EXPECT_THAT(read_file(file()), Not(HasSubstr("<img src=x")));
  expect_good_page(file(), {name, "__proto__", "{{data}}", "</script><b>"});
}

TEST_F(ReportOfPredictions, OfFiveThousandSamplesIsSmall) {
  ASSERT_EQ(report(predictions(5000, {"a", "b", "c", "d", "e"})).status, 0);
  EXPECT_LT(std::filesystem::file_size(file()), 20'000'000u);
}

TEST_F(ReportOfPredictions, OfOneClassSaysWhatIsUndefined) {
  const auto written = report("id,label,a,b\nx,0,0.7,0.3\ny,0,0.6,0.4\n");
  ASSERT_EQ(written.status, 0) << written.output;
  expect_good_page(file(), {"All samples are of one class", "undefined"});
}

}  // namespace
}  // namespace isnet
