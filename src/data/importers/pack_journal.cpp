#include "data/importers/pack_journal.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "data/data_set.h"

namespace isnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* plan_file = "plan.json";

ShardRecord parsed(const std::string& text) {
  const json object = json::parse(text);
  ShardRecord record;
  record.sources = object.at("sources");
  record.samples = object.at("samples");
  record.sha256 = object.at("sha256");
  record.report.samples = record.samples;
  record.report.marked = object.at("marked");
  record.report.partly_covered = object.at("partly_covered");
  record.report.fully_covered = object.at("fully_covered");
  record.contents = object.at("contents").get<std::vector<std::string>>();
  record.bad = object.at("bad").get<std::vector<std::pair<std::size_t, std::string>>>();
  for (const auto& note : object.value("notes", json::array()))
    record.notes.push_back({note.at("text"), note.at("pictures"), note.at("first")});
  return record;
}

std::string text_of(const ShardRecord& record) {
  json notes = json::array();
  for (const auto& note : record.notes)
    notes.push_back({{"text", note.text}, {"pictures", note.pictures}, {"first", note.first}});
  return json{{"sources", record.sources},
              {"samples", record.samples},
              {"sha256", record.sha256},
              {"marked", record.report.marked},
              {"partly_covered", record.report.partly_covered},
              {"fully_covered", record.report.fully_covered},
              {"contents", record.contents},
              {"bad", record.bad},
              {"notes", notes}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

// An old description goes first: a half-replaced data set must not be taken for a whole one.
void PackJournal::clear_data_set(bool overwrite) const {
  const auto file = output_ / "dataset.json";
  std::error_code code;
  if (!fs::exists(file, code)) return;
  if (!overwrite)
    fail(ErrorKind::usage, "--output: ", output_.string(),
         " holds a data set already: choose another folder, or --overwrite");
  std::vector<fs::path> shards;
  try {
    for (const auto& [name, entries] : read_description(output_).splits)
      for (const auto& entry : entries) shards.push_back(output_ / entry.file);
  } catch (const Error&) {
    // Unreadable: its shards cannot be told from other files, and stay unless they are written over.
    shards.clear();
  }
  if (!fs::remove(file, code) || code)
    fail(ErrorKind::runtime, file.string(), ": cannot remove: ", code.message());
  for (const auto& path : shards) fs::remove(path, code);
  fs::remove(output_ / "pack.json", code);
  fs::remove_all(folder_, code);
}

void PackJournal::open(const PackPlan& plan, bool overwrite) const {
  create_folders(output_);
  clear_data_set(overwrite);
  std::error_code code;
  if (fs::exists(folder_ / plan_file, code)) {
    const json old = json::parse(read_file(folder_ / plan_file), nullptr, false);
    const bool same = old.is_object() && old.value("plan", "") == fingerprint_;
    if (!same && !overwrite)
      fail(ErrorKind::usage, "--output: ", output_.string(),
           " holds an unfinished data set of other options or other samples: choose another folder, or "
           "--overwrite");
    if (!same) {
      if (old.is_object())
        for (const auto& file : old.value("shards", std::vector<std::string>()))
          fs::remove(output_ / file, code);
      fs::remove_all(folder_, code);
    }
  }
  create_folders(folder_);
  std::vector<std::string> shards;
  for (const auto& shard : plan.shards) shards.push_back(shard.file);
  for (const auto& split : plan.splits) {
    create_folders(output_ / split.name);
    for (const auto& entry :
         fs::directory_iterator(output_ / split.name, code))  // what a killed process left
      if (entry.path().filename().string().find(".h5.tmp-") != std::string::npos)
        fs::remove(entry.path(), code);
  }
  write_file_atomically(folder_ / plan_file, json{{"plan", fingerprint_}, {"shards", shards}}.dump());
}

fs::path PackJournal::record_file(const PlannedShard& shard) const {
  std::string name = shard.file;
  std::replace(name.begin(), name.end(), '/', '+');  // no split has it in its name
  return folder_ / (name + ".json");
}

std::optional<ShardRecord> PackJournal::finished(const PlannedShard& shard,
                                                 const std::string& sources) const {
  std::error_code code;
  if (!fs::exists(record_file(shard), code)) return std::nullopt;
  try {
    ShardRecord record = this->record(shard);
    if (record.sources != sources || record.contents.size() != shard.items.size()) return std::nullopt;
    if (!record.sha256.empty() && sha256_of_file(output_ / shard.file) != record.sha256) return std::nullopt;
    return record;
  } catch (const std::exception&) {
    return std::nullopt;  // damaged, or the shard is gone: it is made again
  }
}

ShardRecord PackJournal::record(const PlannedShard& shard) const {
  const auto file = record_file(shard);
  try {
    return parsed(read_file(file));
  } catch (const json::exception& error) {
    fail(ErrorKind::runtime, file.string(), ": cannot be believed: ", error.what());
  }
}

void PackJournal::store(const PlannedShard& shard, const ShardRecord& record) const {
  write_file_atomically(record_file(shard), text_of(record));
}

void PackJournal::remove() const {
  std::error_code code;
  fs::remove_all(folder_, code);
}

std::string sources_of(const PlannedShard& shard, const Listing& listing) {
  std::string text;
  std::error_code code;
  for (const auto i : shard.items)
    for (const auto& file : listing.items[i].files) {
      const auto size = fs::file_size(file, code);
      text += cat(file.string(), '\n', code ? 0 : size, '\n');
      const auto time = fs::last_write_time(file, code);
      text += cat(code ? 0 : time.time_since_epoch().count(), '\n');
    }
  return sha256(text);
}

}  // namespace isnet
