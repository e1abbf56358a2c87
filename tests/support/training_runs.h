// Runs of `isnet train` on small networks, and what they leave behind.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "support/ranks.h"
#include "trainer/checkpoint.h"

namespace isnet::testing {

inline std::string text_of(const std::filesystem::path& file) {
  return read_file(file);
}

/// metrics.csv: the values of a column in the rows of a split.
inline std::vector<double> column(const std::filesystem::path& file, const std::string& split,
                                  const std::string& name) {
  std::istringstream lines(text_of(file));
  const auto fields = [](const std::string& line) {
    std::vector<std::string> result;
    std::istringstream parts(line);
    for (std::string part; std::getline(parts, part, ',');) result.push_back(part);
    return result;
  };
  std::string line;
  std::getline(lines, line);
  const auto header = fields(line);
  const auto place = static_cast<std::size_t>(std::find(header.begin(), header.end(), name) - header.begin());
  std::vector<double> values;
  while (std::getline(lines, line)) {
    const auto row = fields(line);
    if (row.at(2) == split) values.push_back(std::stod(row.at(place)));
  }
  return values;
}

/// `options`: words separated by blanks, so that they read as a command line does.
inline std::vector<std::string> train(const std::filesystem::path& data, const std::filesystem::path& output,
                                      const std::string& options) {
  std::vector<std::string> command{ISNET_BINARY,  "train",    "--data",
                                   data.string(), "--output", output.string()};
  std::istringstream words("--network densenet --backend gloo --device cpu " + options);
  for (std::string word; words >> word;) command.push_back(word);
  return command;
}

/// On one thread a rank.
inline ProgramResult run(int ranks, const std::vector<std::string>& command, ProgramOptions options = {}) {
  options.timeout = std::chrono::seconds(150);
  options.environment["OMP_NUM_THREADS"] = "1";
  return ranks == 1 ? run_program(command, options) : run_ranks(ranks, command, options);
}

/// Runs a training into `output`, and sends a signal to all of its ranks as soon as it shows `sign`.
inline ProgramResult signalled(int ranks, const std::vector<std::string>& command,
                               const std::filesystem::path& output, const std::string& sign,
                               const std::string& signal) {
  ProgramOptions options;
  bool sent = false;
  options.on_output = [&](const std::string& text) {
    if (sent || text.find(sign) == std::string::npos) return;
    sent = true;
    // Only the ranks: mpirun passes signals on itself, and must not be killed.
    const std::string kill = "pkill -" + signal + " -f '^[^ ]*isnet train .*" + output.string() + "( |$)'";
    if (std::system(kill.c_str()) != 0) ADD_FAILURE() << kill;
  };
  const auto result = run(ranks, command, options);
  EXPECT_TRUE(sent) << result.output;
  return result;
}

/// Two run folders: the last checkpoint's tensors, metrics.csv and the weights bit by bit the same.
inline void expect_same_run(const std::filesystem::path& one, const std::filesystem::path& other) {
  const StoredCheckpoint a = load_checkpoint(one / "checkpoints" / "last.ckpt");
  const StoredCheckpoint b = load_checkpoint(other / "checkpoints" / "last.ckpt");
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(at::equal(tensor, b.tensors.at(name))) << name;
  EXPECT_EQ(text_of(one / "metrics.csv"), text_of(other / "metrics.csv"));
  EXPECT_EQ(text_of(one / "weights.safetensors"), text_of(other / "weights.safetensors"));
}

}  // namespace isnet::testing
