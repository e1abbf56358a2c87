// dataset.json: reading and writing.
#include <cctype>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/names.h"
#include "base/printable.h"
#include "data/data_set.h"

namespace isnet {

using Json = nlohmann::ordered_json;

const char* task_name(LabelKind task) {
  switch (task) {
    case LabelKind::single:
      return "single-label";
    case LabelKind::multi:
      return "multi-label";
    case LabelKind::none:
      return "none";
  }
  return "none";
}

namespace {

using Fields = JsonFields<Json>;

Fields fields_of(const std::string& where, const Json& json) {
  return {{where, ErrorKind::data, ""}, json};
}

LabelKind task_of(const std::string& name, const std::string& where) {
  for (const auto kind : {LabelKind::single, LabelKind::multi, LabelKind::none})
    if (name == task_name(kind)) return kind;
  fail(ErrorKind::data, where, ": task ", quoted_name(name),
       " is unknown; known: single-label, multi-label, none");
}

ShardEntry shard_entry(const std::string& where, const Json& json) {
  const Fields fields = fields_of(where, json);
  ShardEntry entry{fields.text("file"), fields.integer("samples", 0), fields.text("sha256")};
  if (const auto refusal = name_refusal(NameKind::path, entry.file); !refusal.empty())
    fail(ErrorKind::data, where, ": file ", quoted_name(entry.file),
         " is not inside the data set's folder: ", refusal);
  bool is_hash = entry.sha256.size() == 64;
  for (const char c : entry.sha256) is_hash = is_hash && std::isxdigit(static_cast<unsigned char>(c));
  if (!is_hash)
    fail(ErrorKind::data, where, ": sha256 ", quoted_name(entry.sha256),
         " is not a checksum of 64 hexadecimal digits");
  return entry;
}

void read_classes(const Fields& fields, const std::string& where, DataSetDescription& description) {
  std::set<std::string> seen;
  for (const auto& name : fields.texts("class_names")) {
    check_stored_name(NameKind::label, "class name", name, where, ErrorKind::data);
    if (!seen.insert(name).second) fail(ErrorKind::data, where, ": class name '", name, "' appears twice");
    description.class_names.push_back(name);
  }
  if (description.task != LabelKind::none && description.class_names.empty())
    fail(ErrorKind::data, where, ": class_names is empty, but the task is '", task_name(description.task),
         "'");
}

void read_shape(const Fields& fields, const std::string& where, DataSetDescription& description) {
  const auto shape = fields.integers("image_shape", 1);
  if (shape.size() != 3) fail(ErrorKind::data, where, ": image_shape is not [channels, height, width]");
  description.channels = shape[0];
  description.height = shape[1];
  description.width = shape[2];
}

void read_splits(const Fields& fields, const std::string& where, DataSetDescription& description) {
  const auto& splits = fields.at("splits");
  if (!splits.is_object()) fail(ErrorKind::data, where, ": field 'splits' is not an object");
  for (const auto& [name, split] : splits.items()) {
    check_stored_name(NameKind::split, "split name", name, where, ErrorKind::data);
    const std::string place = cat(where, ": split '", name, "'");
    const Fields split_fields = fields_of(place, split);
    auto& entries = description.splits[name];
    std::int64_t samples = 0;
    std::set<std::filesystem::path> files;
    for (const auto& shard : split_fields.array("shards")) {
      entries.push_back(shard_entry(cat(place, ", shard ", entries.size()), shard));
      const auto& entry = entries.back();
      if (!files.insert(std::filesystem::path(entry.file).lexically_normal()).second)
        fail(ErrorKind::data, place, ": shard ", entry.file, " appears twice");
      if (__builtin_add_overflow(samples, entry.samples, &samples))
        fail(ErrorKind::data, place, ": more samples than can be counted");
    }
    if (const auto stated = split_fields.integer("samples", 0); samples != stated)
      fail(ErrorKind::data, place, ": says ", stated, " samples, but its shards add up to ", samples);
  }
}

Json shard_list(const std::vector<ShardEntry>& entries) {
  Json list = Json::array();
  for (const auto& entry : entries)
    list.push_back({{"file", entry.file}, {"samples", entry.samples}, {"sha256", entry.sha256}});
  return list;
}

}  // namespace

void write_description(const std::filesystem::path& folder, const DataSetDescription& description) {
  for (const auto& name : description.class_names)
    check_stored_name(NameKind::label, "class name", name, folder.string(), ErrorKind::usage);
  Json json;
  json["format"] = data_set_format;
  json["version"] = data_set_version;
  json["task"] = task_name(description.task);
  json["class_names"] = description.class_names;
  json["image_shape"] = {description.channels, description.height, description.width};
  json["splits"] = Json::object();
  for (const auto& [name, entries] : description.splits) {
    check_stored_name(NameKind::split, "split name", name, folder.string(), ErrorKind::usage);
    std::int64_t samples = 0;
    for (const auto& entry : entries) samples += entry.samples;
    json["splits"][name] = {{"samples", samples}, {"shards", shard_list(entries)}};
  }
  try {
    write_file_atomically(folder / "dataset.json", json.dump(2) + "\n");
  } catch (const Json::exception& e) {
    fail(ErrorKind::usage, "the data set's names cannot be written as JSON (UTF-8 is allowed): ", e.what());
  }
}

DataSetDescription read_description(const std::filesystem::path& folder) {
  const auto path = folder / "dataset.json";
  const std::string where = path.string();
  std::error_code ignored;
  if (!std::filesystem::exists(folder, ignored))
    fail(ErrorKind::data, folder.string(), ": there is no such folder or file");
  if (!std::filesystem::is_regular_file(path, ignored))
    fail(ErrorKind::data, where, ": there is no such file: ", folder.string(),
         " is not a data set; make one with isnet pack");
  const Json json = parse_json<Json>(
      read_file(path), {where, ErrorKind::data, " (cut short or edited?): pack the data again"});
  const Fields fields = fields_of(where, json);
  if (const auto format = fields.text("format"); format != data_set_format)
    fail(ErrorKind::data, where, ": format is ", quoted_name(format), " instead of '", data_set_format, "'");
  if (const auto version = fields.integer("version", 0); version != data_set_version)
    fail(ErrorKind::data, where, ": version ", version, "; this program reads version ", data_set_version,
         ": pack the data again, or use the program that wrote it");
  DataSetDescription description;
  description.task = task_of(fields.text("task"), where);
  read_classes(fields, where, description);
  read_shape(fields, where, description);
  read_splits(fields, where, description);
  return description;
}

}  // namespace isnet
