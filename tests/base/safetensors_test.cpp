#include "base/safetensors.h"

#include <gmock/gmock.h>

#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "support/temporary_folder.h"

namespace isnet::safetensors {
namespace {

using isnet::testing::TemporaryFolder;

std::string bytes_of(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

void write_example(const std::filesystem::path& path) {
  const std::string weight = bytes_of({1, 2, 3, 4, 5, 6});
  const std::string flags("\1\0\1", 3);
  write(path,
        {{"weight", {"F32", {2, 3}, weight}},
         {"flags", {"U8", {3}, flags}},
         {"scalar", {"F32", {}, std::string_view(weight).substr(0, 4)}}},
        {{"format", "pt"}});
}

std::string refusal(const std::filesystem::path& path) {
  try {
    File file(path);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::checkpoint);
    return e.what();
  }
  return "accepted";
}

TEST(Safetensors, WhatIsWrittenIsReadBack) {
  TemporaryFolder folder;
  write_example(folder / "a.safetensors");
  const File file(folder / "a.safetensors");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  ASSERT_EQ(file.tensors().size(), 3u);
  const auto& weight = file.tensors().at("weight");
  EXPECT_EQ(weight.dtype, "F32");
  EXPECT_THAT(weight.shape, ::testing::ElementsAre(2, 3));
  EXPECT_EQ(weight.bytes, bytes_of({1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(file.tensors().at("scalar").shape.empty());
}

TEST(Safetensors, ACutFileIsRefusedAtEveryLength) {
  TemporaryFolder folder;
  write_example(folder / "a");
  const std::string content = read_file(folder / "a");
  for (size_t length = 0; length < content.size(); ++length) {
    write_file_atomically(folder / "cut", std::string_view(content).substr(0, length));
    ASSERT_THAT(refusal(folder / "cut"), ::testing::HasSubstr("cut: not a valid safetensors file")) << length;
  }
}

TEST(Safetensors, BrokenHeadersAreRefusedWithTheirReason) {
  TemporaryFolder folder;
  const auto refused = [&](const std::string& header, const std::string& data) {
    std::string size(8, '\0');
    const std::uint64_t n = header.size();
    std::memcpy(size.data(), &n, 8);
    write_file_atomically(folder / "x", size + header + data);
    return refusal(folder / "x");
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(refused("[]", ""), HasSubstr("not a JSON object"));
  EXPECT_THAT(refused(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("unknown type F99"));
  EXPECT_THAT(refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("shape"));
  EXPECT_THAT(refused(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("negative"));
  EXPECT_THAT(refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "12345678"),
              HasSubstr("hole"));
  EXPECT_THAT(refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "12345678"),
              HasSubstr("follow"));
  EXPECT_THAT(refused(R"({"a":{"dtype":"F32","shape":[1]}})", "1234"), HasSubstr("data_offsets"));
  EXPECT_THAT(
      refused(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}})", "1234"),
      HasSubstr("shape"));
}

}  // namespace
}  // namespace isnet::safetensors
