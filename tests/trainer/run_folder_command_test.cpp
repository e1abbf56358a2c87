// `isnet train` and its folder: whose it is, what it resumes from, what is never lost; with real faults.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/safetensors.h"
#include "support/data.h"
#include "support/temporary_folder.h"
#include "support/training_runs.h"
#include "trainer/checkpoint.h"

namespace isnet {
namespace {

using namespace isnet::testing;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RunFolders : public ::testing::Test {
 protected:
  RunFolders() {
    write_small_data_set(folder_ / "data", {{"train", 16}, {"val", 4}}, 2, 20, small_layout(16, 16));
  }

  std::vector<std::string> command(const std::string& output, const std::string& more = "",
                                   const std::string& data = "data") const {
    return train(
        folder_ / data, folder_ / output,
        "--growth-rate 2 --blocks 1 --init-features 2 --objective classifier --batch-size 4 --lr 0.01 "
        "--max-epochs 2 --num-sanity-val-steps 0 --log-every-n-steps 1 " +
            more);
  }
  ProgramResult attempt(const std::string& output, const std::string& more = "", ProgramOptions options = {},
                        const std::string& data = "data") const {
    return run(1, command(output, more, data), std::move(options));
  }
  void succeed(const std::string& output, const std::string& more = "") const {
    const auto result = attempt(output, more);
    ASSERT_EQ(result.status, 0) << result.output;
  }
  std::filesystem::path last(const std::string& output) const {
    return folder_ / output / "checkpoints" / "last.ckpt";
  }
  // Faults of opening files, or of system calls that write.
  ProgramOptions faulty(const char* library, const std::string& file, const std::string& fault,
                        const std::string& count = "", const std::string& call = "write") const {
    ProgramOptions options;
    options.environment = {{"LD_PRELOAD", library},     {"ISNET_TEST_FILE", file},
                           {"ISNET_TEST_FAULT", fault}, {"ISNET_TEST_COUNT", count},
                           {"ISNET_TEST_CALL", call},   {"ISNET_TEST_TRIGGER", (folder_ / "data").string()}};
    return options;
  }
  // Something happens to a run without end, once it shows `sign`.
  ProgramResult disturbed(const std::string& output, const std::string& sign,
                          const std::function<void()>& happens, const std::string& more = "") const {
    ProgramOptions options;
    bool happened = false;
    options.on_output = [&](const std::string& text) {
      if (happened || text.find(sign) == std::string::npos) return;
      happened = true;
      happens();
    };
    const auto result = attempt(output, "--max-epochs 1000000 " + more, options);
    EXPECT_TRUE(happened) << result.output;
    EXPECT_FALSE(result.timed_out);
    return result;
  }
  void signal_run(const std::string& signal, const std::string& output) const {
    const std::string kill =
        "pkill -" + signal + " -f '^[^ ]*isnet train .*" + (folder_ / output).string() + "( |$)'";
    if (std::system(kill.c_str()) != 0) ADD_FAILURE() << kill;
  }

  TemporaryFolder folder_;
};

// --- what a run resumes from ---

TEST_F(RunFolders, AreResumedWhereACheckpointCannotBeOpenedForAWhile) {
  succeed("run");
  for (const std::string fault : {"eio", "eacces", "estale"}) {
    const auto resumed =
        attempt("run", "--resume last", faulty(ISNET_FAILING_OPENS, "last.ckpt", fault, "3"));
    EXPECT_EQ(resumed.status, 0) << resumed.output;
    EXPECT_THAT(resumed.output, HasSubstr("it is tried again for up to 60 s"));
    EXPECT_THAT(resumed.output, HasSubstr("last.ckpt (epoch 2, batch 0, step 8)"));
  }
}

TEST_F(RunFolders, AreLeftAsTheyAreWhereACheckpointStaysUnreadable) {
  succeed("run");
  const auto before = contents_of(folder_ / "run");
  for (const auto& resume : {std::string("last"), last("run").string()}) {
    const auto refused = attempt("run", "--read-retry-seconds 0.2 --resume " + resume,
                                 faulty(ISNET_FAILING_OPENS, "last.ckpt", "eio"));
    EXPECT_EQ(refused.status, 1) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr("last.ckpt: cannot open: Input/output error"));
    EXPECT_THAT(refused.output, HasSubstr("does not start over where a checkpoint cannot be read"));
    EXPECT_EQ(contents_of(folder_ / "run"), before);
  }
}

TEST_F(RunFolders, WithoutAValidCheckpointAreStartedInPlaceAndKeepWhatIsThere) {
  succeed("run");
  const std::string metrics = text_of(folder_ / "run" / "metrics.csv"),
                    weights = text_of(folder_ / "run" / "weights.safetensors");
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "run" / "checkpoints"))
    std::ofstream(entry.path()) << "damaged";
  const auto resumed = attempt("run", "--resume last --max-epochs 1");
  EXPECT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("starts from the beginning"));
  EXPECT_THAT(resumed.output,
              HasSubstr("what it left is kept as metrics.csv.old, weights.safetensors.old, options.ini.old"));
  EXPECT_EQ(text_of(folder_ / "run" / "metrics.csv.old"), metrics);
  EXPECT_EQ(text_of(folder_ / "run" / "weights.safetensors.old"), weights);
  EXPECT_EQ(text_of(folder_ / "run" / "checkpoints" / "last.ckpt.broken"), "damaged");
}

TEST_F(RunFolders, OfACopiedRunAreResumedFromTheLastStepAndLoseNothing) {
  succeed("run", "--save-top-k -1 --max-epochs 3");
  // As `cp -r` may leave them: the earliest epoch is written last.
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "run" / "checkpoints"))
    if (entry.path().filename().string().rfind("epoch=000", 0) == 0)
      std::filesystem::last_write_time(entry.path(),
                                       std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  const auto before = contents_of(folder_ / "run" / "checkpoints");
  const auto resumed = attempt("run", "--save-top-k -1 --max-epochs 3 --resume last");
  EXPECT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("last.ckpt (epoch 3, batch 0, step 12)"));
  EXPECT_EQ(contents_of(folder_ / "run" / "checkpoints"), before);
}

TEST_F(RunFolders, ThatGoBackToAnEarlierCheckpointKeepTheLaterOnes) {
  succeed("run", "--save-top-k -1 --max-epochs 3");
  const std::string end = text_of(last("run"));
  std::string first;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "run" / "checkpoints"))
    if (entry.path().filename().string().rfind("epoch=000", 0) == 0) first = entry.path().string();
  const auto resumed = attempt("run", "--save-top-k -1 --max-epochs 2 --resume " + first);
  EXPECT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("checkpoints of later steps are kept as "));
  EXPECT_EQ(text_of(last("run").string() + ".later"), end);
  const auto again = attempt("run", "--save-top-k -1 --max-epochs 2 --resume last");
  EXPECT_THAT(again.output, HasSubstr("last.ckpt (epoch 2, batch 0, step 8)")) << "of the run that went back";
}

TEST_F(RunFolders, OfAnotherRunAreNotReplacedByOneThatIsResumed) {
  succeed("a");
  succeed("b", "--seed 5");
  const auto before = contents_of(folder_ / "b");
  const auto refused = attempt("b", "--resume " + last("a").string());
  EXPECT_EQ(refused.status, 2) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("b holds a run already"));
  EXPECT_EQ(contents_of(folder_ / "b"), before);
  succeed("b", "--max-epochs 3 --overwrite --resume " + last("a").string());
  EXPECT_EQ(load_checkpoint(last("b")).state.at("loop").at("epoch"), 3);
  std::filesystem::create_directory_symlink(folder_ / "a", folder_ / "link");
  const auto own = attempt("link", "--max-epochs 3 --resume " + last("a").string());
  EXPECT_EQ(own.status, 0) << own.output << "the same folder by another path";
  std::filesystem::copy(folder_ / "a", folder_ / "copy", std::filesystem::copy_options::recursive);
  succeed("copy", "--max-epochs 4 --resume " + last("a").string());
}

TEST_F(RunFolders, AreNotReplacedTogetherWithTheWeightsThatTheNewRunBeginsFrom) {
  succeed("run");
  const auto before = contents_of(folder_ / "run");
  const auto refused =
      attempt("run", "--overwrite --weights " + (folder_ / "run" / "weights.safetensors").string());
  EXPECT_EQ(refused.status, 2) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("is in --output, whose run --overwrite removes"));
  EXPECT_EQ(contents_of(folder_ / "run"), before);
}

// --- one folder, one run ---

TEST_F(RunFolders, AreOneRunsAtATime) {
  std::future<ProgramResult> second;
  const auto first = disturbed("run", "epoch 1 done", [&] {
    second = std::async(std::launch::async, [&] {
      const auto refused = attempt("run", "--resume last");
      const auto overwriting = attempt("run", "--overwrite --seed 9");
      EXPECT_EQ(overwriting.status, 1) << overwriting.output;
      signal_run("USR1", "run");
      return refused;
    });
  });
  const auto refused = second.get();
  EXPECT_EQ(refused.status, 1) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("run: another run has this folder: process "));
  EXPECT_EQ(first.status, 75) << first.output;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run" / "run.lock"));
}

TEST_F(RunFolders, AreFreeAtOnceAfterKillMinusNine) {
  const auto killed = disturbed("run", "epoch 1 done", [&] { signal_run("KILL", "run"); });
  EXPECT_NE(killed.status, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run" / "run.lock"));
  const auto resumed = attempt("run", "--resume last --max-epochs 3 --lock-timeout 100000");
  EXPECT_EQ(resumed.status, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("takes over the lock that process "));
}

TEST_F(RunFolders, ThatAreRemovedRenamedOrReplacedEndTheRun) {
  const std::vector<std::pair<std::string, std::function<void(const std::filesystem::path&)>>> events{
      {"was removed or renamed", [](const auto& run) { std::filesystem::remove_all(run); }},
      {"was removed or renamed",
       [](const auto& run) { std::filesystem::rename(run, run.string() + "-moved"); }},
      {"was replaced by another folder", [this](const auto& run) {
         std::filesystem::rename(run, run.string() + "-old");
         std::filesystem::copy(folder_ / "other", run, std::filesystem::copy_options::recursive);
       }}};
  succeed("other");
  const auto other = contents_of(folder_ / "other");
  int number = 0;
  for (const auto& [text, happens] : events) {
    const std::string name = cat("run", ++number);
    const auto result = disturbed(name, "epoch 1 done", [&] {
      // Its own files may come and go while a folder is removed.
      for (bool done = false; !done;) try {
          happens(folder_ / name);
          done = true;
        } catch (const std::filesystem::filesystem_error&) {
        }
    });
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, AnyOf(HasSubstr(name + " " + text), HasSubstr(name + " was emptied"),
                                     HasSubstr(name + " was replaced")));
  }
  EXPECT_EQ(contents_of(folder_ / "run3"), other) << "nothing was written into another run";
}

// --- data ---

TEST_F(RunFolders, AreNotResumedOnOtherDataUnlessThatIsAllowed) {
  succeed("run");
  const auto refuse = [&](const std::string& data, const std::string& difference) {
    const auto refused = attempt("run", "--max-epochs 3 --resume last", {}, data);
    EXPECT_EQ(refused.status, 2) << refused.output;
    EXPECT_THAT(refused.output, HasSubstr(difference));
    EXPECT_THAT(refused.output, HasSubstr("--allow-other-data 1"));
  };
  const auto copy = [&](const std::string& name, const std::function<void(nlohmann::json&)>& change) {
    std::filesystem::copy(folder_ / "data", folder_ / name, std::filesystem::copy_options::recursive);
    auto description = nlohmann::json::parse(text_of(folder_ / name / "dataset.json"));
    change(description);
    std::ofstream(folder_ / name / "dataset.json") << description.dump();
  };
  copy("same", [](auto&) {});
  copy("classes", [](auto& json) { std::swap(json["class_names"][0], json["class_names"][1]); });
  copy("shards", [](auto& json) { json["splits"]["train"]["shards"][0]["sha256"] = std::string(64, 'a'); });
  copy("no-val", [](auto& json) { json["splits"].erase("val"); });
  refuse("classes", "class 0 is ");
  refuse("shards", "the shards of the split train have other checksums");
  refuse("no-val", "the split val is not there any more");
  write_small_data_set(folder_ / "large", {{"train", 16}, {"val", 4}}, 2, 20, small_layout(18, 16));
  refuse("large", "images are 1×18×16, and were 1×16×16");
  write_small_data_set(folder_ / "more", {{"train", 16}, {"val", 5}}, 2, 20, small_layout(16, 16));
  refuse("more", "the split val has 5 samples, and had 4");
  const auto same = attempt("run", "--max-epochs 3 --resume last", {}, "same");
  EXPECT_EQ(same.status, 0) << same.output;
  const auto allowed = attempt("run", "--max-epochs 4 --resume last --allow-other-data 1", {}, "large");
  EXPECT_EQ(allowed.status, 0) << allowed.output;
  EXPECT_THAT(allowed.output, HasSubstr("the run continues with other data"));
}

// --- what cannot be written ---

TEST_F(RunFolders, HaveTheBestCheckpointThoughItsFirstWritesFailed) {
  succeed("whole", "--save-top-k 1");
  for (const std::string background : {"0", "1"}) {
    const std::string name = "run" + background;
    const auto result =
        attempt(name, "--checkpoint-background " + background,
                faulty(ISNET_FAILING_WRITES, name + "/checkpoints/epoch=", "erofs", "2", "rename"));
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, HasSubstr("was not written"));
    EXPECT_EQ(text_of(folder_ / name / "weights.safetensors"),
              text_of(folder_ / "whole" / "weights.safetensors"));
  }
}

TEST_F(RunFolders, EndWithAnErrorWhereTheBestCheckpointIsNeverWrittenAndSayWhatIsExported) {
  const auto result =
      attempt("run", "", faulty(ISNET_FAILING_WRITES, "run/checkpoints/epoch=", "enospc", "", "write"));
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("the checkpoint of the best val_loss ("));
  EXPECT_THAT(result.output, HasSubstr("weights of last.ckpt (epoch 1, step 8) written to"));
  const auto metadata = safetensors::File(folder_ / "run" / "weights.safetensors").metadata();
  EXPECT_EQ(metadata.at("isnet.epoch"), "1");
  EXPECT_FALSE(metadata.contains("isnet.score"));
}

TEST_F(RunFolders, NameTheEpochAndTheScoreOfTheExportedWeights) {
  succeed("run");
  const auto metadata = safetensors::File(folder_ / "run" / "weights.safetensors").metadata();
  const auto losses = column(folder_ / "run" / "metrics.csv", "val", "loss");
  const auto epoch = static_cast<std::size_t>(std::stoi(metadata.at("isnet.epoch")));
  EXPECT_EQ(metadata.at("isnet.monitor"), "val_loss");
  EXPECT_EQ(std::stod(metadata.at("isnet.score")), losses.at(epoch));
  EXPECT_EQ(losses[epoch], *std::min_element(losses.begin(), losses.end()));
}

TEST_F(RunFolders, HaveAllRowsOfMetricsOnceTheyCanBeWritten) {
  succeed("whole", "--max-epochs 3");
  const std::string whole = text_of(folder_ / "whole" / "metrics.csv");
  // For two epochs they cannot, then they can.
  const auto mended =
      attempt("mended", "--max-epochs 3", faulty(ISNET_FAILING_WRITES, "mended/metrics.csv", "enospc", "2"));
  EXPECT_EQ(mended.status, 0) << mended.output;
  EXPECT_EQ(text_of(folder_ / "mended" / "metrics.csv"), whole);
  // Never: the end says so, and a resumed run writes them all.
  const auto full =
      attempt("full", "--max-epochs 3", faulty(ISNET_FAILING_WRITES, "full/metrics.csv", "enospc"));
  EXPECT_EQ(full.status, 1) << full.output;
  EXPECT_THAT(full.output, HasSubstr("the rows from epoch 0 on are missing there"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "full" / "metrics.csv"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "full" / "weights.safetensors"));
  succeed("full", "--max-epochs 3 --resume last");
  EXPECT_EQ(text_of(folder_ / "full" / "metrics.csv"), whole);
}

TEST_F(RunFolders, GetARowThatAnInterruptedRunCouldNotWrite) {
  succeed("whole", "--max-epochs 3");
  succeed("parts", "--max-epochs 1");
  const auto full = attempt("parts", "--max-epochs 2 --resume last",
                            faulty(ISNET_FAILING_WRITES, "parts/metrics.csv", "enospc"));
  EXPECT_EQ(full.status, 1) << full.output;
  EXPECT_THAT(full.output, HasSubstr("the rows from epoch 1 on are missing there"));
  succeed("parts", "--max-epochs 3 --resume last");
  EXPECT_EQ(text_of(folder_ / "parts" / "metrics.csv"), text_of(folder_ / "whole" / "metrics.csv"));
}

TEST_F(RunFolders, TakeALimitOnTheSizeOfFilesAsAFailedWrite) {
  succeed("run", "--max-epochs 1");
  const auto before = text_of(last("run"));
  std::string line = "ulimit -f 4; exec \"$@\"";  // in blocks of 1 KiB
  std::vector<std::string> limited{"bash", "-c", line, "bash"};
  for (const auto& word : command("run", "--resume last")) limited.push_back(word);
  const auto result = run(1, limited);
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, HasSubstr("File too large (raise the limit, ulimit -f"));
  EXPECT_EQ(text_of(last("run")), before);
}

// --- messages that nobody reads ---

TEST_F(RunFolders, AreTrainedToTheEndThoughNobodyReadsTheMessages) {
  const auto started = [&](const std::string& output, const std::string& more, const std::string& after) {
    // A pipe that is open and never read, and smaller than what is said.
    const std::string pipe = (folder_ / (output + ".pipe")).string();
    std::string line = "mkfifo '" + pipe + "'; sleep 600 < '" + pipe + "' & reader=$!; \"$@\" 2> '" + pipe +
                       "' & run=$!; " + after + " wait $run; status=$?; kill $reader; exit $status";
    std::vector<std::string> words{"bash", "-c", line, "bash"};
    for (const auto& word : command(output, more)) words.push_back(word);
    return run(1, words);
  };
  const auto ended =
      started("run", "--max-epochs 300 --checkpoint-every-n-epochs 100 --limit-val-batches 0", "");
  EXPECT_EQ(ended.status, 0) << ended.output;
  EXPECT_GT(std::filesystem::file_size(folder_ / "run" / "log.txt"), 1u << 16) << "more than a pipe holds";
  const auto stopped =
      started("stopped", "--max-epochs 1000000 --checkpoint-every-n-epochs 100 --limit-val-batches 0",
              "until [ $(stat -c %s '" + (folder_ / "stopped" / "log.txt").string() +
                  "' 2>/dev/null || echo 0) -gt 100000 ]; do sleep 0.1; done; kill -TERM $run;");
  EXPECT_EQ(stopped.status, 75) << stopped.output;
}

}  // namespace
}  // namespace isnet
