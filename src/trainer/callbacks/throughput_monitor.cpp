// Speed, for the loggers: Lightning's ThroughputMonitor, and the time of its Timer.
#include <chrono>

#include "trainer/trainer.h"

namespace isnet {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Every --log-every-n-steps: `samples_per_second` over all ranks since the time before, without validations;
// `seconds` since the training started.
class ThroughputMonitor : public Callback {
 public:
  void on_train_start(Trainer&) override { started_ = Clock::now(); }
  void on_train_epoch_start(Trainer&) override { begin(); }
  void on_validation_end(Trainer&, const Metrics&) override { begin(); }
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override {
    samples_ += static_cast<double>(trainer.shares().size * trainer.communicator().world_size());
    if (!record.optimizer_stepped ||
        trainer.position().global_step % trainer.options().log_every_n_steps != 0)
      return;
    if (const double elapsed = seconds_since(since_); elapsed > 0)
      trainer.log("samples_per_second", samples_ / elapsed);
    trainer.log("seconds", seconds_since(started_));
    begin();
  }

 private:
  void begin() {
    since_ = Clock::now();
    samples_ = 0;
  }
  Clock::time_point started_ = Clock::now(), since_ = started_;
  double samples_ = 0;
};

const Registration<CallbackFactory> registration(callbacks(), {"throughput-monitor",
                                                               "Speed and time, for loggers of steps",
                                                               {},
                                                               [](const CallbackContext&) {
                                                                 return std::make_shared<ThroughputMonitor>();
                                                               }});

}  // namespace
}  // namespace isnet
