// Data sets whose dataset.json, or whose files, are not what they should be.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "base/files.h"
#include "hostile/mutants.h"
#include "support/data.h"

namespace isnet::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class Maker {
 public:
  explicit Maker(fs::path folder) : folder_(std::move(folder)) {
    original_ = folder_ / "original";
    write_small_data_set(original_, {{"train", 5}, {"val", 3}}, 3, 3, small_layout(2, 3));
    text_ = read_file(original_ / "dataset.json");
  }
  const std::string& text() const { return text_; }
  const fs::path& original() const { return original_; }

  /// A data set with the original's shards and this dataset.json; `then` may change its folder.
  void add(const std::string& name, const std::string& manifest, Mutant mutant = {},
           const std::function<void(const fs::path&)>& then = {}) {
    const auto path = folder_ / ("set-" + std::to_string(mutants_.size()));
    for (const char* split : {"train", "val"}) {
      fs::create_directories(path / split);
      for (const auto& shard : fs::directory_iterator(original_ / split))
        fs::create_hard_link(shard.path(), path / split / shard.path().filename());
    }
    write_file_atomically(path / "dataset.json", manifest);
    if (then) then(path);
    mutant.name = name;
    mutant.path = path;
    mutant.original = original_.string();
    mutants_.push_back(std::move(mutant));
  }
  void refused(const std::string& name, const std::string& manifest, const std::string& says = "",
               const std::function<void(const fs::path&)>& then = {}) {
    Mutant mutant;
    mutant.says = says;
    add(name, manifest, mutant, then);
  }
  std::vector<Mutant>& mutants() { return mutants_; }

 private:
  fs::path folder_, original_;
  std::string text_;
  std::vector<Mutant> mutants_;
};

void add_values(Maker& maker) {
  const Json original = Json::parse(maker.text());
  const std::vector<std::string> values = {"null",
                                           "true",
                                           "-1",
                                           "0",
                                           "1",
                                           "2",
                                           "1.5",
                                           "1e300",
                                           "9223372036854775807",
                                           "9223372036854775808",
                                           "18446744073709551615",
                                           "-9223372036854775808",
                                           "18446744073709551616",
                                           "\"\"",
                                           "\"x\"",
                                           "\"\\u0000\"",
                                           "[]",
                                           "{}",
                                           "[1,2,3]",
                                           "[[[]]]",
                                           "{\"a\":{}}"};
  const Json flat = original.flatten();
  for (const auto& [place, ignored] : flat.items()) {
    for (auto pointer = Json::json_pointer(place); !pointer.empty(); pointer = pointer.parent_pointer()) {
      if (pointer.to_string() != place && place.find("/0") == std::string::npos) continue;
      for (const auto& value : values) {
        Json changed = original;
        if (changed.at(pointer) == Json::parse(value)) continue;
        changed[pointer] = Json::parse(value);
        Mutant mutant;
        mutant.expected = Expected::either;
        mutant.touched = {"verified", "classes", "*"};
        maker.add(pointer.to_string() + " = " + value, changed.dump(2), mutant);
      }
      Json changed = original;
      const auto last = pointer.back();
      auto& parent = changed[pointer.parent_pointer()];
      if (parent.is_array())
        parent.erase(static_cast<std::size_t>(std::stoul(last)));
      else
        parent.erase(last);
      Mutant mutant;
      mutant.expected = Expected::either;
      mutant.touched = {"*"};
      maker.add(pointer.to_string() + " is missing", changed.dump(2), mutant);
    }
  }
}

void add_texts(Maker& maker, int count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto& text = maker.text();
  for (int i = 0; i < count; ++i) {
    maker.refused("cut " + std::to_string(i), text.substr(0, random() % (text.size() - 2)),
                  "is not valid JSON");
    std::string changed = text;
    const auto at = random() % text.size();
    changed[at] = i % 2 ? static_cast<char>(random()) : static_cast<char>(text[at] ^ (1 << random() % 8));
    Mutant mutant;
    mutant.expected = Expected::either;
    mutant.touched = {"*"};
    maker.add("byte " + std::to_string(at), changed, mutant);
  }
  for (const char* brackets : {"[", "{\"a\":"})
    for (const int depth : {100, 10'000, 1'000'000}) {
      std::string nested;
      for (int i = 0; i < depth; ++i) nested += brackets;
      maker.refused("nested " + std::to_string(depth), nested);
      for (int i = 0; i < depth; ++i) nested += brackets[0] == '[' ? "" : "";
      if (brackets[0] == '[')
        maker.refused("nested and closed " + std::to_string(depth),
                      nested + std::string(static_cast<std::size_t>(depth), ']'));
      std::string inside = text;
      inside.insert(1, "\"deep\": " + std::string(static_cast<std::size_t>(depth), '[') +
                           std::string(static_cast<std::size_t>(depth), ']') + ",");
      maker.refused("deep field " + std::to_string(depth), inside, "nested");
    }
  for (const char* other : {"", " ", "null", "1", "\"text\"", "[]", "<html></html>", "\xef\xbb\xbf",
                            "\xff\xfe{\0}\0", "{}{}", "{\"format\":NaN}"})
    maker.refused("another text", other);
  maker.refused("binary", std::string(4096, '\x80'));
}

std::string with_file(const std::string& text, const std::string& file) {
  Json json = Json::parse(text);
  json["splits"]["train"]["shards"][0]["file"] = file;
  return json.dump(2);
}

void add_paths(Maker& maker) {
  const auto secret = maker.original() / "train/shard-00000.h5";  // a good shard, but not the data set's
  const auto& text = maker.text();
  for (const std::string& file :
       {std::string("../../etc/passwd"), std::string("/etc/passwd"), secret.string(),
        std::string("../original/train/shard-00000.h5"),
        std::string("train/../../original/train/shard-00000.h5"), std::string("train/.."), std::string(".."),
        std::string("train/../train/shard-00000.h5"), std::string("./../x"),
        std::string("train/shard-00000.h5\0.h5", 24), std::string("train/shard-00000.h5\0", 21),
        std::string(100'000, 'a'), std::string("")})
    maker.refused("file " + file.substr(0, 40), with_file(text, file), "dataset.json");
  maker.refused("file is a folder", with_file(text, "train"), "train");
  maker.refused("file is the folder", with_file(text, "."));
  maker.refused("file is dataset.json", with_file(text, "dataset.json"), "dataset.json");
  maker.refused("a file is missing", with_file(text, "train/other.h5"), "there is no such file");
  const auto replaced = [&](const char* name, const std::function<void(const fs::path&)>& put,
                            const std::string& says) {
    maker.refused(name, text, says, [=](const fs::path& folder) {
      const auto path = folder / "train/shard-00000.h5";
      fs::remove(path);
      put(path);
    });
  };
  replaced(
      "shard is a link out of the folder", [=](const auto& path) { fs::create_symlink(secret, path); },
      "outside");
  replaced(
      "shard is a relative link out of the folder",
      [](const auto& path) { fs::create_symlink("../../original/train/shard-00000.h5", path); }, "outside");
  replaced(
      "shard is a link to nothing", [](const auto& path) { fs::create_symlink("nothing", path); },
      "no such file");
  replaced(
      "shard is a link to itself", [](const auto& path) { fs::create_symlink("shard-00000.h5", path); },
      "shard-00000.h5");
  replaced("shard is a folder", [](const auto& path) { fs::create_directory(path); }, "shard-00000.h5");
  replaced("shard is a pipe", [](const auto& path) { ::mkfifo(path.c_str(), 0600); }, "shard-00000.h5");
  replaced(
      "shard is a device", [](const auto& path) { fs::create_symlink("/dev/zero", path); }, "shard-00000.h5");
  replaced("shard is empty", [](const auto& path) { write_file_atomically(path, ""); }, "shard-00000.h5");
  replaced(
      "shard is a text", [](const auto& path) { write_file_atomically(path, "image,label\n"); },
      "shard-00000.h5");
  replaced(
      "shard is another",
      [=](const auto& path) { fs::copy_file(maker.original() / "train/shard-00001.h5", path); }, "holds");
  maker.refused("the split's folder is a link out", text, "outside", [=](const fs::path& folder) {
    fs::remove_all(folder / "train");
    fs::create_directory_symlink(secret.parent_path(), folder / "train");
  });
  const auto manifest = [&](const char* name, const std::function<void(const fs::path&)>& put) {
    maker.refused(name, text, "dataset.json", [=](const fs::path& folder) {
      fs::remove(folder / "dataset.json");
      put(folder / "dataset.json");
    });
  };
  manifest("no dataset.json", [](const auto&) {});
  manifest("dataset.json is a folder", [](const auto& path) { fs::create_directory(path); });
  manifest("dataset.json is a pipe", [](const auto& path) { ::mkfifo(path.c_str(), 0600); });
  manifest("dataset.json is endless", [](const auto& path) { fs::create_symlink("/dev/zero", path); });
  manifest("dataset.json is a link to itself",
           [](const auto& path) { fs::create_symlink("dataset.json", path); });
  // What has to go on working.
  Mutant equal;
  equal.expected = Expected::equal;
  maker.add("shard is a link inside the folder", text, equal, [](const fs::path& folder) {
    fs::rename(folder / "train/shard-00000.h5", folder / "elsewhere.h5");
    fs::create_symlink("../elsewhere.h5", folder / "train/shard-00000.h5");
  });
  maker.add("the folder is a link", text, equal, [](const fs::path& folder) {
    const auto moved = folder.string() + "-moved";
    fs::rename(folder, moved);
    fs::create_directory_symlink(moved, folder);
  });
}

// Splits are folders of a data set that is written from this one, and names are shown.
void add_names(Maker& maker) {
  const std::vector<std::string> for_all{
      "", "a\nb", "\x1b[31m", "a\x7f", std::string("a\0b", 3), "\u202e", "\u009b31m", std::string(2000, 'n')};
  std::vector<std::string> splits = for_all;
  for (const char* name : {"..", ".", "../escape", "/tmp/escape", "a/b", "a\\b", ".pack", "a/../../b"})
    splits.emplace_back(name);
  for (const auto& name : splits) {
    Json json = Json::parse(maker.text());
    json["splits"][name] = json["splits"]["val"];
    json["splits"].erase("val");
    maker.refused("split " + name.substr(0, 20), json.dump(2), "dataset.json: the split name ");
  }
  for (const auto& name : for_all) {
    Json json = Json::parse(maker.text());
    json["class_names"][0] = name;
    maker.refused("class " + name.substr(0, 20), json.dump(2), "dataset.json: the class name ");
  }
}

void add_contradictions(Maker& maker) {
  const auto& text = maker.text();
  const auto edited = [&](const std::function<void(Json&)>& edit) {
    Json json = Json::parse(text);
    edit(json);
    return json.dump(2);
  };
  const auto inserted = [&](const std::string& what) {
    std::string changed = text;
    changed.insert(1, what + ",");
    return changed;
  };
  for (const char* field : {"\"format\": \"isnet-dataset\"", "\"version\": 1", "\"splits\": {}",
                            "\"task\": \"none\"", "\"x\": 1, \"x\": 2"})
    maker.refused(std::string("twice: ") + field, inserted(field), "appears twice");
  maker.refused(
      "a split twice",
      [&] {
        std::string changed = text;
        changed.insert(changed.find("\"splits\": {") + 11, "\"val\": {\"samples\": 0, \"shards\": []},");
        return changed;
      }(),
      "appears twice");
  maker.refused("a shard twice", edited([](Json& json) {
                  auto& train = json["splits"]["train"];
                  train["shards"].push_back(train["shards"][0]);
                  train["samples"] = 8;
                }),
                "appears twice");
  maker.refused("a shard twice by another way", edited([](Json& json) {
                  auto& train = json["splits"]["train"];
                  train["shards"].push_back(train["shards"][0]);
                  train["shards"][2]["file"] = "train/./shard-00000.h5";
                  train["samples"] = 8;
                }));
  maker.refused("counts that run over", edited([](Json& json) {
                  auto& train = json["splits"]["train"];
                  for (auto& shard : train["shards"]) shard["samples"] = std::int64_t{1} << 62;
                  train["samples"] = 0;
                }),
                "train");
  maker.refused("counts that run over to the right sum", edited([](Json& json) {
                  auto& train = json["splits"]["train"];
                  for (int i = 0; i < 2; ++i)
                    train["shards"].push_back({{"file", "train/" + std::to_string(i)},
                                               {"samples", std::uint64_t{1} << 63},
                                               {"sha256", std::string(64, '0')}});
                }));
  maker.refused("a split without shards", edited([](Json& json) {
                  json["splits"]["train"] = {{"samples", 0}, {"shards", Json::array()}};
                }),
                "no samples");
  maker.refused("another number of samples", edited([](Json& json) {
                  json["splits"]["train"]["shards"][0]["samples"] = 4;
                  json["splits"]["train"]["samples"] = 6;
                }),
                "holds 3 samples");
  maker.refused("fewer classes than labels", edited([](Json& json) { json["class_names"] = {"a", "b"}; }),
                "label 2 is out of range");
  maker.refused("no classes", edited([](Json& json) { json["class_names"] = Json::array(); }), "class_names");
  maker.refused("another task", edited([](Json& json) { json["task"] = "multi-label"; }));
  maker.refused("another shape", edited([](Json& json) { json["image_shape"] = {1, 3, 2}; }),
                "but dataset.json says");
  maker.refused("version from the future", edited([](Json& json) { json["version"] = 2; }),
                "this program reads version 1");
  for (const std::string& sum :
       {std::string(64, 'g'), std::string(63, '0'), std::string(65, '0'), std::string(64, '\0')})
    maker.refused("no checksum",
                  edited([&](Json& json) { json["splits"]["val"]["shards"][0]["sha256"] = sum; }), "sha256");
  Mutant other;
  other.expected = Expected::either;
  other.touched = {"verified"};
  maker.add("a wrong checksum",
            edited([](Json& json) { json["splits"]["val"]["shards"][0]["sha256"] = std::string(64, '0'); }),
            other);
}

}  // namespace

std::vector<Mutant> manifests(const std::filesystem::path& folder, int count, std::uint64_t seed) {
  fs::create_directories(folder);
  Maker maker(folder);
  add_values(maker);
  add_texts(maker, count, seed);
  add_paths(maker);
  add_names(maker);
  add_contradictions(maker);
  return std::move(maker.mutants());
}

}  // namespace isnet::testing
