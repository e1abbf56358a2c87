#include "run/graph_options.h"

#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "model/onnx/graph_network.h"

namespace isnet {
namespace {

bool is_there(const std::string& file) {
  std::error_code ignored;
  return std::filesystem::exists(file, ignored);
}

}  // namespace

void settle_graph(OptionValues& options) {
  if (!options.known("model")) return;
  if (options.text("network") != "onnx") {
    for (const char* name : {"model", "graph"})
      if (options.has(name))
        fail(ErrorKind::usage, "--", name, ": is not allowed with --network ", options.text("network"),
             "; allowed: with onnx");
    return;
  }
  const std::string& file = options.text("model");
  if (file.empty() || (options.has("graph") && !is_there(file))) return;
  const OnnxModel model = read_onnx_model(file);
  if (options.has("graph") && options.text("graph") != model.graph)
    fail(ErrorKind::usage, "--model: ", file,
         " is not the network that --graph says: the file has changed, or it is another one; leave one of them out");
  options.set("graph", model.graph);
  if (!model.normalization) return;
  const std::string own = to_text(*model.normalization);
  if (options.given("normalize") && to_text(parse_normalization(options.text("normalize"))) != own)
    fail(ErrorKind::usage, "--normalize: '", options.text("normalize"), "' is not allowed with ", file,
         ", which normalises its input itself (", own, "); leave the option out");
  options.set("normalize", own);
}

bool begins_with_model(const OptionValues& options) {
  if (options.text("network") != "onnx" || !options.has("model")) return false;
  const std::string& file = options.text("model");
  if (is_there(file)) return true;
  if (!options.has("resume")) fail(ErrorKind::usage, "--model: there is no file '", file, "'");
  return false;
}

}  // namespace isnet
