// Files of Python's torch.save that mean harm, or are damaged.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <zlib.h>

#include <fstream>

#include "base/files.h"
#include "model/pickle/state_dictionary.h"
#include "model/pickle/zip_archive.h"
#include "model/weights.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string golden_bytes(const std::string& name) {
  return read_file(std::filesystem::path(ISNET_TESTS_DIR) / "golden" / name);
}

std::string checkpoint_refusal(const std::string& content) {
  return refusal(ErrorKind::checkpoint, [&] { read_state_dictionary(content, "w.pth"); });
}

// A number as little-endian bytes.
std::string bytes_of(std::uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> 8 * i);
  return bytes;
}

TEST(StateDictionary, ACutFileIsRefusedAtEveryLength) {
  const TemporaryFolder folder;
  for (const char* name :
       {"state_dictionary_zip.pth", "state_dictionary_legacy.pth", "state_dictionary_old.pth"}) {
    const std::string content = golden_bytes(name);
    for (std::size_t length = 0; length < content.size(); ++length) {
      std::ofstream(folder / "cut") << content.substr(0, length);
      ASSERT_NE(refusal(ErrorKind::checkpoint, [&] { read_weights(folder / "cut"); }), "accepted")
          << name << " " << length;
    }
  }
}

// One changed byte may go unnoticed where there is no checksum; it must not do more than that.
TEST(StateDictionary, AChangedByteIsHarmless) {
  for (const char* name : {"state_dictionary_legacy.pth", "state_dictionary_old.pth"}) {
    const std::string content = golden_bytes(name);
    for (std::size_t place = 0; place < content.size(); ++place)
      for (const int change : {0x01, 0x80, 0xff}) {
        std::string changed = content;
        changed[place] = static_cast<char>(changed[place] ^ change);
        try {
          for (const auto& entry : read_state_dictionary(changed, "w.pth").tensors)
            if (entry.second.numel() < 1000) entry.second.contiguous();
        } catch (const Error& error) {
          ASSERT_EQ(error.kind(), ErrorKind::checkpoint) << error.what();
        }
      }
  }
  const std::string content = golden_bytes("state_dictionary_zip.pth");
  const auto unchanged = read_state_dictionary(content, "w.pth").tensors;
  for (std::size_t place = 0; place < content.size(); ++place) {
    std::string changed = content;
    changed[place] = static_cast<char>(changed[place] ^ 0xff);
    try {
      const auto read = read_state_dictionary(changed, "w.pth").tensors;
      EXPECT_EQ(read.size(), unchanged.size()) << place;
      for (const auto& [name, tensor] : unchanged) EXPECT_TRUE(at::equal(read.at(name), tensor)) << place;
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::checkpoint) << error.what();
    }
  }
}

const std::string legacy_head = std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15) +
                                std::string("\x80\x02M\xe9\x03.", 6) + "\x80\x02}.";

// A file of the legacy format: a value and, if it has one, its storage with key "0" of floats 1 to 4.
std::string legacy_file(const std::string& value) {
  std::string file = legacy_head + "\x80\x02" + value + ".\x80\x02]";
  if (value.find("storage") == std::string::npos) return file + ".";
  file += std::string("U\x01") + "0a." + bytes_of(4, 8);
  for (const float number : {1.0f, 2.0f, 3.0f, 4.0f})
    file.append(reinterpret_cast<const char*>(&number), sizeof number);
  return file;
}

std::string integer(std::int64_t value) {
  return "\x8a\x08" + bytes_of(static_cast<std::uint64_t>(value), 8);
}

std::string tuple(const std::vector<std::int64_t>& values) {
  std::string text = "(";
  for (const auto value : values) text += integer(value);
  return text + "t";
}

// {"w": a tensor of the one storage}
std::string one_tensor(std::int64_t offset, const std::vector<std::int64_t>& sizes,
                       const std::vector<std::int64_t>& strides, std::int64_t elements = 4,
                       const std::string& type = "torch\nFloatStorage\n") {
  return std::string("}U\x01w", 4) + "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagec" + type +
         std::string("U\x01") + "0U\x03" + "cpu" + integer(elements) + "NtQ" + integer(offset) +
         tuple(sizes) + tuple(strides) + "\x89}tRs";
}

TEST(StateDictionary, ATensorHasToLieInItsStorage) {
  const auto read = [](std::int64_t offset, const std::vector<std::int64_t>& sizes,
                       const std::vector<std::int64_t>& strides) {
    return checkpoint_refusal(legacy_file(one_tensor(offset, sizes, strides)));
  };
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(read(0, {2, 2}, {2, 1}), "accepted");
  EXPECT_EQ(read(3, {1}, {1}), "accepted");
  EXPECT_EQ(read(0, {huge}, {0}), "accepted");  // one number, however often: no memory of its own
  EXPECT_EQ(read(4, {0}, {1}), "accepted");
  for (const auto& text : {read(4, {1}, {1}), read(0, {5}, {1}), read(1, {2, 2}, {2, 1}),
                           read(0, {2}, {huge}), read(0, {huge, huge}, {0, 0}), read(huge, {2}, {1}),
                           read(huge, {2}, {huge}), read(5, {0}, {1}), read(0, {huge, 2}, {1, huge})})
    EXPECT_THAT(text, HasSubstr("w.pth: tensor 'w': it reaches behind the end of its storage of 4 elements"));
  for (const auto& text : {read(-1, {1}, {1}), read(0, {-1}, {1}), read(0, {2}, {-1})})
    EXPECT_THAT(text, HasSubstr("negative"));
  EXPECT_THAT(read(0, {2, 2}, {1}), HasSubstr("2 sizes and 1 strides"));
}

TEST(StateDictionary, AStorageHasToBeAllThere) {
  EXPECT_THAT(checkpoint_refusal(legacy_file(one_tensor(0, {5}, {1}, 5))),
              HasSubstr("ends within storage 0"));
  EXPECT_THAT(checkpoint_refusal(legacy_file(one_tensor(0, {1}, {1}, std::int64_t{1} << 62))),
              HasSubstr("ends within storage 0"));
  EXPECT_THAT(checkpoint_refusal(legacy_file(one_tensor(0, {1}, {1}, -4))), HasSubstr("not described"));
  EXPECT_THAT(checkpoint_refusal(legacy_file(one_tensor(0, {1}, {1}, 4, "torch._utils\n_rebuild_tensor\n"))),
              HasSubstr("not described"));
  std::string other_key = legacy_file(one_tensor(0, {1}, {1}));
  other_key[other_key.rfind("0a.")] = '1';
  EXPECT_THAT(checkpoint_refusal(other_key), HasSubstr("not that of its tensors"));
}

TEST(StateDictionary, NoNameButThoseOfWeightsIsAccepted) {
  const TemporaryFolder folder;
  const std::string witness = (folder / "ran").string();
  const auto calls = [&](const std::string& name) {
    return checkpoint_refusal(
        legacy_file("c" + name + "(U" + static_cast<char>(witness.size() + 6) + "touch " + witness + "tR"));
  };
  EXPECT_THAT(calls("posix\nsystem\n"),
              AllOf(HasSubstr("w.pth: byte "), HasSubstr("'posix.system'"), HasSubstr("does not run"),
                    HasSubstr("torch.save(model.state_dict(), FILE)")));
  for (const char* name :
       {"os\nsystem\n", "builtins\neval\n", "__builtin__\ngetattr\n", "torch\nload\n",
        "torch.storage\n_load_from_bytes\n", "torch._utils\n_rebuild_tensor_v2.__globals__\n",
        "torchvision.models.resnet\nResNet\n", "argparse\nNamespace\n"})
    EXPECT_THAT(calls(name), HasSubstr("does not run")) << name;
  const std::string by_stack = std::string("U\x05posixU\x06system\x93", 16);
  EXPECT_THAT(checkpoint_refusal(legacy_file(by_stack)), HasSubstr("'posix.system'"));
  EXPECT_THAT(checkpoint_refusal(legacy_file("cevil\x1b[2J\nname\n")), HasSubstr("'evil?[2J.name'"));
  EXPECT_FALSE(std::filesystem::exists(witness));
}

TEST(StateDictionary, AMachineLedAstrayIsStopped) {
  const std::string rebuild = "ctorch._utils\n_rebuild_tensor_v2\n", ordered = "ccollections\nOrderedDict\n";
  const std::vector<std::pair<std::string, std::string>> cases{
      {"s", "stack is empty"},
      {"(", "stack is empty"},
      {"t", "mark is missing"},
      {"e", "mark is missing"},
      {"R", "stack is empty"},
      {"b", "stack is empty"},
      {"0", "stack is empty"},
      {"q\7", "stack is empty"},
      {"h\7", "has not stored"},
      {"N(0", "stack is empty"},
      {"}](Ns", "stack is empty"},
      {"}Nu", "mark is missing"},
      {"}(Nu", "key without its value"},
      {"]NNs", "a dictionary is expected, there is a list"},
      {"}Na", "a list is expected, there is a dictionary"},
      {"NNb", "a state for None"},
      {"NNR", "a call of None with None"},
      {rebuild + "NR", "a call of the name torch._utils._rebuild_tensor_v2 with None"},
      {"NN\x93", "a name that is no text"},
      {"i", "opcode 0x69"},
      {"\x80\x06N", "protocol is too recent"},
      {"X\xff\xff\xff\xff", "ends too early"},
      {"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "ends too early"},
      {"cno line end", "ends too early"},
      {"ctorch\nSize\n)R", "a torch.Size of something else"},
      {ordered + "(K\1tR", "a dictionary of an integer"},
      {ordered + "(K\1K\1tR", "a dictionary of several arguments"},
      {ordered + "(](K\1etR", "a key without its value"},
      {"}", "it holds no tensors"},
      {"K\5", "it holds an integer"},
      {"}U\1wNs", "tensor 'w': it is None"},
      {"}K\1K\1s", "a tensor's name is an integer"},
      {"}U\1w" + rebuild + ")Rs", "tensor 'w': it has 0 arguments"},
      {"}U\1w" + rebuild + "(NNNNNNtRs", "tensor 'w': its storage is None"},
      {"}U\1wctorch._utils\n_rebuild_parameter\n)Rs", "tensor 'w': it is a call"},
      {"}U\1wctorch\nFloatStorage\n)Rs", "tensor 'w': it is a call of torch.FloatStorage"},
      {"NQ", "a storage is not described"},
      {"(U\7storageNNNNtQ", "a storage is not described"}};
  for (const auto& [value, reason] : cases)
    EXPECT_THAT(checkpoint_refusal(legacy_file(value)), HasSubstr(reason)) << value;
}

TEST(StateDictionary, ValuesThatContainThemselvesEndIt) {
  // A parameter of itself, a dictionary that is its own value, and lists nested a million deep.
  EXPECT_THAT(checkpoint_refusal(legacy_file("}q\1U\5model"
                                             "h\1s")),
              HasSubstr("not a tensor"));
  const std::string parameter = "ctorch._utils\n_rebuild_parameter\n";
  EXPECT_THAT(checkpoint_refusal(legacy_file(std::string("}U\1w") + "]q\1(h\1e0" + parameter + "(h\1tRs")),
              HasSubstr("not a tensor"));
  EXPECT_THAT(checkpoint_refusal(legacy_file(std::string(1'000'000, ']') + std::string(999'999, 'a'))),
              HasSubstr("it holds a list"));
}

TEST(StateDictionary, FewBytesDoNotBecomeManyValues) {
  EXPECT_THAT(checkpoint_refusal(legacy_file(std::string(5'000'000, 'N'))), HasSubstr("more than"));
  // A dictionary with 1000 entries, copied again and again.
  std::string copies = "}q\1(";
  for (int i = 0; i < 1000; ++i) copies += "K\1N";
  copies += "u";
  for (int i = 0; i < 20000; ++i) copies += "0ccollections\nOrderedDict\n(h\1tR";
  EXPECT_THAT(checkpoint_refusal(legacy_file(copies)), HasSubstr("collections hold more than"));
}

// A ZIP file of these members, stored; `method` and `checksum` of the last may be others.
struct ZipWriter {
  std::string file, directory;
  std::uint64_t members = 0;

  void add(const std::string& name, const std::string& content, std::uint64_t method = 0,
           std::int64_t wrong_size = -1) {
    const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
    const std::uint64_t offset = file.size();
    const std::uint64_t size = wrong_size < 0 ? content.size() : static_cast<std::uint64_t>(wrong_size);
    const std::string common = bytes_of(0, 2) + bytes_of(method, 2) + bytes_of(0, 4) + bytes_of(crc, 4) +
                               bytes_of(size, 4) + bytes_of(size, 4) + bytes_of(name.size(), 2);
    file += "PK\3\4" + bytes_of(20, 2) + common + bytes_of(0, 2) + name + content;
    add_entry("PK\1\2" + bytes_of(20, 2) + bytes_of(20, 2) + common, name, offset);
  }
  void add_entry(const std::string& head, const std::string& name, std::uint64_t offset) {
    directory += head + bytes_of(0, 2) + bytes_of(0, 2) + bytes_of(0, 2) + bytes_of(0, 2) + bytes_of(0, 4) +
                 bytes_of(offset, 4) + name;
    ++members;
  }
  std::string finish() const {
    return file + directory + "PK\5\6" + bytes_of(0, 4) + bytes_of(members, 2) + bytes_of(members, 2) +
           bytes_of(directory.size(), 4) + bytes_of(file.size(), 4) + bytes_of(0, 2);
  }
};

std::string zip_refusal(const std::string& content) {
  return refusal(ErrorKind::checkpoint, [&] { ZipArchive(content, "w.pth"); });
}

TEST(ZipArchive, HostileDirectoriesAreRefused) {
  ZipWriter good;
  good.add("w/data.pkl", "}.");
  good.add("w/data/0", "1234");
  EXPECT_EQ(zip_refusal(good.finish()), "accepted");
  const std::string content = good.finish();
  EXPECT_THAT(ZipArchive(content, "w.pth").members(),
              ElementsAre(std::pair("w/data.pkl", "}."), std::pair("w/data/0", "1234")));

  ZipWriter compressed = good;
  compressed.add("w/data/1", "x", 8);
  EXPECT_THAT(zip_refusal(compressed.finish()), HasSubstr("'w/data/1' is compressed"));
  ZipWriter twice = good;
  twice.add("w/data/0", "1234");
  EXPECT_THAT(zip_refusal(twice.finish()), HasSubstr("'w/data/0' appears twice"));
  ZipWriter long_member = good;
  long_member.add("w/data/1", "x", 0, 4'000'000'000);
  EXPECT_THAT(zip_refusal(long_member.finish()), HasSubstr("ends behind the file's end"));
  ZipWriter changed = good;
  changed.file[changed.file.find("1234")] = '2';
  EXPECT_THAT(zip_refusal(changed.finish()), HasSubstr("'w/data/0' does not have its checksum"));

  // The same bytes as several members: a small file that would become a large one.
  ZipWriter bomb;
  bomb.add("w/data/0", "1234");
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>("1234"), 4);
  for (const char* name : {"w/data/1", "w/data/2"})
    bomb.add_entry("PK\1\2" + bytes_of(20, 2) + bytes_of(20, 2) + bytes_of(0, 8) + bytes_of(crc, 4) +
                       bytes_of(4, 4) + bytes_of(4, 4) + bytes_of(8, 2),
                   name, 0);
  EXPECT_THAT(zip_refusal(bomb.finish()), HasSubstr("members overlap"));

  ZipWriter too_many = good;
  too_many.members = 65535;
  EXPECT_THAT(zip_refusal(too_many.finish()), HasSubstr("directory lies outside"));
  EXPECT_THAT(zip_refusal("PK\3\4"), HasSubstr("4 bytes"));
}

TEST(StateDictionary, AProgramOfTorchScriptIsNamed) {
  ZipWriter writer;
  writer.add("m/data.pkl", "}.");
  writer.add("m/constants.pkl", ").");
  EXPECT_THAT(checkpoint_refusal(writer.finish()), HasSubstr("TorchScript"));
  ZipWriter empty;
  empty.add("m/readme", "");
  EXPECT_THAT(checkpoint_refusal(empty.finish()), HasSubstr("no member data.pkl"));
}

TEST(StateDictionary, AStorageThatTheArchiveLacksIsNamed) {
  ZipWriter writer;
  writer.add("m/data.pkl", "\x80\x02" + one_tensor(0, {1}, {1}) + ".");
  EXPECT_THAT(checkpoint_refusal(writer.finish()), HasSubstr("tensor 'w': its storage 0 is missing"));
  writer.add("m/data/0", "123456");
  EXPECT_THAT(checkpoint_refusal(writer.finish()), HasSubstr("6 bytes for 4 elements"));
}

}  // namespace
}  // namespace isnet
