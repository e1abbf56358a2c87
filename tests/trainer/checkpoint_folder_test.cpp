// Which checkpoint of a folder a run resumes from, and which ones it keeps aside.
#include "trainer/checkpoint_folder.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "support/messages.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class CheckpointFolder : public ::testing::Test {
 protected:
  CheckpointFolder() { log::configure({}); }
  ~CheckpointFolder() override { log::configure({log::Level::error, ""}); }

  void save(const std::string& name, std::int64_t step, std::int64_t epoch = 0) const {
    Checkpoint checkpoint;
    checkpoint.state["loop"] = {{"epoch", epoch}, {"batch", 0}, {"global_step", step}};
    save_checkpoint(folder_ / name, checkpoint);
  }
  void damage(const std::string& name) const {
    std::string content = read_file(folder_ / name);
    content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 1);
    write_file_atomically(folder_ / name, content);
  }
  std::string newest() const {
    const auto path = newest_valid_checkpoint(folder_.path());
    return path ? path->filename().string() : "";
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      all.push_back(entry.path().filename().string());
    return all;
  }

  TemporaryFolder folder_;
};

TEST_F(CheckpointFolder, IsResumedFromTheLatestStepWhateverTheTimesOfItsFiles) {
  save("last.ckpt", 40, 4);
  save("epoch=001-val_loss=0.5000.ckpt", 20, 2);
  EXPECT_EQ(newest(), "last.ckpt") << "though it was written first";
  std::filesystem::last_write_time(folder_ / "last.ckpt",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(100));
  EXPECT_EQ(newest(), "last.ckpt") << "as after a copy of the folder";
}

TEST_F(CheckpointFolder, PrefersLastCheckpointAmongThoseOfItsStep) {
  save("last.ckpt", 40);
  save("zzz.ckpt", 40);
  save("epoch=003-val_loss=0.5000.ckpt", 40);
  capture_messages();
  EXPECT_EQ(newest(), "last.ckpt");
  EXPECT_EQ(captured_messages(), "") << "that is how runs are";
}

TEST_F(CheckpointFolder, SaysWhereTheChoiceIsNotObvious) {
  save("last.ckpt", 40);
  save("a.ckpt", 60);
  save("b.ckpt", 60);
  capture_messages();
  EXPECT_EQ(newest(), "b.ckpt");
  const std::string said = captured_messages();
  EXPECT_THAT(
      said,
      HasSubstr("b.ckpt (epoch 0, batch 0, step 60) is later than last.ckpt (epoch 0, batch 0, step 40)"));
  EXPECT_THAT(said, HasSubstr("b.ckpt and a.ckpt are both of epoch 0, batch 0, step 60; the first is taken"));
}

TEST_F(CheckpointFolder, IsSearchedAgainWhileACheckpointCannotBeReadForAWhile) {
  save("last.ckpt", 40);
  save("old.ckpt", 20);
  for (const int cause : {EIO, EACCES, ESTALE, ENOENT, EMFILE})
    for (const auto call : {FileCall::open, FileCall::read}) {
      int left = 3;
      const ScopedFileFault fault([&](FileCall made, const std::filesystem::path& path) {
        return made == call && path.filename() == "last.ckpt" && left-- > 0 ? cause : 0;
      });
      const auto path = newest_valid_checkpoint(folder_.path(), 60);
      ASSERT_TRUE(path);
      EXPECT_EQ(path->filename(), "last.ckpt");
    }
  EXPECT_THAT(names(), UnorderedElementsAre("last.ckpt", "old.ckpt"));
}

TEST_F(CheckpointFolder, WithACheckpointThatStaysUnreadableIsAnErrorAndStaysAsItIs) {
  save("last.ckpt", 40);
  save("old.ckpt", 20);
  const ScopedFileFault fault([&](FileCall call, const std::filesystem::path& path) {
    return call == FileCall::open && path.filename() == "last.ckpt" ? EACCES : 0;
  });
  const std::string message =
      refusal(ErrorKind::runtime, [&] { newest_valid_checkpoint(folder_.path(), 0.1); });
  EXPECT_THAT(message, HasSubstr("last.ckpt: cannot open: Permission denied (tried again for 0.1 s)"));
  EXPECT_THAT(names(), UnorderedElementsAre("last.ckpt", "old.ckpt"));
  EXPECT_THAT(refusal(ErrorKind::runtime, [&] { load_checkpoint_patiently(folder_ / "last.ckpt", 0); }),
              HasSubstr("Permission denied"));
}

TEST_F(CheckpointFolder, ThatIsAFileIsAnErrorAndNoEmptyOne) {
  std::ofstream(folder_ / "file") << "";
  EXPECT_THAT(refusal(ErrorKind::data, [&] { newest_valid_checkpoint(folder_ / "file"); }),
              HasSubstr("is not a folder"));
  EXPECT_FALSE(newest_valid_checkpoint(folder_ / "nowhere"));
}

TEST_F(CheckpointFolder, PassesOverDamagedOnesWhereverTheyAreDamaged) {
  save("last.ckpt", 40);
  save("old.ckpt", 20);
  save("older.ckpt", 10);
  std::ofstream(folder_ / "last.ckpt") << "cut";
  damage("old.ckpt");
  EXPECT_EQ(newest(), "older.ckpt");
  EXPECT_THAT(names(), UnorderedElementsAre("last.ckpt.broken", "old.ckpt.broken", "older.ckpt"));
}

TEST_F(CheckpointFolder, KeepsLaterCheckpointsOfARunThatGoesBack) {
  save("last.ckpt", 40, 4);
  save("epoch=003-val_loss=0.1000.ckpt", 40, 4);
  save("epoch=001-val_loss=0.5000.ckpt", 20, 2);
  const std::string last = read_file(folder_ / "last.ckpt");
  set_aside_later(folder_.path(), {20, 2, 0});
  EXPECT_THAT(names(), UnorderedElementsAre("last.ckpt.later", "epoch=003-val_loss=0.1000.ckpt.later",
                                            "epoch=001-val_loss=0.5000.ckpt"));
  EXPECT_EQ(read_file(folder_ / "last.ckpt.later"), last);
  EXPECT_EQ(newest(), "epoch=001-val_loss=0.5000.ckpt");
  save("last.ckpt", 30, 3);
  set_aside_later(folder_.path(), {20, 2, 0});
  EXPECT_TRUE(std::filesystem::exists(folder_ / "last.ckpt.later-2")) << "none that was kept before is lost";
}

}  // namespace
}  // namespace isnet
