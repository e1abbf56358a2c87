#include "trainer/callbacks/model_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "base/activity.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/printable.h"
#include "trainer/checkpoint_folder.h"
#include "trainer/checkpoint_state.h"
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

// One that stays is no harm.
void remove_checkpoint(const std::filesystem::path& file) {
  try {
    remove_file(file);
  } catch (const Error& e) {
    log::warning(cat("an old checkpoint could not be removed: ", e.what()));
  }
}

}  // namespace

void ModelCheckpoint::on_fit_start(Trainer& trainer) {
  writing_.background = trainer.options().checkpoint_background;
  if (trainer.communicator().is_main()) writer_ = std::make_unique<CheckpointWriter>(writing_);
}

// Collective.
void ModelCheckpoint::save(const std::filesystem::path& path, const Trainer& trainer,
                           Persistence persistence) {
  const activity::Stage stage("a checkpoint");
  const Checkpoint checkpoint = trainer.checkpoint();
  if (writer_) writer_->save(path, checkpoint, persistence);
}

void ModelCheckpoint::save_last(const Trainer& trainer) {
  save(folder_.last_checkpoint(), trainer);
  last_is_current_ = true;
}

void ModelCheckpoint::learn(const Trainer& trainer, const std::vector<CheckpointWriter::Outcome>& outcomes) {
  for (const auto& outcome : outcomes) {
    if (outcome.path == folder_.last_checkpoint()) {
      last_is_written_ = outcome.written;
    } else if (pending_ && pending_->file == outcome.path) {
      const Ranked one = *pending_;
      pending_.reset();
      if (outcome.written)
        rank(trainer, one);
      else
        note_unwritten(trainer, one);
    } else if (missing_ && missing_->file == outcome.path && outcome.written) {
      rank(trainer, *std::exchange(missing_, std::nullopt));
    }
  }
}

// The best one that is not there is remembered until there is a better one.
void ModelCheckpoint::note_unwritten(const Trainer& trainer, const Ranked& one) {
  if (place_of(trainer, one.value) != ranked_.begin()) return;
  if (!missing_ || is_better(trainer, one.value, missing_->value)) missing_ = one;
}

// The new one is written before an old one is removed.
void ModelCheckpoint::rank(const Trainer& trainer, const Ranked& one) {
  ranked_.insert(place_of(trainer, one.value), one);
  const std::int64_t keep = trainer.options().save_top_k;
  while (keep >= 0 && std::ssize(ranked_) > keep) {
    remove_checkpoint(ranked_.back().file);
    ranked_.pop_back();
  }
}

bool ModelCheckpoint::is_better(const Trainer& trainer, double value, double other) {
  return trainer.options().larger_is_better ? value > other : value < other;
}

std::vector<ModelCheckpoint::Ranked>::iterator ModelCheckpoint::place_of(const Trainer& trainer,
                                                                         double value) {
  return std::find_if(ranked_.begin(), ranked_.end(),
                      [&](const Ranked& one) { return is_better(trainer, value, one.value); });
}

// Counts the one that may still be written.
bool ModelCheckpoint::is_wanted(const Trainer& trainer, double value) {
  const std::int64_t keep = trainer.options().save_top_k;
  std::int64_t better = place_of(trainer, value) - ranked_.begin();
  if (writer_->kept() && missing_ && !is_better(trainer, value, missing_->value)) ++better;
  return keep < 0 || better < keep;
}

void ModelCheckpoint::on_train_batch_end(Trainer& trainer, const StepRecord& record) {
  last_is_current_ = false;
  if (writer_) learn(trainer, writer_->outcomes());
  const auto every = trainer.options().checkpoint_every_n_steps;
  if (every == 0 || !record.optimizer_stepped) return;
  if (trainer.position().global_step % every == 0) save_last(trainer);
}

// A checkpoint of the next epoch's beginning says that this one's end is behind it: loggers have written
// their rows of it by then.
void ModelCheckpoint::on_validated(Trainer& trainer, const Metrics& metrics) {
  if (trainer.position().batch > 0) return Monitoring::on_validated(trainer, metrics);
  validated_ = metrics;
}

void ModelCheckpoint::on_train_epoch_end(Trainer& trainer, const Metrics& metrics) {
  if (const auto validated = std::exchange(validated_, std::nullopt))
    Monitoring::on_validated(trainer, *validated);
  Monitoring::on_train_epoch_end(trainer, metrics);
  last_is_current_ = false;  // the position is that of the next epoch
  if (trainer.position().epoch % trainer.options().checkpoint_every_n_epochs == 0) save_last(trainer);
}

void ModelCheckpoint::decide(Trainer& trainer, double value) {
  const auto& options = trainer.options();
  if (!std::isfinite(value)) return;
  if (trainer.position().batch == 0 && trainer.position().epoch % options.checkpoint_every_n_epochs != 0)
    return;
  bool wanted = false;
  if (writer_) {
    learn(trainer, pending_ ? writer_->wait() : writer_->outcomes());
    wanted = is_wanted(trainer, value);
  }
  if (!trainer.communicator().any(wanted)) return;
  const auto file = folder_.checkpoints() / name_of(trainer, value);
  if (writer_) {
    pending_ = {file, value};
    if (missing_ && is_better(trainer, value, missing_->value)) {
      writer_->forget_kept();
      missing_.reset();
    }
  }
  save(file, trainer, Persistence::until_written);
}

// Collective.
void ModelCheckpoint::save_last_or_fail(Trainer& trainer) {
  const activity::Stage stage("the last checkpoint");
  if (writer_) learn(trainer, writer_->wait());
  if (!trainer.communicator().all(last_is_current_ && last_is_written_)) {
    const Checkpoint checkpoint = trainer.checkpoint();
    last_is_current_ = true;
    if (writer_) writer_->save_now(folder_.last_checkpoint(), checkpoint);
    if (writer_) learn(trainer, writer_->outcomes());
  }
  if (!trainer.communicator().all(last_is_written_))
    fail(ErrorKind::runtime, folder_.last_checkpoint().string(),
         ": the last checkpoint could not be written (see above); the previous one is intact");
}

void ModelCheckpoint::on_train_end(Trainer& trainer) {
  save_last_or_fail(trainer);
  if (!writer_) return;
  writer_->write_kept();
  learn(trainer, writer_->outcomes());
}
void ModelCheckpoint::on_interrupted(Trainer& trainer) {
  save_last_or_fail(trainer);
}

// Of the files that it names one may not have been written: whoever reads it looks for them. One that its
// better removes as soon as that is written is among them.
void ModelCheckpoint::on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) {
  checkpoint.state.update(state_);
  std::vector<Ranked> all = ranked_;
  for (const auto& one : {pending_, missing_})
    if (one)
      all.insert(
          std::find_if(all.begin(), all.end(),
                       [&](const Ranked& other) { return is_better(trainer, one->value, other.value); }),
          *one);
  auto& best = checkpoint.state["callbacks"]["model_checkpoint"] = nlohmann::json::array();
  for (const auto& one : all) best.push_back({{"file", one.file.filename().string()}, {"value", one.value}});
}

void ModelCheckpoint::on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) {
  if (!trainer.communicator().is_main()) return;
  const bool in_place =
      !checkpoints_in(folder_.checkpoints()).empty();  // else its files are in another folder
  const auto callbacks = checkpoint.state.value("callbacks", nlohmann::json::object());
  for (const auto& one : callbacks.value("model_checkpoint", nlohmann::json::array())) {
    const auto name = one.at("file").get<std::string>();
    if (!is_checkpoint_name(name))
      fail(ErrorKind::checkpoint, "callbacks.model_checkpoint names ", quoted_name(name),
           ", which is not a checkpoint of this folder");
    const auto file = folder_.checkpoints() / name;
    require_own_file(file);
    const Ranked ranked{file, one.at("value").get<double>()};
    if (std::filesystem::exists(file))
      ranked_.push_back(ranked);
    else if (in_place && ranked_.empty() && !missing_)
      missing_ = ranked;  // others that are not there were given up for a better one
  }
  if (missing_)
    log::warning(cat("the best checkpoint so far, ", missing_->file.filename().string(), " (",
                     trainer.options().monitor, " ", missing_->value, "), is not there"));
  set_aside_later(folder_.checkpoints(), position_of(checkpoint));
}

void ModelCheckpoint::on_run_end(Trainer& trainer) {
  if (!trainer.communicator().is_main() || !missing_) return;
  fail(ErrorKind::runtime, missing_->file.string(), ": the checkpoint of the best ",
       trainer.options().monitor, " (", missing_->value,
       ") could not be written or is gone; the best remaining one is ", best().filename().string(),
       ranked_.empty() ? "" : cat(" (", ranked_.front().value, ")"), ", from which the weights were exported");
}

std::optional<double> ModelCheckpoint::best_value() const {
  return ranked_.empty() ? std::nullopt : std::optional(ranked_.front().value);
}

std::filesystem::path ModelCheckpoint::best() const {
  return ranked_.empty() ? folder_.last_checkpoint() : ranked_.front().file;
}

}  // namespace isnet
