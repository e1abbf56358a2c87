#include "trainer/checkpoint.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/native/DispatchStub.h>
#include <torch/version.h>

#include <algorithm>
#include <fstream>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/failure.h"
#include "base/files.h"
#include "base/log.h"
#include "base/safetensors.h"
#include "model/weights.h"

namespace isnet {
namespace {

constexpr const char* format_name = "isnet-checkpoint";
constexpr int format_version = 1;
using Metadata = std::map<std::string, std::string>;

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
      return line.substr(line.find(": ") + 2);
  return "unknown model";
}

// The checksum of the whole: over the metadata (with the tensors' checksums, without its own) and each
// tensor's name, type and shape. Lengths in front keep neighbours apart.
std::string checksum_of(const Metadata& metadata,
                        const std::map<std::string, safetensors::TensorView>& tensors) {
  std::string text;
  const auto add = [&](const std::string& part) { text += cat(part.size(), ":", part); };
  for (const auto& [key, value] : metadata) {
    if (key == "checksum") continue;
    add(key);
    add(value);
  }
  for (const auto& [name, view] : tensors) {
    add(name);
    add(view.dtype);
    for (const auto extent : view.shape) add(cat(extent));
  }
  return sha256(text);
}

// safetensors::write fills its header up to a multiple of 8 with spaces that nothing protects. This many
// bytes in "padding", which the checksum covers, leave it nothing to fill.
std::size_t padding_for(const Metadata& metadata,
                        const std::map<std::string, safetensors::TensorView>& tensors) {
  nlohmann::json header = nlohmann::json::object();
  header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, view] : tensors) {
    header[name] = {
        {"dtype", view.dtype}, {"shape", view.shape}, {"data_offsets", {offset, offset + view.bytes.size()}}};
    offset += view.bytes.size();
  }
  return (8 - header.dump().size() % 8) % 8;
}

Metadata describe(const Checkpoint& checkpoint, const Environment& here,
                  const std::map<std::string, safetensors::TensorView>& views) {
  nlohmann::json sums = nlohmann::json::object();
  for (const auto& [name, view] : views) sums[name] = sha256(view.bytes);
  Metadata metadata{{"format", format_name},
                    {"version", cat(format_version)},
                    {"isnet", here.isnet},
                    {"torch", here.torch},
                    {"cpu", here.cpu},
                    {"threads", cat(here.threads)},
                    {"state", checkpoint.state.dump()},
                    {"tensor_checksums", sums.dump()},
                    {"padding", ""}};
  metadata["checksum"] = std::string(64, '0');  // its length counts for the padding
  metadata["padding"] = std::string(padding_for(metadata, views), '.');
  metadata["checksum"] = checksum_of(metadata, views);
  return metadata;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

// Of another program: whole, for all that this one knows.
struct OtherFormat : Error {
  explicit OtherFormat(const std::string& message) : Error(ErrorKind::checkpoint, message) {}
};

// Reads one file; every complaint names it.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path), file_(path) {}

  StoredCheckpoint read() const {
    check_format();
    if (checksum_of(file_.metadata(), file_.tensors()) != entry("checksum"))
      refuse("its header (the state, or a tensor's description) does not match its checksum");
    if (entry("version") != cat(format_version))
      throw OtherFormat(cat(path_.string(), ": checkpoint format ", entry("version"),
                            ", this program reads format ", format_version,
                            " (use the isnet that wrote it, or a newer one)"));
    StoredCheckpoint checkpoint;
    checkpoint.tensors = tensors();
    checkpoint.state = json("state");
    checkpoint.environment = {entry("isnet"), entry("torch"), entry("cpu"),
                              std::atoi(entry("threads").c_str())};
    return checkpoint;
  }

 private:
  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::checkpoint, path_.string(), ": ", parts...,
         " (the file was damaged after it was written: use an older checkpoint)");
  }

  const std::string& entry(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    if (found == file_.metadata().end()) refuse("its header has no '", key, "'");
    return found->second;
  }

  nlohmann::json json(const std::string& key) const {
    auto value = nlohmann::json::parse(entry(key), nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) refuse("its '", key, "' is not JSON");
    return value;
  }

  void check_format() const {
    const auto found = file_.metadata().find("format");
    if (found == file_.metadata().end() || found->second != format_name)
      fail(ErrorKind::checkpoint, path_.string(),
           ": not a checkpoint of isnet (a weights file goes to --weights; a damaged one is of no use)");
  }

  std::map<std::string, at::Tensor> tensors() const {
    const auto sums = json("tensor_checksums");
    std::map<std::string, at::Tensor> result;
    for (const auto& [name, view] : file_.tensors()) {
      if (!sums.contains(name) || sums[name] != sha256(view.bytes))
        refuse("tensor '", name, "': its bytes do not match its checksum");
      try {
        result[name] = tensor_of(view);
      } catch (const std::exception& e) {  // the library's too: a shape that it cannot count
        if (is_out_of_memory(e)) throw;    // says nothing about the file
        refuse("tensor '", name, "': ", first_line(e.what()));
      }
    }
    if (sums.size() != result.size()) refuse("tensors are missing");
    return result;
  }

  std::filesystem::path path_;
  safetensors::File file_;
};

std::vector<std::filesystem::path> newest_first(const std::filesystem::path& folder) {
  using Entry = std::tuple<std::filesystem::file_time_type, bool, std::filesystem::path>;
  std::vector<Entry> entries;
  std::error_code code;
  for (auto item = std::filesystem::directory_iterator(folder, code); !code && item != end(item);
       item.increment(code)) {
    std::error_code gone;
    const auto time = item->last_write_time(gone);
    if (item->path().extension() == ".ckpt" && !gone)
      entries.emplace_back(time, item->path().stem() == "last", item->path());
  }
  if (code && code != std::errc::no_such_file_or_directory)
    fail(ErrorKind::runtime, folder.string(), ": cannot list the folder: ", code.message());
  std::sort(entries.rbegin(), entries.rend());
  std::vector<std::filesystem::path> paths;
  for (auto& entry : entries) paths.push_back(std::move(std::get<2>(entry)));
  return paths;
}

// Keeps a broken file for whoever wants to look at it, out of the way of the next start, and of those that
// were kept before.
std::string set_aside(const std::filesystem::path& path) {
  auto name = path;
  name += ".broken";
  std::error_code ignored;
  for (int number = 2; std::filesystem::exists(name, ignored); ++number)
    name.replace_filename(cat(path.filename().string(), ".broken-", number));
  try {
    rename_file(path, name);
  } catch (const Error& e) {
    return cat("it was not set aside: ", e.what());
  }
  return "kept as " + name.filename().string();
}

}  // namespace

std::map<std::string, at::Tensor> model_tensors(const Checkpoint& checkpoint, bool average) {
  std::map<std::string, at::Tensor> result;
  for (const std::string prefix : {"average.", "model."}) {
    if (prefix == "average." && !average) continue;
    for (const auto& [name, tensor] : checkpoint.tensors)
      if (name.rfind(prefix, 0) == 0) result[name.substr(prefix.size())] = tensor;
    if (!result.empty()) break;
  }
  return result;
}

Environment current_environment() {
  static const std::string cpu = cat(at::get_cpu_capability(), ", ", cpu_model());
  return {ISNET_VERSION, TORCH_VERSION, cpu, at::get_num_threads()};
}

std::string environment_difference(const Environment& stored) {
  const Environment here = current_environment();
  std::string text;
  const auto compare = [&](const char* what, const auto& then, const auto& now) {
    if (then != now) text += cat(text.empty() ? "" : "; ", what, ": ", then, " then, ", now, " now");
  };
  compare("isnet", stored.isnet, here.isnet);
  compare("torch", stored.torch, here.torch);
  compare("CPU", stored.cpu, here.cpu);
  compare("threads per rank", stored.threads, here.threads);
  return text;
}

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint,
                     const Environment& environment) {
  const auto tensors = host_copies(checkpoint.tensors);
  const auto views = views_of(tensors);
  safetensors::write(path, views, describe(checkpoint, environment, views));
}

StoredCheckpoint load_checkpoint(const std::filesystem::path& path) {
  return Reader(path).read();
}

std::optional<std::filesystem::path> newest_valid_checkpoint(const std::filesystem::path& folder) {
  for (const auto& path : newest_first(folder)) {
    try {
      load_checkpoint(path);
      return path;
    } catch (const OtherFormat&) {
      throw;  // to go on from an older one would throw away what another program has trained since
    } catch (const Error& e) {
      // What cannot be read now (permissions, a failing disk) may be whole all the same: only named.
      const bool broken = e.kind() == ErrorKind::checkpoint;
      log::warning(
          cat("passed over a checkpoint: ", e.what(), broken ? "; " + set_aside(path) : std::string()));
    }
  }
  return std::nullopt;
}

}  // namespace isnet
