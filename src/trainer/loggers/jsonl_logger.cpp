#include "trainer/loggers/jsonl_logger.h"

#include <cmath>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

// Where a line belongs; nothing for one that was cut off when the run was killed, or is none of ours.
std::optional<LogEntry> place_of(const std::string& line) {
  const JsonSource source{"a line", ErrorKind::data, ""};
  try {
    const auto json = parse_json(line, source, {.bytes = 1'000'000, .values = 10'000});
    const JsonFields fields(source, json);
    return LogEntry{fields.integer("epoch", 0), fields.integer("step", 0), fields.text("split"), {}};
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

void JsonlLogger::write(const LogEntry& entry) {
  nlohmann::ordered_json line{{"epoch", entry.epoch}, {"step", entry.step}, {"split", entry.split}};
  for (const auto& [name, value] : entry.metrics) line[name] = value;
  file_.append(line.dump() + "\n");
}

void JsonlLogger::on_load_checkpoint(const Trainer& trainer, const Checkpoint&) {
  if (!trainer.communicator().is_main() || !std::filesystem::exists(file_.path())) return;
  const auto& position = trainer.position();
  std::istringstream lines(read_file(file_.path(), Links::refuse));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = place_of(line);
    if (entry && entry->step <= position.global_step &&
        (entry->epoch < position.epoch || entry->split != "train"))
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
