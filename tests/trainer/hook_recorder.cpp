// A plug-in with a callback that writes down which hooks are called, and a logger.
#include <fstream>

#include "base/plugin.h"
#include "trainer/loggers/metric_logger.h"
#include "trainer/trainer.h"

ISNET_PLUGIN()

namespace {

using isnet::CallbackContext;
using isnet::Checkpoint;
using isnet::Metrics;
using isnet::StepRecord;
using isnet::Trainer;

class HookRecorder : public isnet::Callback {
 public:
  explicit HookRecorder(const std::string& file) : file_(file, std::ios::app) {}
  void on_fit_start(Trainer&) override { note("on_fit_start"); }
  void on_sanity_check_start(Trainer&) override { note("on_sanity_check_start"); }
  void on_sanity_check_end(Trainer&) override { note("on_sanity_check_end"); }
  void on_train_start(Trainer&) override { note("on_train_start"); }
  void on_train_epoch_start(Trainer&) override { note("on_train_epoch_start"); }
  void on_train_batch_start(Trainer&) override { note("on_train_batch_start"); }
  void on_before_backward(Trainer&, const at::Tensor&) override { note("on_before_backward"); }
  void on_after_backward(Trainer&) override { note("on_after_backward"); }
  void on_before_optimizer_step(Trainer&) override { note("on_before_optimizer_step"); }
  void on_train_batch_end(Trainer&, const StepRecord&) override { note("on_train_batch_end"); }
  void on_validation_model_eval(Trainer&) override { note("on_validation_model_eval"); }
  void on_validation_start(Trainer&) override { note("on_validation_start"); }
  void on_validation_end(Trainer&, const Metrics&) override { note("on_validation_end"); }
  void on_validation_model_train(Trainer&) override { note("on_validation_model_train"); }
  void on_train_epoch_end(Trainer&, const Metrics&) override { note("on_train_epoch_end"); }
  void on_train_end(Trainer&) override { note("on_train_end"); }
  void on_fit_end(Trainer&) override { note("on_fit_end"); }
  void on_exception(Trainer&, const std::exception& e) override {
    note("on_exception " + std::string(e.what()));
  }
  void on_save_checkpoint(const Trainer&, Checkpoint& checkpoint) override {
    checkpoint.state["callbacks"]["hook_recorder"] = ++saved_;
  }
  void on_load_checkpoint(const Trainer&, const Checkpoint& checkpoint) override {
    saved_ = checkpoint.state.at("callbacks").at("hook_recorder");
    note("on_load_checkpoint " + std::to_string(saved_));
  }

 private:
  void note(const std::string& hook) { file_ << hook << std::endl; }
  std::ofstream file_;
  int saved_ = 0;
};

class LineLogger : public isnet::MetricLogger {
 public:
  explicit LineLogger(const std::filesystem::path& file) : file_(file) {}

 protected:
  void write(const isnet::LogEntry& entry) override {
    file_.append(entry.split + " " + std::to_string(entry.step) + "\n");
  }

 private:
  isnet::GrowingFile file_;
};

const isnet::Registration<isnet::CallbackFactory> callback(
    isnet::callbacks(), {"hook-recorder",
                         "for tests",
                         {isnet::text_option("hooks-file", "", "FILE", "where it writes")},
                         [](const CallbackContext& context) -> std::shared_ptr<isnet::Callback> {
                           if (!context.options.has("hooks-file")) return nullptr;
                           return std::make_shared<HookRecorder>(context.options.text("hooks-file"));
                         }});

const isnet::Registration<isnet::CallbackFactory> logger(
    isnet::loggers(), {"lines", "for tests", {}, [](const CallbackContext& context) {
                         return std::make_shared<LineLogger>(context.folder.path() / "lines.txt");
                       }});

}  // namespace
