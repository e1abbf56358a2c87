#include "trainer/checkpoint.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/safetensors.h"
#include "support/temporary_folder.h"
#include "trainer/checkpoint_folder.h"

namespace isnet {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

Checkpoint example() {
  Checkpoint checkpoint;
  at::Tensor special = at::rand({3, 2}, at::kDouble);
  special[0][0] = std::numeric_limits<double>::quiet_NaN();
  special[1][1] = -0.0;
  checkpoint.tensors = {{"model.weight", special},
                        {"model.norm.num_batches_tracked", at::full({}, 7, at::kLong)},
                        {"optimizer.weight.momentum_buffer", at::rand({4, 3}, at::kFloat).t()},
                        {"random.state", at::arange(5, at::kByte)},
                        {"half", at::rand({3}, at::kFloat).to(at::kBFloat16)},
                        {"empty", at::empty({0, 4}, at::kFloat)}};
  checkpoint.state = {
      {"epoch", 3}, {"step", 1234}, {"loss", 0.1}, {"options", {{"lr", "0.1"}}}, {"ü", "“ \n"}};
  return checkpoint;
}

std::string bits(const at::Tensor& tensor) {
  const auto host = tensor.contiguous();
  return {static_cast<const char*>(host.const_data_ptr()), host.nbytes()};
}

std::string refusal(const std::filesystem::path& path) {
  try {
    load_checkpoint(path);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::checkpoint) << e.what();
    EXPECT_THAT(e.what(), HasSubstr(path.filename().string()));
    return e.what();
  }
  return "accepted";
}

TEST(Checkpoint, IsReadBackBitByBit) {
  TemporaryFolder folder;
  const auto checkpoint = example();
  save_checkpoint(folder / "a.ckpt", checkpoint);
  const auto loaded = load_checkpoint(folder / "a.ckpt");
  EXPECT_EQ(loaded.state, checkpoint.state);
  ASSERT_EQ(loaded.tensors.size(), checkpoint.tensors.size());
  for (const auto& [name, tensor] : checkpoint.tensors) {
    const auto& read = loaded.tensors.at(name);
    EXPECT_EQ(read.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_EQ(read.sizes(), tensor.sizes()) << name;
    EXPECT_EQ(bits(read), bits(tensor)) << name;
  }
  EXPECT_EQ(environment_difference(loaded.environment), "");
}

TEST(Checkpoint, AChangeOfAnyByteIsRefused) {
  TemporaryFolder folder;
  save_checkpoint(folder / "a.ckpt", example());
  const std::string content = read_file(folder / "a.ckpt");
  for (std::size_t place = 0; place < content.size(); ++place)
    for (const int change : {1, 0x80, ' ' ^ '\t'}) {
      std::string damaged = content;
      damaged[place] = static_cast<char>(damaged[place] ^ change);
      std::ofstream(folder / "b.ckpt", std::ios::binary) << damaged;
      ASSERT_NE(refusal(folder / "b.ckpt"), "accepted") << "byte " << place << " changed by " << change;
    }
}

TEST(Checkpoint, ADamagedPartIsNamed) {
  TemporaryFolder folder;
  save_checkpoint(folder / "a.ckpt", example());
  const std::string content = read_file(folder / "a.ckpt");
  const auto damage = [&](std::size_t place, char value) {
    std::string damaged = content;
    damaged[place] = value;
    write_file_atomically(folder / "b.ckpt", damaged);
    return refusal(folder / "b.ckpt");
  };
  // Tensors lie in the order of their names; the last is random.state.
  EXPECT_THAT(damage(content.size() - 1, 'x'),
              HasSubstr("tensor 'random.state': its bytes do not match its checksum"));
  EXPECT_THAT(damage(content.size() - 6, 'x'), HasSubstr("tensor 'optimizer.weight.momentum_buffer'"));
  EXPECT_THAT(damage(content.find("1234"), '9'), HasSubstr("the state"));
  EXPECT_THAT(damage(3, 'x'), HasSubstr("its header should have"));
  EXPECT_THAT(damage(8, 'x'), HasSubstr("its header: is not valid JSON"));
}

TEST(Checkpoint, ACutFileIsRefused) {
  TemporaryFolder folder;
  save_checkpoint(folder / "a.ckpt", example());
  const std::string content = read_file(folder / "a.ckpt");
  for (std::size_t length = 0; length < content.size(); length += 7) {
    std::ofstream(folder / "b.ckpt", std::ios::binary) << content.substr(0, length);
    ASSERT_NE(refusal(folder / "b.ckpt"), "accepted") << length;
  }
}

TEST(Checkpoint, AnotherFileIsNotTakenForOne) {
  TemporaryFolder folder;
  const float value = 1;
  safetensors::write(folder / "weights.safetensors",
                     {{"a", {"F32", {1}, {reinterpret_cast<const char*>(&value), sizeof value}}}});
  EXPECT_THAT(refusal(folder / "weights.safetensors"), HasSubstr("not a checkpoint of isnet"));
}

TEST(Checkpoint, AFailedSaveKeepsTheOldOne) {
  TemporaryFolder folder;
  Checkpoint old;
  old.state = {{"step", 1}};
  save_checkpoint(folder / "last.ckpt", old);
  for (const auto call :
       {FileCall::open, FileCall::write, FileCall::flush, FileCall::close, FileCall::rename})
    for (const int code : {ENOSPC, EIO}) {
      const ScopedFileFault fault([&](FileCall made, const auto&) { return made == call ? code : 0; });
      EXPECT_THROW(save_checkpoint(folder / "last.ckpt", example()), Error);
    }
  EXPECT_EQ(load_checkpoint(folder / "last.ckpt").state.at("step"), 1);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(NewestValidCheckpoint, PassesOverBrokenOnesAndKeepsThemAside) {
  TemporaryFolder folder;
  EXPECT_FALSE(newest_valid_checkpoint(folder / "checkpoints"));
  const auto save = [&](const std::string& name, int age) {
    Checkpoint checkpoint = example();
    checkpoint.state["name"] = name;
    save_checkpoint(folder / name, checkpoint);
    std::filesystem::last_write_time(
        folder / name, std::filesystem::file_time_type::clock::now() - std::chrono::seconds(age));
  };
  save("a.ckpt", 30);
  save("last.ckpt", 10);
  save("b.ckpt", 20);
  write_file_atomically(folder / "notes.txt", "no checkpoint");
  EXPECT_EQ(newest_valid_checkpoint(folder.path())->filename(), "last.ckpt");

  std::string content = read_file(folder / "last.ckpt");
  content.back() = static_cast<char>(content.back() ^ 1);
  write_file_atomically(folder / "last.ckpt", content);
  EXPECT_EQ(newest_valid_checkpoint(folder.path())->filename(), "b.ckpt");
  EXPECT_TRUE(std::filesystem::exists(folder / "last.ckpt.broken"));
  EXPECT_FALSE(std::filesystem::exists(folder / "last.ckpt"));
}

TEST(Environment, ADifferenceIsSaid) {
  auto other = current_environment();
  EXPECT_EQ(environment_difference(other), "");
  other.threads += 1;
  other.torch = "1.0.0";
  EXPECT_THAT(environment_difference(other), HasSubstr("torch: 1.0.0 then"));
  EXPECT_THAT(environment_difference(other), HasSubstr("threads per rank"));
}

}  // namespace
}  // namespace isnet
