#include "run/weights_export.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/log.h"
#include "model/weights.h"
#include "run/model_options.h"
#include "run/stored_model.h"

namespace isnet {

void export_best(const ModelCheckpoint& checkpoints, const RunConfig& config, const DataSetDescription& data,
                 const RunFolder& folder, const RunLock& lock) {
  const auto best = checkpoints.best();
  const StoredCheckpoint checkpoint = load_checkpoint(best, Links::refuse);
  const NamedTensors tensors = model_tensors(checkpoint, config.options().flag("use-average"));
  const RunConfig trained = config.with(found_options(checkpoint));
  auto metadata = weights_metadata(trained.options(), data.class_names, task_name(data.task));
  const auto position = position_of(checkpoint);
  const auto epoch = position.batch > 0 ? position.epoch : position.epoch - 1;  // else it is that of the next
  metadata["isnet.epoch"] = cat(epoch);
  metadata["isnet.step"] = cat(position.global_step);
  std::string score;
  if (const auto value = checkpoints.best_value()) {
    const std::string& monitor = config.options().text("monitor");
    metadata["isnet.monitor"] = monitor;
    metadata["isnet.score"] = nlohmann::json(*value).dump();
    score = cat(", ", monitor, " ", metadata["isnet.score"]);
  }
  lock.check();
  safetensors::write(folder.weights(), views_of(tensors), metadata);
  log::info(cat("weights of ", best.filename().string(), " (epoch ", epoch, ", step ", position.global_step,
                score, ") written to ", folder.weights().string()));
}

}  // namespace isnet
