#include "run/data_identity.h"

#include <string>

#include "base/error.h"
#include "base/files.h"
#include "data/checksums.h"

namespace isnet {
namespace {

// Of a shard that is a data set by itself. Stored in checkpoints: it stays as it is.
constexpr SampleOfFile sample{.whole_up_to = 0, .blocks = 512};

nlohmann::json split_identity(const DataSet& data, const std::string& name) {
  std::int64_t samples = 0;
  std::string sums;
  const auto& shards = data.shard_entries(name);
  for (const auto& shard : shards) {
    samples += shard.samples;
    sums += cat(shard.samples, " ",
                shard.sha256.empty() ? sampled_checksum(data.path(), sample) : shard.sha256, "\n");
  }
  return {{"samples", samples}, {"shards", shards.size()}, {"checksum", sha256(sums)}};
}

std::string shape_text(const nlohmann::json& shape) {
  std::string text;
  for (const auto& extent : shape) text += cat(text.empty() ? "" : "×", extent.dump());
  return text;
}

// "class 1 is 'cat', and was 'dog'"
std::string name_difference(const nlohmann::json& then, const nlohmann::json& now) {
  if (then.size() != now.size()) return cat(now.size(), " classes, and there were ", then.size());
  for (std::size_t i = 0; i < now.size(); ++i)
    if (then[i] != now[i]) return cat("class ", i, " is ", now[i].dump(), ", and was ", then[i].dump());
  return "";
}

std::string split_difference(const std::string& name, const nlohmann::json& then, const nlohmann::json& now) {
  if (then.value("samples", nlohmann::json()) != now.at("samples"))
    return cat("the split ", name, " has ", now.at("samples").dump(), " samples, and had ",
               then.value("samples", nlohmann::json()).dump());
  if (then.value("checksum", nlohmann::json()) != now.at("checksum"))
    return cat("the shards of the split ", name, " have other checksums");
  return "";
}

}  // namespace

nlohmann::json data_identity(const DataSet& data) {
  const auto& description = data.description();
  nlohmann::json identity{{"class_names", description.class_names},
                          {"image_shape", {description.channels, description.height, description.width}},
                          {"splits", nlohmann::json::object()}};
  for (const char* split : {"train", "val"})
    if (data.is_single_shard() ? split == std::string("train") : data.has_split(split))
      identity["splits"][split] = split_identity(data, split);
  return identity;
}

std::string data_difference(const Checkpoint& checkpoint, const nlohmann::json& here) {
  const auto names = checkpoint.state.value("class_names", nlohmann::json());
  if (names.is_array())
    if (const auto difference = name_difference(names, here.at("class_names")); !difference.empty())
      return difference;
  const auto stored = checkpoint.state.value("data", nlohmann::json());
  if (!stored.is_object()) return "";
  const auto shape = stored.value("image_shape", nlohmann::json());
  if (shape != here.at("image_shape"))
    return cat("images are ", shape_text(here.at("image_shape")), ", and were ", shape_text(shape));
  const auto splits = stored.value("splits", nlohmann::json::object());
  for (const char* name : {"train", "val"}) {
    const bool then = splits.is_object() && splits.contains(name), now = here.at("splits").contains(name);
    if (then != now) return cat("the split ", name, now ? " is new" : " is not there any more");
    if (!now) continue;
    if (const auto difference = split_difference(name, splits.at(name), here.at("splits").at(name));
        !difference.empty())
      return difference;
  }
  return "";
}

}  // namespace isnet
