#include <gmock/gmock.h>

#include <map>
#include <set>

#include "run/background_tests.h"
#include "support/data.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;

class BackgroundDonorsTest : public ::testing::Test {
 protected:
  // Sample i is of class i mod 3.
  BackgroundDonorsTest() {
    write_small_data_set(folder_ / "data", {{"test", 12}}, 3);
    data_ = std::make_unique<DataSet>(folder_ / "data");
    split_ = data_->split("test");
  }
  TemporaryFolder folder_;
  std::unique_ptr<DataSet> data_;
  std::shared_ptr<const SplitReader> split_;
};

TEST_F(BackgroundDonorsTest, AreOtherSamplesOfTheClassThatIsAskedFor) {
  const BackgroundDonors donors(*split_, std::vector<std::uint8_t>(12, 1), 5);
  for (std::int64_t sample = 0; sample < 12; ++sample)
    for (std::uint64_t draw = 0; draw < 30; ++draw) {
      const auto same = donors.same_class(sample, draw), any = donors.any_class(sample, draw),
                 next = donors.next_class(sample, draw);
      EXPECT_NE(same, sample);
      EXPECT_NE(any, sample);
      EXPECT_EQ(same % 3, sample % 3);
      EXPECT_EQ(next % 3, (sample + 1) % 3);
    }
}

TEST_F(BackgroundDonorsTest, OfARandomClassAreOfEachClassEquallyOften) {
  std::vector<std::uint8_t> has_background(12, 1);
  for (const std::size_t sample : {1, 4, 7}) has_background[sample] = 0;  // one sample of class 1 is left
  const BackgroundDonors donors(*split_, has_background, 5);
  std::map<std::int64_t, int> counts;
  for (std::uint64_t draw = 0; draw < 3000; ++draw) ++counts[donors.any_class(0, draw) % 3];
  for (std::int64_t k = 0; k < 3; ++k) EXPECT_NEAR(counts[k], 1000, 150) << k;
}

TEST_F(BackgroundDonorsTest, DependOnSeedDrawAndSampleAlone) {
  const std::vector<std::uint8_t> all(12, 1);
  const BackgroundDonors one(*split_, all, 5), again(*split_, all, 5), other(*split_, all, 6);
  int differences = 0;
  std::set<std::int64_t> drawn;
  for (std::uint64_t draw = 0; draw < 30; ++draw) {
    EXPECT_EQ(one.any_class(3, draw), again.any_class(3, draw));
    differences += one.any_class(3, draw) != other.any_class(3, draw);
    drawn.insert(one.any_class(3, draw));
  }
  EXPECT_GT(differences, 0);
  EXPECT_GT(drawn.size(), 3u);
}

TEST_F(BackgroundDonorsTest, AreMissingWhereNoOtherSampleHasABackground) {
  std::vector<std::uint8_t> has_background(12, 0);
  has_background[3] = 1;
  const BackgroundDonors donors(*split_, has_background, 5);
  EXPECT_EQ(donors.same_class(3, 0), -1);
  EXPECT_EQ(donors.any_class(3, 0), -1);
  EXPECT_EQ(donors.same_class(0, 0), 3);
  EXPECT_EQ(donors.next_class(3, 0), -1);
  EXPECT_EQ(donors.next_class(2, 0), 3);
}

}  // namespace
}  // namespace isnet
