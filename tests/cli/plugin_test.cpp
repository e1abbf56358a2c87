#include "cli/plugin_loader.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "cli/plugin_file.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace isnet::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(const std::string& file) {
  try {
    load_plugin(file);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    return e.what();
  }
  return "loaded";
}

void write(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(Plugin, OneOfThisVersionIsLoaded) {
  EXPECT_EQ(refusal(PLUGIN_GOOD), "loaded");
  ASSERT_NE(std::getenv("ISNET_TEST_GOOD_PLUGIN"), nullptr);
}

TEST(Plugin, OneOfAnotherVersionIsRefusedWithBothStampsBeforeItsCodeRuns) {
  EXPECT_THAT(refusal(PLUGIN_FOREIGN), AllOf(HasSubstr("isnet 99.0.0, torch"), HasSubstr("isnet 0.")));
  EXPECT_EQ(std::getenv("ISNET_TEST_FOREIGN_PLUGIN"), nullptr);
}

TEST(Plugin, AFileThatIsNoneIsRefused) {
  EXPECT_THAT(refusal(PLUGIN_UNMARKED), HasSubstr("ISNET_PLUGIN()"));
  EXPECT_EQ(std::getenv("ISNET_TEST_UNMARKED_PLUGIN"), nullptr) << "its constructor ran";
  EXPECT_THAT(refusal("/nowhere/libmine.so"), HasSubstr("/nowhere/libmine.so"));
  isnet::testing::TemporaryFolder folder;
  write_file_atomically(folder / "text.so", "not a library");
  EXPECT_THAT(refusal((folder / "text.so").string()), HasSubstr("cannot load"));
}

TEST(Plugin, AFileThatIsCutShortIsRefusedAtEveryLength) {
  const isnet::testing::TemporaryFolder folder;
  const std::string whole = read_file(PLUGIN_GOOD);
  for (std::size_t length = 0; length < whole.size(); length += length < 1024 ? 8 : 61) {
    write(folder / "cut.so", std::string_view(whole).substr(0, length));
    ASSERT_THAT(refusal((folder / "cut.so").string()), HasSubstr("cannot load")) << length;
  }
}

// What the loader would believe is only looked at here: changed headers are never loaded.
TEST(Plugin, AFileWithChangedHeadersIsReadWithinItsBounds) {
  const isnet::testing::TemporaryFolder folder;
  const std::string whole = read_file(PLUGIN_GOOD);
  const auto file = (folder / "changed.so").string();
  ASSERT_EQ(plugin_stamps_of_file(PLUGIN_GOOD).size(), 1u);
  int refused = 0;
  for (std::size_t place = 0; place < 1024; place += 4)  // the header and the table of segments
    for (const unsigned value : {0u, 1u, 0x7fffffffu, 0xffffffffu}) {
      std::string changed = whole;
      std::memcpy(changed.data() + place, &value, sizeof value);
      write(file, changed);
      try {
        plugin_stamps_of_file(file);
      } catch (const Error& e) {
        ASSERT_EQ(e.kind(), ErrorKind::usage) << place;
        ++refused;
      }
    }
  EXPECT_GT(refused, 100);
}

TEST(Plugin, OneForAnotherMachineOrKindOfFileIsRefused) {
  const isnet::testing::TemporaryFolder folder;
  const std::string whole = read_file(PLUGIN_GOOD);
  const auto changed = [&](std::size_t place, char value) {
    std::string bytes = whole;
    bytes[place] = value;
    write(folder / "other.so", bytes);
    return refusal((folder / "other.so").string());
  };
  EXPECT_THAT(changed(4, 1), HasSubstr("another kind of machine")) << "32 bits";
  EXPECT_THAT(changed(5, 2), HasSubstr("another kind of machine")) << "the other byte order";
  EXPECT_THAT(changed(18, 8), HasSubstr("another kind of machine"));
  EXPECT_THAT(changed(16, 2), HasSubstr("is not a shared library")) << "a program";
}

TEST(Plugin, OnlyARegularFileIsOpened) {
  const isnet::testing::TemporaryFolder folder;
  ::mkfifo((folder / "pipe.so").c_str(), 0600);
  for (const auto& file : {(folder / "pipe.so").string(), std::string("/dev/zero"), folder.path().string()})
    EXPECT_THAT(refusal(file), HasSubstr("is not a regular file"));
}

TEST(Plugin, AConstructorThatThrowsEndsTheProgramWithItsMessage) {
  const auto result = isnet::testing::run_process({CLI_PROBE, "probe", "--plugin", PLUGIN_THROWING});
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(result.signal, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("--plugin: cannot load "),
                                HasSubstr("its constructors threw: no such device \\x1B[31m")));
}

}  // namespace
}  // namespace isnet::cli
