// dataset.json: reading and writing.
#include <cctype>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
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

// A whole number from 0 on that an int64 holds.
std::optional<std::int64_t> natural(const Json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())
    return std::nullopt;
  return value.get<std::int64_t>();
}

// A field of dataset.json as this type; complains with its place in the file.
class Fields {
 public:
  Fields(std::string where, const Json& json) : where_(std::move(where)), json_(json) {
    if (!json_.is_object()) fail(ErrorKind::data, where_, ": is not a JSON object");
  }

  const Json& at(const char* name) const {
    if (!json_.contains(name)) fail(ErrorKind::data, where_, ": field '", name, "' is missing");
    return json_[name];
  }
  std::string text(const char* name) const {
    if (!at(name).is_string()) fail(ErrorKind::data, where_, ": field '", name, "' is not text");
    return at(name).get<std::string>();
  }
  std::int64_t count(const char* name) const {
    const auto value = natural(at(name));
    if (!value) fail(ErrorKind::data, where_, ": field '", name, "' is not a whole number from 0 on");
    return *value;
  }
  const Json& array(const char* name) const {
    if (!at(name).is_array()) fail(ErrorKind::data, where_, ": field '", name, "' is not a list");
    return at(name);
  }

 private:
  std::string where_;
  const Json& json_;
};

LabelKind task_of(const std::string& name, const std::string& where) {
  for (const auto kind : {LabelKind::single, LabelKind::multi, LabelKind::none})
    if (name == task_name(kind)) return kind;
  fail(ErrorKind::data, where, ": task '", name, "' is unknown; known: single-label, multi-label, none");
}

ShardEntry shard_entry(const std::string& where, const Json& json) {
  const Fields fields(where, json);
  ShardEntry entry{fields.text("file"), fields.count("samples"), fields.text("sha256")};
  const std::filesystem::path file(entry.file);
  bool inside = !file.empty() && file.is_relative() && entry.file.find('\0') == std::string::npos;
  for (const auto& part : file) inside = inside && part != "..";
  if (!inside)
    fail(ErrorKind::data, where, ": file '", entry.file.c_str(), "' is not inside the data set's folder");
  bool is_hash = entry.sha256.size() == 64;
  for (const char c : entry.sha256) is_hash = is_hash && std::isxdigit(static_cast<unsigned char>(c));
  if (!is_hash)
    fail(ErrorKind::data, where, ": sha256 '", entry.sha256.c_str(),
         "' is not a checksum of 64 hexadecimal digits");
  return entry;
}

void read_classes(const Fields& fields, const std::string& where, DataSetDescription& description) {
  std::set<std::string> seen;
  for (const auto& name : fields.array("class_names")) {
    if (!name.is_string()) fail(ErrorKind::data, where, ": class_names holds something that is not text");
    if (!seen.insert(name.get<std::string>()).second)
      fail(ErrorKind::data, where, ": class name '", name.get<std::string>(), "' comes twice");
    description.class_names.push_back(name.get<std::string>());
  }
  if (description.task != LabelKind::none && description.class_names.empty())
    fail(ErrorKind::data, where, ": class_names is empty, but the task is '", task_name(description.task),
         "'");
}

void read_shape(const Fields& fields, const std::string& where, DataSetDescription& description) {
  const auto& shape = fields.array("image_shape");
  bool valid = shape.size() == 3;
  for (const auto& extent : shape) valid = valid && natural(extent).value_or(0) > 0;
  if (!valid) fail(ErrorKind::data, where, ": image_shape is not [channels, height, width]");
  description.channels = shape[0].get<std::int64_t>();
  description.height = shape[1].get<std::int64_t>();
  description.width = shape[2].get<std::int64_t>();
}

void read_splits(const Fields& fields, const std::string& where, DataSetDescription& description) {
  const auto& splits = fields.at("splits");
  if (!splits.is_object()) fail(ErrorKind::data, where, ": field 'splits' is not an object");
  for (const auto& [name, split] : splits.items()) {
    const std::string place = cat(where, ": split '", name, "'");
    const Fields split_fields(place, split);
    auto& entries = description.splits[name];
    std::int64_t samples = 0;
    std::set<std::filesystem::path> files;
    for (const auto& shard : split_fields.array("shards")) {
      entries.push_back(shard_entry(cat(place, ", shard ", entries.size()), shard));
      const auto& entry = entries.back();
      if (!files.insert(std::filesystem::path(entry.file).lexically_normal()).second)
        fail(ErrorKind::data, place, ": shard ", entry.file, " comes twice");
      if (__builtin_add_overflow(samples, entry.samples, &samples))
        fail(ErrorKind::data, place, ": more samples than can be counted");
    }
    if (samples != split_fields.count("samples"))
      fail(ErrorKind::data, place, ": says ", split_fields.count("samples"),
           " samples, but its shards add up to ", samples);
  }
}

// JSON in which no name of an object comes twice: readers differ in which they take.
Json parsed(const std::string& text, const std::string& where) {
  constexpr int deepest = 64;
  std::vector<std::set<std::string>> names;  // of the objects that are open
  const auto look = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > deepest) fail(ErrorKind::data, where, ": nested more than ", deepest, " deep");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second)
      fail(ErrorKind::data, where, ": field '", value.get<std::string>(),
           "' comes twice: delete one of the two");
    return true;
  };
  Json json = Json::parse(text, look, false);
  if (json.is_discarded())
    fail(ErrorKind::data, where, ": is not valid JSON (cut short or edited?): pack the data again");
  return json;
}

Json shard_list(const std::vector<ShardEntry>& entries) {
  Json list = Json::array();
  for (const auto& entry : entries)
    list.push_back({{"file", entry.file}, {"samples", entry.samples}, {"sha256", entry.sha256}});
  return list;
}

}  // namespace

void write_description(const std::filesystem::path& folder, const DataSetDescription& description) {
  Json json;
  json["format"] = data_set_format;
  json["version"] = data_set_version;
  json["task"] = task_name(description.task);
  json["class_names"] = description.class_names;
  json["image_shape"] = {description.channels, description.height, description.width};
  json["splits"] = Json::object();
  for (const auto& [name, entries] : description.splits) {
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
  const Json json = parsed(read_file(path), where);
  const Fields fields(where, json);
  if (const auto format = fields.text("format"); format != data_set_format)
    fail(ErrorKind::data, where, ": format is '", format, "' instead of '", data_set_format, "'");
  if (const auto version = fields.count("version"); version != data_set_version)
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
