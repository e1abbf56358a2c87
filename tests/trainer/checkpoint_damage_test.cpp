// Checkpoints of a real training, damaged in every kind of byte and cut at any length; and those of older
// programs.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>

#include "base/error.h"
#include "base/files.h"
#include "base/safetensors.h"
#include "small_fit.h"
#include "support/refusal.h"
#include "trainer/checkpoint_folder.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// With ISNET_FULL as many as time allows.
int tries() {
  return std::getenv("ISNET_FULL") ? 5000 : 100;
}

// Part of a file; damage to it has to be answered with one of these texts.
struct Region {
  std::string what;
  std::size_t begin, end;
};

// A checkpoint within the second epoch: momentum, metric sums and the best so far are in it.
class DamagedCheckpoint : public ::testing::Test {
 protected:
  DamagedCheckpoint() {
    const auto file =
        fit_.run("run", {{"val-check-interval", "1"}, {"save-top-k", "-1"}, {"checkpoint-background", "1"}})
            .parent_path();
    for (const auto& entry : std::filesystem::directory_iterator(file))
      if (entry.path().filename().string().rfind("epoch=001-step", 0) == 0)
        content_ = read_file(entry.path());
    std::uint64_t header = 0;
    std::memcpy(&header, content_.data(), sizeof header);
    data_ = 8 + header;
    find_regions();
  }

  void find_regions() {
    const std::string header = content_.substr(8, data_ - 8);
    regions_ = {{"header", 0, 8}, {"header", 8, data_}};
    const auto value_of = [&](const std::string& key) {
      const std::size_t begin = 8 + header.find("\"" + key + "\":\"") + key.size() + 4;
      regions_.push_back({"header", begin, content_.find('"', begin)});
    };
    for (const char* key : {"format", "version", "cpu", "checksum", "torch", "threads", "state"})
      value_of(key);
    const std::size_t padding = content_.find("\"padding\":\"");
    regions_.push_back({"header", padding, padding + 11});
    const safetensors::File file(content_, "it");
    for (const auto& [name, view] : file.tensors()) {
      // Where its bytes lie: the header says so.
      const auto entry = nlohmann::json::parse(header).at(name).at("data_offsets");
      const std::size_t begin = data_ + entry.at(0).get<std::size_t>();
      if (!view.bytes.empty()) regions_.push_back({name, begin, begin + view.bytes.size()});
    }
    regions_.push_back({regions_.back().what, content_.size() - 1, content_.size()});
  }

  std::string refusal_of(const std::string& damaged) const {
    const auto path = fit_ / "damaged.ckpt";
    std::ofstream(path, std::ios::binary) << damaged;
    const auto message = refusal(ErrorKind::checkpoint, [&] { load_checkpoint(path); });
    EXPECT_THAT(message, HasSubstr("damaged.ckpt: "));
    return message;
  }

  // Puts it beside an older one, and looks for the newest.
  void expect_passed_over(const std::string& damaged, int number) const {
    const auto folder = fit_ / "checkpoints";
    std::filesystem::create_directories(folder);
    if (!std::filesystem::exists(folder / "older.ckpt")) {
      std::ofstream(folder / "older.ckpt", std::ios::binary) << content_;
      std::filesystem::last_write_time(folder / "older.ckpt",
                                       std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
    }
    std::ofstream(folder / "last.ckpt", std::ios::binary) << damaged;
    const auto newest = newest_valid_checkpoint(folder);
    ASSERT_TRUE(newest);
    EXPECT_EQ(newest->filename(), "older.ckpt");
    const std::string kept = number == 1 ? "last.ckpt.broken" : cat("last.ckpt.broken-", number);
    EXPECT_EQ(read_file(folder / kept), damaged) << kept << ": none that was kept before is lost";
    EXPECT_FALSE(std::filesystem::exists(folder / "last.ckpt"));
  }

  SmallFit fit_;
  std::string content_;
  std::size_t data_ = 0;
  std::vector<Region> regions_;
};

TEST_F(DamagedCheckpoint, OfWhichAnyKindOfByteWasChangedIsRefusedByNameAndPassedOver) {
  ASSERT_GT(regions_.size(), 40u) << "tensors of the model, of the optimiser and of the loop";
  std::mt19937 draw(20261128);
  for (int number = 1; number <= tries(); ++number) {
    const Region& region = regions_[static_cast<std::size_t>(number - 1) % regions_.size()];
    const std::size_t place = region.begin + draw() % (region.end - region.begin);
    // One bit, one byte, or a run of bytes that may reach into what follows.
    std::string damaged = content_;
    const std::size_t run = number % 3 == 2 ? 1 + draw() % 64 : 1;
    for (std::size_t i = place; i < std::min(place + run, damaged.size()); ++i)
      damaged[i] = static_cast<char>(damaged[i] ^ (number % 3 == 0 ? 1 << draw() % 8 : 1 + draw() % 255));
    ASSERT_NE(damaged, content_);
    const std::string message = refusal_of(damaged);
    ASSERT_NE(message, "accepted") << region.what << ", byte " << place;
    if (region.what != "header") {
      EXPECT_THAT(message, HasSubstr("tensor '" + region.what + "'"));
    } else {
      EXPECT_THAT(message, AnyOf(HasSubstr("header"), HasSubstr("not a checkpoint of isnet"),
                                 HasSubstr("tensor"), HasSubstr("entry '"), HasSubstr("format")))
          << "byte " << place;
    }
    expect_passed_over(damaged, number);
    if (HasFatalFailure()) return;
  }
}

TEST_F(DamagedCheckpoint, ThatWasCutAnywhereIsRefusedByNameAndPassedOver) {
  std::mt19937 draw(1128);
  std::vector<std::size_t> lengths{0, 1, 7, 8, 9, data_ - 1, data_, data_ + 1, content_.size() - 1};
  for (const auto& region : regions_)
    if (region.end < content_.size()) lengths.push_back(region.end);
  while (std::ssize(lengths) < tries()) lengths.push_back(draw() % content_.size());
  lengths.resize(static_cast<std::size_t>(tries()));
  int number = 0;
  for (const std::size_t length : lengths) {
    const std::string cut = content_.substr(0, length);
    const std::string message = refusal_of(cut);
    ASSERT_NE(message, "accepted") << length;
    EXPECT_THAT(message, AnyOf(HasSubstr(cat("it has ", length, " bytes")),
                               HasSubstr(cat("the file has ", length)), HasSubstr("lies at bytes")));
    expect_passed_over(cut, ++number);
    if (HasFatalFailure()) return;
  }
}

TEST_F(DamagedCheckpoint, WhoseHeaderLiesAboutItsLengthCostsNoMemory) {
  for (const std::uint64_t length : {std::uint64_t{1} << 62, ~std::uint64_t{0}, std::uint64_t{100'000'001},
                                     static_cast<std::uint64_t>(content_.size()), std::uint64_t{0}}) {
    std::string damaged = content_;
    std::memcpy(damaged.data(), &length, sizeof length);
    EXPECT_THAT(refusal_of(damaged), HasSubstr("its header"));
  }
}

TEST_F(DamagedCheckpoint, WithZeroesAtItsEndIsRefused) {
  // What some file systems make of a file that was renamed before its content was on the disk.
  std::string damaged = content_;
  std::fill(damaged.end() - static_cast<std::ptrdiff_t>(damaged.size() / 2), damaged.end(), '\0');
  EXPECT_NE(refusal_of(damaged), "accepted");
  EXPECT_NE(refusal_of(std::string(content_.size(), '\0')), "accepted");
  EXPECT_NE(refusal_of(content_ + content_), "accepted");
}

// Format 1, written by isnet 0.1.0 within the second epoch, on one rank and on two: SGD with momentum.
TEST(OldCheckpoint, OfFormat1IsRead) {
  for (const int ranks : {1, 2}) {
    const auto stored = load_checkpoint(std::filesystem::path(ISNET_TESTS_DIR) / "golden" /
                                        cat("checkpoint_v1_ranks", ranks, ".ckpt"));
    EXPECT_EQ(stored.environment.isnet, "0.1.0");
    EXPECT_EQ(stored.environment.torch, "2.13.0");
    EXPECT_EQ(stored.environment.threads, 1);
    EXPECT_EQ(stored.state.at("world_size"), ranks);
    EXPECT_EQ(stored.state.at("train_samples"), 16);
    const auto& loop = stored.state.at("loop");
    EXPECT_EQ(loop.at("epoch"), 1);
    EXPECT_EQ(loop.at("batch"), 3);
    EXPECT_EQ(loop.at("global_step"), ranks == 1 ? 11 : 7);
    EXPECT_EQ(loop.at("metric_names"), (std::vector<std::string>{"loss", "loss_classification", "accuracy"}));
    EXPECT_EQ(stored.tensors.at("loop.metric_sums").sizes(), (std::vector<std::int64_t>{ranks, 4}));
    EXPECT_EQ(stored.tensors.at("loop.metric_sums").select(1, 0).sum().item<double>(), 6.0 * ranks);
    EXPECT_EQ(stored.tensors.at("model.features.conv0.weight").sizes(),
              (std::vector<std::int64_t>{2, 3, 7, 7}));
    EXPECT_TRUE(stored.tensors.count("optimizer.features.conv0.weight.momentum_buffer"));
    EXPECT_EQ(stored.tensors.size(), 39u);
    EXPECT_THAT(stored.state.at("options").get<std::string>(), HasSubstr("momentum = 0.9\n"));
  }
}

// The same checkpoint as a later program might write it: another version, under a checksum that is right
// (docs/formats.md, "Checkpoints").
std::string of_version_7(const std::filesystem::path& path) {
  const safetensors::File file(path);
  auto metadata = file.metadata();
  metadata["version"] = "7";
  metadata.erase("checksum");
  std::string text;
  const auto add = [&](const std::string& part) { text += cat(part.size(), ":", part); };
  for (const auto& [key, value] : metadata) add(key), add(value);
  for (const auto& [name, view] : file.tensors()) {
    add(name), add(view.dtype);
    for (const auto extent : view.shape) add(cat(extent));
  }
  metadata["checksum"] = sha256(text);
  safetensors::write(path, file.tensors(), metadata);
  return read_file(path);
}

TEST(NewCheckpoint, OfAFormatThatIsNotKnownYetIsRefusedByItsNumberAndNotPassedOver) {
  const auto old = std::filesystem::path(ISNET_TESTS_DIR) / "golden/checkpoint_v1_ranks1.ckpt";
  const TemporaryFolder folder;
  std::filesystem::copy_file(old, folder / "older.ckpt");
  std::filesystem::last_write_time(folder / "older.ckpt",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  std::filesystem::copy_file(old, folder / "last.ckpt");
  const std::string newer = of_version_7(folder / "last.ckpt");
  for (const auto& read : {std::function<void()>([&] { load_checkpoint(folder / "last.ckpt"); }),
                           std::function<void()>([&] { newest_valid_checkpoint(folder.path()); })})
    EXPECT_THAT(refusal(ErrorKind::checkpoint, read),
                HasSubstr("last.ckpt: checkpoint format 7, this program reads format 1"));
  EXPECT_EQ(read_file(folder / "last.ckpt"), newer);
}

}  // namespace
}  // namespace isnet
