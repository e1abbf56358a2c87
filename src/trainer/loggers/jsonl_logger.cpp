#include "trainer/loggers/jsonl_logger.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {

void JsonlLogger::write(const LogEntry& entry) {
  nlohmann::ordered_json line{{"epoch", entry.epoch}, {"step", entry.step}, {"split", entry.split}};
  for (const auto& [name, value] : entry.metrics) line[name] = value;
  file_.append(line.dump() + "\n");
}

void JsonlLogger::on_load_checkpoint(const Trainer& trainer, const Checkpoint&) {
  if (!trainer.communicator().is_main() || !std::filesystem::exists(file_.path())) return;
  const auto& position = trainer.position();
  std::istringstream lines(read_file(file_.path()));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object()) continue;  // cut off when the run was killed
    const std::int64_t epoch = entry.value("epoch", std::int64_t{0}),
                       step = entry.value("step", std::int64_t{0});
    if (step <= position.global_step && (epoch < position.epoch || entry.value("split", "") != "train"))
      kept += line + "\n";
  }
  try {
    write_file_atomically(file_.path(), kept);
  } catch (const Error& e) {
    log::warning(e.what());
  }
}

namespace {

const Registration<CallbackFactory> registration(
    loggers(), {"jsonl",
                "metrics.jsonl: an object for each logged step, epoch and validation",
                {},
                [](const CallbackContext& context) {
                  return std::make_shared<JsonlLogger>(context.folder.path() / "metrics.jsonl");
                }});

}  // namespace
}  // namespace isnet
