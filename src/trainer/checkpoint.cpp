#include "trainer/checkpoint.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/native/DispatchStub.h>
#include <torch/version.h>

#include <cstdlib>
#include <fstream>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/failure.h"
#include "base/files.h"
#include "base/input_file.h"
#include "base/json.h"
#include "base/safetensors.h"
#include "model/pickle/state_dictionary.h"
#include "model/weights.h"
#include "trainer/checkpoint_header.h"
#include "trainer/checkpoint_state.h"

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

// Weights of Python end in .pth, those of Lightning in .ckpt as ours do.
void refuse_weights_of_python(const std::filesystem::path& path, Links links) {
  const InputFile file(path, links);
  std::string beginning(static_cast<std::size_t>(std::min<std::int64_t>(16, file.identity().size)), '\0');
  file.read_at(0, beginning.size(), beginning.data());
  if (is_of_torch_save(beginning))
    fail(ErrorKind::checkpoint, path.string(),
         ": weights that Python's torch.save wrote, not a checkpoint of isnet: give the file to --weights");
}

// The metadata of one file, verified as far as that goes without tensors' bytes; every complaint names the
// file.
class Verified {
 public:
  Verified(std::filesystem::path path, const Metadata& metadata,
           const std::map<std::string, safetensors::TensorView>& tensors)
      : path_(std::move(path)), metadata_(metadata) {
    const auto found = metadata_.find("format");
    if (found == metadata_.end() || found->second != format_name)
      fail(ErrorKind::checkpoint, path_.string(),
           ": not a checkpoint of isnet (a weights file goes to --weights; a damaged one is of no use)");
    if (checksum_of(metadata_, tensors) != entry("checksum"))
      refuse("its header (the state, or a tensor's description) does not match its checksum");
    if (entry("version") != cat(format_version))
      throw OtherFormat(cat(path_.string(), ": checkpoint format ", entry("version"),
                            ", this program reads format ", format_version,
                            " (use the isnet that wrote it, or a newer one)"));
  }

  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::checkpoint, path_.string(), ": ", parts...,
         " (the file was damaged after it was written: use an older checkpoint)");
  }
  const std::string& entry(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) refuse("its header has no '", key, "'");
    return found->second;
  }
  nlohmann::json json(const std::string& key) const {
    return parse_json(entry(key), {cat(path_.string(), ": its '", key, "'"), ErrorKind::checkpoint, ""});
  }

 private:
  std::filesystem::path path_;
  const Metadata& metadata_;
};

std::map<std::string, at::Tensor> verified_tensors(const safetensors::File& file, const Verified& verified) {
  const auto sums = verified.json("tensor_checksums");
  std::map<std::string, at::Tensor> result;
  for (const auto& [name, view] : file.tensors()) {
    if (!sums.contains(name) || sums[name] != sha256(view.bytes))
      verified.refuse("tensor '", name, "': its bytes do not match its checksum");
    try {
      result[name] = tensor_of(view);
    } catch (const std::exception& e) {  // the library's too: a shape that it cannot count
      if (is_out_of_memory(e)) throw;    // says nothing about the file
      verified.refuse("tensor '", name, "': ", first_line(e.what()));
    }
  }
  if (sums.size() != result.size()) verified.refuse("tensors are missing");
  return result;
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

StoredCheckpoint load_checkpoint(const std::filesystem::path& path, Links links) {
  refuse_weights_of_python(path, links);
  const safetensors::File file(path, links);
  const Verified verified(path, file.metadata(), file.tensors());
  StoredCheckpoint checkpoint;
  checkpoint.source = path.string();
  checkpoint.state = verified.json("state");
  check_checkpoint_state(checkpoint.state, checkpoint.source);
  checkpoint.tensors = verified_tensors(file, verified);
  checkpoint.environment = {verified.entry("isnet"), verified.entry("torch"), verified.entry("cpu"),
                            std::atoi(verified.entry("threads").c_str())};
  return checkpoint;
}

CheckpointPosition position_of(const Checkpoint& checkpoint) {
  const auto loop = checkpoint.state.value("loop", nlohmann::json::object());
  const auto number = [&](const char* name) {
    const auto found = loop.find(name);
    return found != loop.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
  };
  return {number("global_step"), number("epoch"), number("batch")};
}

nlohmann::json stored_state(const std::filesystem::path& path, Links links) {
  const safetensors::Description header = safetensors::File::describe(path, links);
  nlohmann::json state = Verified(path, header.metadata, header.tensors).json("state");
  check_checkpoint_state(state, path.string());
  return state;
}

CheckpointPosition stored_position(const std::filesystem::path& path, Links links) {
  Checkpoint checkpoint;
  checkpoint.state = stored_state(path, links);
  return position_of(checkpoint);
}

std::string text_of(const CheckpointPosition& position) {
  return cat("epoch ", position.epoch, ", batch ", position.batch, ", step ", position.global_step);
}

}  // namespace isnet
