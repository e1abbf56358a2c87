#include "run/inputs.h"

#include "base/error.h"
#include "data/data_set.h"

namespace isnet {

InputFiles::InputFiles(const OptionValues& options) {
  for (const char* name : {"checkpoint", "weights", "model", "unet-weights", "config", "data", "predictions",
                           "validation-predictions", "attributes"})
    if (options.known(name) && options.has(name)) add(cat("--", name), options.text(name));
  if (options.known("plugin") && options.has("plugin"))
    for (const auto& file : options.list("plugin")) add("--plugin", file);
}

void InputFiles::add(const std::string& name, const std::filesystem::path& input) {
  files_.push_back({name, input});
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(input / "dataset.json", ignored)) return;
  files_.push_back({name, input / "dataset.json"});
  for (const auto& [split, shards] : read_description(input).splits)
    for (const auto& shard : shards) files_.push_back({name, input / shard.file});
}

void InputFiles::refuse(const std::string& option, const std::filesystem::path& output) const {
  std::error_code ignored;
  for (const auto& input : files_)
    if (std::filesystem::equivalent(input.file, output, ignored))
      fail(ErrorKind::usage, "--", option, ": '", output.string(), "' is an input: ", input.name, " reads '",
           input.file.string(), "'; allowed: another file");
}

}  // namespace isnet
