// The real program with weights from somebody else: the options that they carry read no file and take no
// memory beyond the file's, and what is wrong is said in one line, with status 3.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/safetensors.h"
#include "support/data.h"
#include "support/ranks.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class HostileWeights : public ::testing::Test {
 protected:
  HostileWeights() {
    write_small_data_set(folder_ / "data", {{"val", 4}}, 3, 100, small_layout(16, 16));
    write_file_atomically(folder_ / "secret", "the first line of a secret\n");
    ::mkfifo((folder_ / "pipe").c_str(), 0600);
  }

  ProgramResult evaluate(const std::map<std::string, std::string>& metadata) const {
    const std::string bytes(3 * 4 * sizeof(float), '\0');
    safetensors::write(folder_ / "w.safetensors", {{"classifier.weight", {"F32", {3, 4}, bytes}}}, metadata);
    ProgramOptions options;
    options.environment["OMP_NUM_THREADS"] = "1";
    return run_program(
        {ISNET_BINARY, "evaluate", "--weights", (folder_ / "w.safetensors").string(), "--data",
         (folder_ / "data").string(), "--split", "val", "--output", (folder_ / "out").string()},
        options);
  }
  void expect_refused(const std::map<std::string, std::string>& metadata, const std::string& says) const {
    const auto result = evaluate(metadata);
    EXPECT_EQ(result.status, 3) << says << "\n" << result.output;
    EXPECT_THAT(result.output, AllOf(HasSubstr("w.safetensors: "), HasSubstr(says)));
    EXPECT_THAT(result.output,
                AllOf(Not(HasSubstr("json.exception")), Not(HasSubstr("a secret")), Not(HasSubstr("\x1b"))));
  }

  TemporaryFolder folder_;
};

TEST_F(HostileWeights, WhoseOptionsNameAFileAreRefusedWithoutOpeningIt) {
  for (const char* file : {"secret", "pipe"})
    expect_refused({{"isnet.options", "network = sequence\nlayers = @" + (folder_ / file).string() + "\n"}},
                   "its option 'layers' is '@");
  expect_refused({{"isnet.options", "network = vgg\nlayers = @/dev/zero\n"}}, "may not name files");
}

TEST_F(HostileWeights, WhoseOptionsDescribeALargerNetworkTakeNoMemoryForIt) {
  for (const char* options :
       {"network = resnet\nblocks = 3000,3000\n", "network = vgg\nhidden = 100000,100000\n",
        "network = densenet\nblocks = 100000\ngrowth-rate = 1\n",
        "network = sequence\nlayers = conv 1000000 1000, relu, avgpool global, flatten, linear\n",
        "network = resnet\nwidths = 1000000000000,1000000000000\n"})
    expect_refused({{"isnet.options", options}}, "its options describe");
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  EXPECT_LT(usage.ru_maxrss, 1'200'000)
      << "kilobytes of the largest process; the libraries alone take some 400 000";
}

TEST_F(HostileWeights, WithOptionsThatAreNoneAreRefusedByFileAndOption) {
  expect_refused({{"isnet.options", "network = resnet\nblocks = x\n"}}, "its option 'blocks'");
  expect_refused({{"isnet.options", "network = none\x1b[31m\n"}}, "its option 'network' is 'none\\x1B[31m'");
  expect_refused({{"isnet.options", "network = nothing-known\n"}}, "nothing-known");
  expect_refused({{"isnet.options", "network = sequence\nlayers = conv, linear\n"}}, "--layers: features.0");
  expect_refused({{"isnet.options", "num-classes = 1000000000000\n"}}, "num-classes");
}

TEST_F(HostileWeights, WhoseClassNamesAreNoListOfNamesAreRefusedByFileAndField) {
  std::string deep(1'000'000, '[');
  for (const std::string& names :
       {std::string("5"), std::string("{}"), std::string("[1,2]"), std::string("[\"a\""),
        std::string("[\"a\\u001b[31m\"]"), std::string("[\"\"]"), deep})
    expect_refused(
        {{"isnet.options", "network = resnet\nblocks = 1,1\nwidths = 4,6\n"}, {"isnet.class_names", names}},
        names[1] == '"' && names.back() == ']' ? "class name" : "isnet.class_names");
}

TEST_F(HostileWeights, ThatAreNoFileAreNotWaitedFor) {
  for (const auto& path : {(folder_ / "pipe").string(), std::string("/dev/zero")})
    for (const char* option : {"--weights", "--checkpoint"}) {
      const auto result = run_program({ISNET_BINARY, "evaluate", option, path, "--data",
                                       (folder_ / "data").string(), "--output", (folder_ / "out").string()});
      EXPECT_EQ(result.status, 3) << result.output;
      EXPECT_THAT(result.output, HasSubstr(path + ": is not a regular file"));
    }
}

}  // namespace
}  // namespace isnet
