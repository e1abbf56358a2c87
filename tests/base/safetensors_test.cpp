#include "base/safetensors.h"

#include <gmock/gmock.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "support/refusal.h"
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

std::string file_of(const std::string& header, const std::string& data) {
  std::string size(8, '\0');
  const std::uint64_t n = header.size();
  std::memcpy(size.data(), &n, 8);
  return size + header + data;
}

// Each value of a good header replaced by each of these, and left out: hundreds of hostile headers.
TEST(Safetensors, AHeaderWithValuesOfWrongTypesIsRefusedByFileAndField) {
  using nlohmann::json;
  const json good = json::parse(
      R"({"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
          "b": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]}})");
  const std::string data(16, 'x');
  ASSERT_NO_THROW(File(file_of(good.dump(), data), "good"));
  const std::vector<json> values{nullptr,
                                 true,
                                 0,
                                 -1,
                                 1,
                                 1.5,
                                 1e300,
                                 std::uint64_t{1} << 63,
                                 "",
                                 "x",
                                 "\x1b[31m",
                                 json::array(),
                                 json::array({1, 2, 3}),
                                 json::array({"x"}),
                                 json::object(),
                                 json::object({{"a", 1}})};
  int tried = 0;
  const json flat = good.flatten();
  for (const auto& [place, ignored] : flat.items())
    for (auto pointer = json::json_pointer(place); !pointer.empty(); pointer.pop_back())
      for (const auto& value : values) {
        json changed = good;
        changed[pointer] = value;
        if (changed == good) continue;
        try {
          File(file_of(changed.dump(), data), "hostile");
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::checkpoint);
          EXPECT_THAT(error.what(), ::testing::HasSubstr("hostile: not a valid safetensors file: "));
          EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("json.exception")));
        }
        ++tried;
      }
  EXPECT_GT(tried, 300);
}

TEST(Safetensors, DeepAndWideHeadersAreRefusedBeforeTheyTakeMemory) {
  const auto refused = [](const std::string& header) {
    return isnet::testing::refusal(ErrorKind::checkpoint, [&] { File(file_of(header, ""), "hostile"); });
  };
  EXPECT_THAT(refused("{\"a\":" + std::string(1'000'000, '[')), ::testing::HasSubstr("nested more than 64"));
  std::string wide = "{\"__metadata__\":{\"a\":[0";
  while (wide.size() < 3'000'000) wide += ",0,0,0,0";
  EXPECT_THAT(refused(wide + "]}}"), ::testing::HasSubstr("holds more than 1000000 values"));
  EXPECT_THAT(refused(R"({"a\u001b": {}})"), ::testing::HasSubstr("tensor name"));
  EXPECT_THAT(refused(R"({"a": {}, "a": {}})"), ::testing::HasSubstr("field 'a' appears twice"));
}

TEST(Safetensors, AFileIsNotReadWhereItsHeaderDoesNotFitItsSize) {
  TemporaryFolder folder;
  write_file_atomically(folder / "x",
                        file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "1234"));
  std::filesystem::resize_file(folder / "x", std::uintmax_t{1} << 42);  // 4 TB, almost all of it a hole
  EXPECT_THAT(refusal(folder / "x"), ::testing::HasSubstr("bytes follow the last tensor"));
}

}  // namespace
}  // namespace isnet::safetensors
