#include <gmock/gmock.h>

#include "trainer/loggers/event_file.h"

namespace isnet {
namespace {

TEST(EventFile, ChecksumIsCrc32c) {
  // RFC 3720, B.4, and the check value of the CRC catalogue.
  EXPECT_EQ(event_file::crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(event_file::crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(event_file::crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(event_file::crc32c(""), 0u);
}

TEST(EventFile, RecordsAreLengthChecksumDataChecksum) {
  const std::string record = event_file::record("abc");
  ASSERT_EQ(record.size(), 8 + 4 + 3 + 4u);
  EXPECT_EQ(record.substr(0, 8), std::string("\3\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(record.substr(12, 3), "abc");
}

TEST(EventFile, AScalarIsTheMessageThatProtobufMakes) {
  // wall_time 1.0, step 300, summary { value { tag "a", simple_value 0.5 } }
  const std::string expected(
      "\x09\0\0\0\0\0\0\xf0\x3f\x10\xac\x02\x2a\x0a\x0a\x08\x0a\x01"
      "a\x15\0\0\0\x3f",
      24);
  EXPECT_EQ(event_file::scalars_event(1.0, 300, {{"a", 0.5}}), expected);
}

TEST(EventFile, AnImageIsTheMessageThatProtobufMakes) {
  // wall_time 1.0, step 2, summary { value { tag "a", image { height 3, width 200, colorspace 3, "PNG" } } }
  const std::string expected(
      "\x09\0\0\0\0\0\0\xf0\x3f\x10\x02\x2a\x13\x0a\x11\x0a\x01"
      "a\x22\x0c\x08\x03\x10\xc8\x01\x18\x03\x22\x03PNG",
      32);
  EXPECT_EQ(event_file::image_event(1.0, 2, "a", 200, 3, "PNG"), expected);
}

}  // namespace
}  // namespace isnet
