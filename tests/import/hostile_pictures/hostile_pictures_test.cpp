// Hostile pictures: each is refused with a data error that names the file, or read. Nothing crashes or hangs.
// They are read by a process of its own, since a crash inside a decoder counts too. ISNET_MUTATIONS=N takes N
// mutants of each file instead of a few.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "base/files.h"
#include "base/random.h"
#include "hostile_pictures/seeds.h"
#include "support/list_reader.h"
#include "support/temporary_folder.h"

namespace isnet::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> answers(const std::vector<fs::path>& paths, const TemporaryFolder& folder) {
  return list_answers(ISNET_PICTURE_READER, paths, folder, 3072);
}

// Other bytes in a few places, every second time near the beginning; a piece that is missing or appears twice;
// an end that comes early; the largest and smallest numbers.
std::string mutated(const std::string& whole, std::uint64_t trial) {
  SampleRandom random(trial, Purpose::order, 0, 0);
  std::string bytes = whole;
  const auto range =
      static_cast<std::uint32_t>(trial % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 400));
  const auto place = [&] { return std::size_t{random.below(range)}; };
  switch (random.below(6)) {
    case 0:
      return bytes.substr(0, place());
    case 1:
      return bytes.erase(place(), 1 + random.below(40));
    case 2: {
      const auto at = place();
      return bytes.insert(at, bytes.substr(at, 1 + random.below(200)));
    }
    case 3:
      for (std::uint32_t n = 0; n < 3; ++n)
        bytes.replace(place(), 1 + random.below(4), 1 + random.below(4), random.below(2) ? '\xFF' : '\0');
      return bytes;
    default:
      for (std::uint32_t n = 1 + random.below(8); n > 0; --n)
        bytes[place()] = static_cast<char>(random.below(256));
      return bytes;
  }
}

class HostilePictures : public ::testing::Test {
 protected:
  TemporaryFolder folder;
  std::vector<fs::path> seeds = write_seed_pictures(folder.path());
};

TEST_F(HostilePictures, MutantsAreReadOrRefusedWithTheirName) {
  const char* asked = std::getenv("ISNET_MUTATIONS");
  const std::uint64_t count = asked ? static_cast<std::uint64_t>(std::atoll(asked)) : 30;
  std::vector<fs::path> paths = seeds;
  for (const auto& seed : seeds) {
    const auto whole = read_file(seed);
    for (std::uint64_t trial = 0; trial < count; ++trial) {
      paths.push_back(folder / ("mutant" + std::to_string(trial) + "-" + seed.filename().string()));
      std::ofstream(paths.back(), std::ios::binary) << mutated(whole, trial);
    }
  }
  const auto all = answers(paths, folder);
  ASSERT_EQ(all.size(), paths.size());
  std::size_t refused = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const auto name = paths[i].filename().string();
    if (i < seeds.size()) {
      EXPECT_EQ(all[i], "read 24 40") << name;
      continue;
    }
    EXPECT_THAT(all[i], AnyOf(StartsWith("read "), StartsWith("refused "))) << name;
    if (!all[i].starts_with("refused ")) continue;
    ++refused;
    EXPECT_THAT(all[i], HasSubstr(name));
  }
  std::cout << paths.size() - seeds.size() << " mutants of " << seeds.size() << " pictures, " << refused
            << " refused\n";
  EXPECT_GT(refused, (paths.size() - seeds.size()) / 4);
}

TEST_F(HostilePictures, SmallFilesThatDecodeToGigabytesAreRefused) {
  const auto paths = write_bombs(folder.path());
  const auto all = answers(paths, folder);
  ASSERT_EQ(all.size(), paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const auto name = paths[i].filename().string();
    EXPECT_THAT(all[i], StartsWith("refused ")) << name;
    EXPECT_THAT(all[i], HasSubstr(name));
    const char* says = name.starts_with("bomb.")      ? "--max-pixels raises it"
                       : name.starts_with("nested")   ? "nested too deeply"
                       : name.starts_with("inflated") ? "--max-picture-mb raises it"
                                                      : "";
    EXPECT_THAT(all[i], HasSubstr(says)) << name;
  }
}

}  // namespace
}  // namespace isnet::testing
