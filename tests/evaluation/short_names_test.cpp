#include "evaluation/short_names.h"

#include <gmock/gmock.h>

#include <vector>

namespace isnet {
namespace {

FitsRoom at_most(std::size_t bytes) {
  return [bytes](const std::string& text) { return text.size() <= bytes; };
}

const std::vector<std::string> ids{"photos/train/cats/IMG_0001_small.jpg", "photos/train/cats/IMG_0002_small.jpg",
                                   "photos/train/cows/IMG_0001_small.jpg"};

TEST(NameShortener, LeavesNamesThatFitAsTheyAre) {
  EXPECT_EQ(NameShortener(ids).shortened(ids[0], at_most(100)), ids[0]);
}

TEST(NameShortener, CutsWhatAllNamesShareAndKeepsWhatTellsThemApart) {
  const NameShortener shortener(ids);
  EXPECT_EQ(shortener.shortened(ids[0], at_most(30)), "..cats/IMG_0001_small.jpg");
  EXPECT_EQ(shortener.shortened(ids[0], at_most(20)), "..cats/IMG_0001..");
  EXPECT_EQ(shortener.shortened(ids[2], at_most(20)), "..cows/IMG_0001..");
}

TEST(NameShortener, CutsTheMiddleWhereNothingElseHelps) {
  EXPECT_EQ(NameShortener().shortened("abcdefghij", at_most(6)), "ab..ij");
  EXPECT_EQ(NameShortener(ids).shortened("x", at_most(0)), "..");
}

TEST(NameShortener, ShortensAnyNamesToTheRoomThatThereIs) {
  for (const auto& id : ids)
    for (std::size_t room = 2; room < 40; ++room)
      EXPECT_LE(NameShortener(ids).shortened(id, at_most(room)).size(), room) << id;
}

TEST(NameShortener, CutsNoCharacterInTwo) {
  const std::vector<std::string> names{"ää/öö/1", "ää/öü/2"};
  const NameShortener shortener(names);
  for (std::size_t room = 2; room < 12; ++room)
    for (const auto& name : names) {
      const auto text = shortener.shortened(name, at_most(room));
      for (std::size_t i = 0; i < text.size(); ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) {
          EXPECT_TRUE(i > 0 && static_cast<unsigned char>(text[i - 1]) >= 0xC0) << text;
        }
    }
}

}  // namespace
}  // namespace isnet
