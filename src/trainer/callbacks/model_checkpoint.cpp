#include "trainer/callbacks/model_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

std::string name_of(const Trainer& trainer, double value) {
  const auto& position = trainer.position();
  const bool within = position.batch > 0;  // else the position is that of the next epoch
  char text[160];
  std::snprintf(
      text, sizeof text, within ? "epoch=%03lld-step=%06lld-%s=%.4f.ckpt" : "epoch=%03lld%.0lld-%s=%.4f.ckpt",
      static_cast<long long>(within ? position.epoch : position.epoch - 1),
      static_cast<long long>(within ? position.global_step : 0), trainer.options().monitor.c_str(), value);
  return text;
}

// Whether a checkpoint's name says that it is of something that a run at this position has not done yet.
bool is_later(const std::string& name, const LoopPosition& position) {
  long long epoch = 0, step = 0;
  if (std::sscanf(name.c_str(), "epoch=%lld-step=%lld-", &epoch, &step) == 2)
    return step > position.global_step;
  return std::sscanf(name.c_str(), "epoch=%lld-", &epoch) == 1 && epoch >= position.epoch;
}

}  // namespace

// Collective: the main rank writes, all learn whether it could.
bool ModelCheckpoint::save(const std::filesystem::path& path, const Trainer& trainer) {
  const Checkpoint checkpoint = trainer.checkpoint();
  bool written = true;
  if (trainer.communicator().is_main()) {
    try {
      save_checkpoint(path, checkpoint);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::runtime) throw;
      log::warning(cat("the checkpoint was not written; the one before it stays: ", e.what()));
      written = false;
    }
  }
  return trainer.communicator().all(written);
}

void ModelCheckpoint::on_train_batch_end(Trainer& trainer, const StepRecord& record) {
  last_is_current_ = false;
  const auto every = trainer.options().checkpoint_every_n_steps;
  if (every == 0 || !record.optimizer_stepped) return;
  if (trainer.position().global_step % every == 0)
    last_is_current_ = save(folder_.last_checkpoint(), trainer);
}

void ModelCheckpoint::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  Monitoring::on_train_epoch_end(trainer, metrics);
  if (trainer.position().epoch % trainer.options().checkpoint_every_n_epochs == 0)
    last_is_current_ = save(folder_.last_checkpoint(), trainer);
}

// The new one is written before an old one is removed.
void ModelCheckpoint::decide(Trainer& trainer, double value) {
  const auto& options = trainer.options();
  if (!std::isfinite(value)) return;
  if (trainer.position().batch == 0 && trainer.position().epoch % options.checkpoint_every_n_epochs != 0)
    return;
  const auto keep =
      options.save_top_k < 0 ? ranked_.size() + 1 : static_cast<std::size_t>(options.save_top_k);
  const auto place = std::find_if(ranked_.begin(), ranked_.end(), [&](const Ranked& one) {
    return options.larger_is_better ? value > one.value : value < one.value;
  });
  if (static_cast<std::size_t>(place - ranked_.begin()) >= keep) return;
  const auto file = folder_.checkpoints() / name_of(trainer, value);
  const auto inserted = ranked_.insert(place, {file, value});
  if (!save(file, trainer)) {
    ranked_.erase(inserted);
    return;
  }
  while (ranked_.size() > keep) {
    std::error_code ignored;  // a checkpoint too many is no harm
    if (trainer.communicator().is_main()) std::filesystem::remove(ranked_.back().file, ignored);
    ranked_.pop_back();
  }
}

void ModelCheckpoint::save_last_or_fail(Trainer& trainer) {
  if (last_is_current_) return;
  if (!save(folder_.last_checkpoint(), trainer))
    fail(ErrorKind::runtime, folder_.last_checkpoint().string(),
         ": the last checkpoint could not be written (see above); the one before it is intact");
  last_is_current_ = true;
}

void ModelCheckpoint::on_train_end(Trainer& trainer) {
  save_last_or_fail(trainer);
}
void ModelCheckpoint::on_interrupted(Trainer& trainer) {
  save_last_or_fail(trainer);
}

void ModelCheckpoint::on_save_checkpoint(const Trainer&, Checkpoint& checkpoint) {
  checkpoint.state.update(state_);
  auto& best = checkpoint.state["callbacks"]["model_checkpoint"] = nlohmann::json::array();
  for (const auto& one : ranked_)
    best.push_back({{"file", one.file.filename().string()}, {"value", one.value}});
}

void ModelCheckpoint::on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) {
  last_is_current_ = true;
  const auto callbacks = checkpoint.state.value("callbacks", nlohmann::json::object());
  for (const auto& one : callbacks.value("model_checkpoint", nlohmann::json::array())) {
    const auto file = folder_.checkpoints() / one.at("file").get<std::string>();
    if (std::filesystem::exists(file)) ranked_.push_back({file, one.at("value").get<double>()});
  }
  trainer.communicator().barrier();  // every rank has looked before anything is removed
  if (!trainer.communicator().is_main()) return;
  // Checkpoints of what comes after this one belong to what is trained again.
  for (const auto& entry : std::filesystem::directory_iterator(folder_.checkpoints())) {
    if (is_later(entry.path().filename().string(), trainer.position()) &&
        entry.path().extension() == ".ckpt") {
      std::error_code ignored;
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

std::filesystem::path ModelCheckpoint::best() const {
  return ranked_.empty() ? folder_.last_checkpoint() : ranked_.front().file;
}

}  // namespace isnet
