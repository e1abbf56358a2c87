#include "data/checksums.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/input_file.h"

namespace isnet {
namespace {

constexpr std::int64_t block_bytes = 8192;
constexpr std::int64_t budget = 256'000'000;  // bytes of all files together
constexpr std::int64_t fewest_blocks = 8, most_blocks = 256;

}  // namespace

OptionSpec verify_data_option() {
  return of_this_machine(
      choice_option("verify-data", "sample",
                    "How to find shards that differ between hosts and staged copies that changed: compare a "
                    "sample of each shard, compare everything with dataset.json (full), or compare nothing "
                    "(0)",
                    {"0", "sample", "full"}));
}

VerifyData verify_data_of(const OptionValues& options) {
  const std::string& mode = options.text("verify-data");
  return mode == "0" ? VerifyData::nothing : mode == "full" ? VerifyData::full : VerifyData::sample;
}

SampleOfFile sample_for(std::size_t files) {
  const auto share = budget / static_cast<std::int64_t>(std::max<std::size_t>(files, 1));
  return {share, std::clamp(share / block_bytes, fewest_blocks, most_blocks)};
}

std::string sampled_checksum(const std::filesystem::path& path, const SampleOfFile& sample) {
  const InputFile file(path);
  const std::int64_t size = file.identity().size;
  if (size <= std::max(sample.whole_up_to, sample.blocks * block_bytes)) return sha256_of_file(path);
  std::vector<char> bytes(static_cast<std::size_t>(sample.blocks * block_bytes));
  for (std::int64_t i = 0; i < sample.blocks; ++i) {
    const bool last = i + 1 == sample.blocks;
    const std::int64_t end = size - block_bytes, begin = last ? end : end / (sample.blocks - 1) * i;
    file.read_at(begin, block_bytes, bytes.data() + i * block_bytes);
  }
  return sha256({std::string_view(bytes.data(), bytes.size()), std::to_string(size)});
}

}  // namespace isnet
