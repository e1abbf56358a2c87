#include "import/pack_journal.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/names.h"
#include "data/data_set.h"

namespace isnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* plan_file = "plan.json";

JsonSource source_of(const fs::path& file) {
  return {file.string(), ErrorKind::data, ": remove the folder that it is in, and pack again"};
}

ShardRecord read_record(const fs::path& file, std::size_t items) {
  const JsonSource source = source_of(file);
  const json object = parse_json(read_file(file, Links::refuse), source);
  const JsonFields fields(source, object);
  const auto most = static_cast<std::int64_t>(items);
  ShardRecord record;
  record.sources = fields.text("sources");
  record.samples = fields.integer("samples", 0, most);
  record.sha256 = fields.text("sha256");
  record.report.samples = record.samples;
  record.report.marked = fields.integer("marked", 0, most);
  record.report.partly_covered = fields.integer("partly_covered", 0, most);
  record.report.fully_covered = fields.integer("fully_covered", 0, most);
  record.contents = fields.texts("contents");
  if (record.contents.size() != items) fields.refuse("contents", " is not a list of ", items, " texts");
  for (const auto& one : fields.array("bad")) {
    if (!one.is_array() || one.size() != 2 || !one[0].is_number_unsigned() || !one[1].is_string() ||
        one[0].get<std::uint64_t>() >= items)
      fields.refuse("bad", " is not a list of [place among the items, text]");
    record.bad.emplace_back(one[0].get<std::size_t>(), one[1].get<std::string>());
  }
  if (fields.has("notes"))
    for (const auto& one : fields.array("notes")) {
      const JsonFields note(source, one, "notes");
      record.notes.push_back({note.text("text"), note.integer("pictures", 0, most), note.text("first")});
    }
  return record;
}

// What plan.json says of the call that was interrupted.
struct OldPlan {
  std::string fingerprint;
  std::vector<std::string> shards;
};

OldPlan read_plan(const fs::path& file) {
  const JsonSource source = source_of(file);
  const json object = parse_json(read_file(file, Links::refuse), source);
  const JsonFields fields(source, object);
  OldPlan plan{fields.text("plan"), fields.texts("shards")};
  for (const auto& shard : plan.shards)
    check_stored_name(NameKind::path, "shard", shard, file.string(), ErrorKind::data);
  return plan;
}

// A damaged plan is one of other options where it may be replaced; its shards stay then.
OldPlan old_plan(const fs::path& file, bool overwrite) {
  try {
    return read_plan(file);
  } catch (const Error& error) {
    if (!overwrite) throw;
    log::warning(cat(error.what(), "; shards of that call stay unless they are written over"));
    return {};
  }
}

// Shards that a file lists are removed only where they lie in this folder.
void remove_listed(const fs::path& folder, const std::string& shard) {
  std::error_code code;
  if (is_inside(folder, (folder / shard).parent_path())) fs::remove(folder / shard, code);
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
  std::vector<std::string> shards;
  try {
    for (const auto& [name, entries] : read_description(output_).splits)
      for (const auto& entry : entries) shards.push_back(entry.file);
  } catch (const Error&) {
    // Unreadable: its shards cannot be told from other files, and stay unless they are written over.
    shards.clear();
  }
  if (!fs::remove(file, code) || code)
    fail(ErrorKind::runtime, file.string(), ": cannot remove: ", code.message());
  for (const auto& shard : shards) remove_listed(output_, shard);
  fs::remove(output_ / "pack.json", code);
  fs::remove_all(folder_, code);
}

void PackJournal::open(const PackPlan& plan, bool overwrite) const {
  create_folders(output_);
  require_own_folder(folder_);
  clear_data_set(overwrite);
  std::error_code code;
  if (fs::exists(folder_ / plan_file, code)) {
    const OldPlan old = old_plan(folder_ / plan_file, overwrite);
    const bool same = old.fingerprint == fingerprint_;
    if (!same && !overwrite)
      fail(ErrorKind::usage, "--output: ", output_.string(),
           " holds an unfinished data set of other options or other samples: choose another folder, or "
           "--overwrite");
    if (!same) {
      for (const auto& shard : old.shards) remove_listed(output_, shard);
      fs::remove_all(folder_, code);
    }
  }
  create_folders(folder_);
  std::vector<std::string> shards;
  for (const auto& shard : plan.shards) shards.push_back(shard.file);
  for (const auto& split : plan.splits) {
    create_own_folder(output_, split.name);
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
    if (record.sources != sources) return std::nullopt;
    if (!record.sha256.empty() && sha256_of_file(output_ / shard.file) != record.sha256) return std::nullopt;
    return record;
  } catch (const std::exception&) {
    return std::nullopt;  // damaged, or the shard is gone: it is made again
  }
}

ShardRecord PackJournal::record(const PlannedShard& shard) const {
  return read_record(record_file(shard), shard.items.size());
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
