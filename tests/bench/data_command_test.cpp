// `isnet bench data` from outside. Nothing here depends on how fast anything is.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using Json = nlohmann::json;

ProcessResult bench_data(const TemporaryFolder& folder, const std::string& python,
                         const std::string& workers) {
  std::filesystem::create_directories(folder / "scratch");
  return run_process({ISNET_BINARY, "bench", "data", "--samples", "70", "--image-size", "16", "--steps", "2",
                      "--warmup", "0", "--python", python, "--scratch", (folder / "scratch").string(),
                      "--output", (folder / "data.json").string(), "--python-workers", workers},
                     {.timeout = std::chrono::seconds(110), .environment = {}, .working_folder = ""});
}

TEST(BenchData, WithoutPythonOurSideIsMeasured) {
  TemporaryFolder folder;
  const auto result = bench_data(folder, "none", "0");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("no Python rows and ratios"));
  const Json report = Json::parse(read_file(folder / "data.json"));
  ASSERT_EQ(report.at("groups").size(), 3u);
  for (const auto& group : report.at("groups"))
    for (const auto& variant : group.at("variants")) EXPECT_GT(variant.at("seconds").at("min"), 0);
  EXPECT_EQ(report.at("groups").at(1).at("ratios").at(0).at("count"), 10);
  EXPECT_TRUE(std::filesystem::is_empty(folder / "scratch"));
}

TEST(BenchData, PythonsLoaderIsComparedByItsFastestNumberOfWorkers) {
  TemporaryFolder folder;
  const auto result = bench_data(folder, ISNET_PYTHON, "0,1");
  ASSERT_EQ(result.status, 0) << result.err;
  const Json report = Json::parse(read_file(folder / "data.json"));
  ASSERT_EQ(report.at("groups").size(), 4u) << result.out;
  const Json& floats = report.at("groups").at(0);
  ASSERT_EQ(floats.at("variants").size(), 3u);
  const std::string best = floats.at("ratios").at(0).at("numerator");
  for (const auto& variant : floats.at("variants"))
    if (variant.at("name") == best)
      for (const auto& other : floats.at("variants"))
        if (other.at("name") != "ours") {
          EXPECT_LE(variant.at("seconds").at("median"), other.at("seconds").at("median"));
        }
  EXPECT_EQ(report.at("groups").at(3).at("variants").at(0).at("name"), best + "-deflate");
  EXPECT_EQ(report.at("samples"), 70);
}

}  // namespace
}  // namespace isnet
