// Checkpoints and run folders from somebody else, with checksums that are right: nothing outside of the run's
// folder is touched, and no number is believed that the run cannot have come to.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "small_fit.h"
#include "support/refusal.h"
#include "trainer/checkpoint_folder.h"
#include "trainer/checkpoint_state.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using nlohmann::json;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

/// A real checkpoint within the second epoch, and what others make of it.
class HostileCheckpoint : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    fit_ = new SmallFit;
    const auto folder = fit_->run("run", {{"val-check-interval", "1"}, {"save-top-k", "-1"}}).parent_path();
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().filename().string().rfind("epoch=001-step", 0) == 0)
        original_ = new Checkpoint(load_checkpoint(entry.path()));
    ASSERT_NE(original_, nullptr);
    original_->state["options"] = "max-epochs = 2\n";
    original_->state["class_names"] = {"one", "two"};
    original_->state["batches"] = {{"ranks", 1}, {"size", 4}};
    original_->state["callbacks"]["early_stopping"] = {{"waited", 0}, {"best", 0.5}};
    original_->state["callbacks"]["weight_averaging"] = {{"count", 0}};
    original_->state["callbacks"]["plateau"] = {
        {"bad_epochs", 0}, {"cooldown_left", 0}, {"reductions", 0}, {"best", nullptr}};
    original_->state["callbacks"]["csv_logger"] = {
        {"columns", {"epoch", "step", "split"}}, {"rows_before", 0}, {"rows", "0,2,train\n"}};
  }
  static void TearDownTestSuite() {
    delete original_;
    delete fit_;
  }

  /// What reading the file, and going on from it, is answered with.
  static std::string answer(const Checkpoint& forged) {
    const auto file = *fit_ / "forged.ckpt";
    save_checkpoint(file, forged);
    try {
      const StoredCheckpoint read = load_checkpoint(file);
      fit_->run("resumed", {}, {}, &read);
    } catch (const Error& error) {
      EXPECT_THAT(error.kind(), AnyOf(ErrorKind::checkpoint, ErrorKind::usage)) << error.what();
      if (error.kind() == ErrorKind::checkpoint) {
        EXPECT_THAT(error.what(), HasSubstr("forged.ckpt: "));
      }
      EXPECT_THAT(error.what(), Not(HasSubstr("json.exception")));
      return error.what();
    }
    return "accepted";
  }
  static std::string answer_to(const std::string& place, const json& value) {
    Checkpoint forged = *original_;
    forged.state[json::json_pointer(place)] = value;
    return answer(forged);
  }

  static SmallFit* fit_;
  static Checkpoint* original_;
};
SmallFit* HostileCheckpoint::fit_ = nullptr;
Checkpoint* HostileCheckpoint::original_ = nullptr;

TEST_F(HostileCheckpoint, ThatIsNoneIsGoneOnFrom) {
  EXPECT_EQ(answer(*original_), "accepted");
}

TEST_F(HostileCheckpoint, WithAnyValueOfAnotherTypeIsRefusedByFileAndField) {
  const std::vector<json> values{nullptr,
                                 true,
                                 -1,
                                 1.5,
                                 1e300,
                                 std::int64_t{1} << 62,
                                 std::uint64_t{1} << 63,
                                 "",
                                 "\x1b[31m",
                                 json::array(),
                                 json::array({"x"}),
                                 json::array({json::array()}),
                                 json::object(),
                                 json::object({{"a", json::array()}})};
  int refused = 0, tried = 0;
  std::set<std::string> places;
  const json flat = original_->state.flatten();
  for (const auto& [place, ignored] : flat.items())
    for (auto pointer = json::json_pointer(place); !pointer.empty(); pointer.pop_back())
      places.insert(pointer.to_string());
  for (const auto& place : places)
    for (const auto& value : values) {
      // Any number is a metric, and an empty list or text is one of its kind.
      Checkpoint forged = *original_;
      auto& field = forged.state[json::json_pointer(place)];
      if (field.type() == value.type() || (field.is_number() && value.is_number_float())) continue;
      field = value;
      ++tried;
      try {
        check_checkpoint_state(forged.state, "forged.ckpt");
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::checkpoint);
        EXPECT_THAT(error.what(), HasSubstr("forged.ckpt: field 'state."));
        ++refused;
        continue;
      }
      const std::string said = answer(forged);
      if (said != "accepted") ++refused;
    }
  EXPECT_GT(tried, 500);
  EXPECT_GT(refused, tried * 8 / 10);
}

TEST_F(HostileCheckpoint, WhosePositionNoRunCanHaveComeToIsRefused) {
  for (const char* field : {"epoch", "batch", "global_step", "validated"})
    for (const json& value : {json(-5), json(std::int64_t{1} << 62), json(999), json(1e300), json(0.5),
                              json("1"), json(nullptr), json(std::numeric_limits<std::int64_t>::min())})
      EXPECT_THAT(answer_to(cat("/loop/", field), value), HasSubstr("field 'state.loop."))
          << field << " = " << value;
  EXPECT_THAT(answer_to("/loop/epoch", 3), HasSubstr("have 7 steps"))
      << "beyond --max-epochs, with too few steps";
  EXPECT_THAT(answer_to("/loop/epoch", 0), HasSubstr("have 1 steps"));
  for (const char* field : {"world_size", "train_samples", "batches/ranks", "batches/size"})
    for (const json& value : {json(-1), json(0), json(std::int64_t{1} << 62), json(1e300), json(nullptr)})
      EXPECT_NE(answer_to(cat("/", field), value), "accepted") << field << " = " << value;
  for (const json& value : {json(-1), json(std::int64_t{1} << 62), json(1e300)}) {
    EXPECT_THAT(answer_to("/callbacks/early_stopping/waited", value), HasSubstr("early_stopping.waited"));
    EXPECT_THAT(answer_to("/callbacks/plateau/reductions", value), HasSubstr("plateau.reductions"));
    EXPECT_THAT(answer_to("/callbacks/weight_averaging/count", value), HasSubstr("weight_averaging.count"));
    EXPECT_THAT(answer_to("/loop/bad_steps/total", value), HasSubstr("bad_steps.total"));
  }
  for (const json& value : {json(0), json(-1.0), json(1e300), json(nullptr)})
    EXPECT_THAT(answer_to("/loop/gradient_scaler/scale", value), HasSubstr("gradient_scaler.scale"));
}

TEST_F(HostileCheckpoint, WhoseTensorsDoNotFitItsStateIsRefused) {
  const auto with = [&](const std::string& name, const at::Tensor& tensor) {
    Checkpoint forged = *original_;
    forged.tensors[name] = tensor;
    return answer(forged);
  };
  const auto columns = std::ssize(original_->state.at("loop").at("metric_names")) + 1;
  for (const auto& tensor :
       {at::zeros({}), at::zeros({0, columns}), at::zeros({1, columns + 1}), at::zeros({1, 1}),
        at::zeros({1, 0}), at::zeros({1, columns}, at::kLong), at::full({1, columns}, -1.0, at::kDouble),
        at::full({1, columns}, 1e300, at::kDouble), at::full({1, columns}, std::nan(""), at::kDouble)})
    EXPECT_THAT(with("loop.metric_sums", tensor), HasSubstr("'loop.metric_sums'")) << tensor;
  EXPECT_NE(with("model.features.conv0.weight", at::zeros({1})), "accepted");
  EXPECT_NE(with("model.another", at::zeros({1})), "accepted");
  EXPECT_NE(with("optimizer.features.conv0.weight.momentum_buffer", at::zeros({1})), "accepted");
  EXPECT_NE(with("optimizer.nothing.momentum_buffer", at::zeros({1})), "accepted");
  Checkpoint without = *original_;
  without.tensors.erase("loop.metric_sums");
  EXPECT_THAT(answer(without), HasSubstr("'loop.metric_sums' is missing"));
}

TEST_F(HostileCheckpoint, RemovesAndOpensNoFileThatIsNotOneOfItsRun) {
  const auto victim = *fit_ / "precious.ckpt";
  for (const std::string& name :
       {victim.string(), std::string("../../precious.ckpt"), std::string("../precious.ckpt"),
        std::string(".."), std::string(""), std::string("/"), std::string("precious.ckpt"),
        std::string("sub/epoch=000-a=1.ckpt"),
        std::string("epoch=000-val_loss=1.ckpt/../../../precious.ckpt"), std::string("epoch=000-a=1\n.ckpt"),
        std::string("epoch=-1-a=1.ckpt"), std::string("epoch=000-a=1.ckpt\0", 19), std::string(300, 'a')}) {
    write_file_atomically(victim, "precious");
    json best = json::array();
    for (int i = 0; i < 3; ++i) best.push_back({{"file", name}, {"value", 0.1 * i}});
    EXPECT_THAT(answer_to("/callbacks/model_checkpoint", best),
                HasSubstr("state.callbacks.model_checkpoint"));
    EXPECT_EQ(read_file(victim), "precious") << name;
  }
  for (const char* name : {"last.ckpt", "epoch=003-val_loss=0.4213.ckpt",
                           "epoch=003-step=000120-val_loss=-1.5000.ckpt", "epoch=1000-iou_1=0.0000.ckpt"})
    EXPECT_TRUE(is_checkpoint_name(name)) << name;
}

// Names that a run folder has, and what may wait there.
struct Trap {
  std::string name;
  std::function<void(const fs::path&, const fs::path& outside)> set;
};

std::vector<Trap> traps() {
  return {
      {"a link", [](const auto& path, const auto& outside) { fs::create_symlink(outside, path); }},
      {"a link to a device", [](const auto& path, const auto&) { fs::create_symlink("/dev/zero", path); }},
      {"a pipe", [](const auto& path, const auto&) { ::mkfifo(path.c_str(), 0600); }}};
}

TEST(RunFolderOfOthers, IsRefusedWhereItsFilesLeadElsewhere) {
  for (const auto& trap : traps())
    for (const char* name : {"options.ini", "log.txt", "metrics.csv", "metrics.jsonl", "weights.safetensors",
                             "checkpoints", "bad-steps", "checkpoints/last.ckpt"}) {
      const TemporaryFolder folder;
      write_file_atomically(folder / "outside", "precious");
      const auto path = folder / "run" / name;
      fs::create_directories(path.parent_path());
      trap.set(path, folder / "outside");
      EXPECT_THAT(refusal(ErrorKind::data, [&] { RunFolder(folder / "run").open(); }),
                  HasSubstr(path.string()))
          << trap.name;
      EXPECT_EQ(read_file(folder / "outside"), "precious") << trap.name;
    }
}

TEST(RunFolderOfOthers, IsNotLookedThroughForCheckpointsElsewhere) {
  for (const auto& trap : traps()) {
    const TemporaryFolder folder;
    write_file_atomically(folder / "outside", "precious");
    fs::create_directories(folder / "checkpoints");
    trap.set(folder / "checkpoints/last.ckpt", folder / "outside");
    EXPECT_THAT(refusal(ErrorKind::data, [&] { newest_valid_checkpoint(folder / "checkpoints", 0); }),
                HasSubstr("last.ckpt"))
        << trap.name;
    EXPECT_TRUE(fs::exists(fs::symlink_status(folder / "checkpoints/last.ckpt"))) << trap.name;
  }
  const TemporaryFolder folder;
  fs::create_directories(folder / "elsewhere");
  write_file_atomically(folder / "elsewhere/last.ckpt", "broken");
  fs::create_directory_symlink("elsewhere", folder / "checkpoints");
  EXPECT_THAT(refusal(ErrorKind::data, [&] { newest_valid_checkpoint(folder / "checkpoints", 0); }),
              HasSubstr("is a link"));
  EXPECT_TRUE(fs::exists(folder / "elsewhere/last.ckpt")) << "set aside in a folder elsewhere";
}

}  // namespace
}  // namespace isnet
