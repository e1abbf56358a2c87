// A plug-in that makes one rank fail: --trouble KIND:RANK:BATCH, at the beginning of that batch (counted from
// 0 over the whole run).
//   kill, stop       by a signal
//   kill-at-end      by a signal, at the end of the epoch that ends there, before rows of it are written
//   kill-validating  by a signal, at the beginning of the validation there
//   leave            the process ends, with status 0, without a word
//   loop, wait       an endless loop; reading from a pipe that nobody writes, as from a dead file system
//   backward-loop    an endless loop in the backward pass
//   error            an error of its own (status 3)
//   errors           the same error on all ranks
// --hold-at STEP:SECONDS:FILE makes a training last until a test is done with it: while there is no such file
// each batch takes so many seconds longer, and that step waits, until the file is there or the run is asked
// to stop.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/plugin.h"
#include "trainer/signals.h"
#include "trainer/trainer.h"

ISNET_PLUGIN()

namespace {

using isnet::Trainer;

void loop_for_ever() {
  for (std::atomic<bool> ever{true}; ever;) {
  }
}

class Troublemaker : public isnet::Callback {
 public:
  explicit Troublemaker(const std::string& told) {
    std::istringstream parts(told);
    std::getline(parts, kind_, ':');
    char colon = 0;
    parts >> rank_ >> colon >> batch_;
  }

  void on_train_batch_start(Trainer& trainer) override {
    due_ = batches_++ == batch_ && (trainer.communicator().rank() == rank_ || kind_ == "errors");
    if (!due_) return;
    if (kind_ == "kill") ::raise(SIGKILL);
    if (kind_ == "stop") ::raise(SIGSTOP);
    if (kind_ == "leave") std::_Exit(0);
    if (kind_ == "loop") loop_for_ever();
    if (kind_ == "wait") wait_for_nobody();
    if (kind_ == "error" || kind_ == "errors")
      isnet::fail(isnet::ErrorKind::data, "shard-00000.h5 is cut in half");
  }
  void on_validation_start(Trainer& trainer) override { kill_at(trainer, "kill-validating"); }
  void on_train_epoch_end(Trainer& trainer, const isnet::Metrics&) override {
    kill_at(trainer, "kill-at-end");
  }
  void on_before_backward(Trainer&, const at::Tensor& loss) override {
    if (due_ && kind_ == "backward-loop")
      loss.register_hook([](const at::Tensor& gradient) {
        loop_for_ever();
        return gradient;
      });
  }

 private:
  void kill_at(const Trainer& trainer, const char* kind) const {
    if (kind_ == kind && batches_ == batch_ && trainer.communicator().rank() == rank_) ::raise(SIGKILL);
  }
  static void wait_for_nobody() {
    int ends[2];
    char byte = 0;
    if (::pipe(ends) == 0) [[maybe_unused]]
      const auto n = ::read(ends[0], &byte, 1);
  }

  std::string kind_;
  int rank_ = 0;
  std::int64_t batch_ = 0, batches_ = 0;
  bool due_ = false;
};

class Gate : public isnet::Callback {
 public:
  explicit Gate(const std::string& told) {
    std::istringstream parts(told);
    char colon = 0;
    parts >> step_ >> colon >> seconds_ >> colon >> file_;
  }
  void on_train_batch_start(Trainer& trainer) override {
    if (closed()) pause(seconds_);
    while (closed() && trainer.position().global_step >= step_) pause(0.05);
  }

 private:
  bool closed() const { return !std::filesystem::exists(file_) && isnet::StopSignals::received() == 0; }
  static void pause(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

  std::int64_t step_ = 0;
  double seconds_ = 0;
  std::string file_;
};

const isnet::Registration<isnet::CallbackFactory> gate(
    isnet::callbacks(),
    {"gate",
     "for tests",
     {isnet::text_option("hold-at", "", "STEP:SECONDS:FILE", "a step that waits for a file")},
     [](const isnet::CallbackContext& context) -> std::shared_ptr<isnet::Callback> {
       if (!context.options.has("hold-at")) return nullptr;
       return std::make_shared<Gate>(context.options.text("hold-at"));
     }});

const isnet::Registration<isnet::CallbackFactory> callback(
    isnet::callbacks(), {"troublemaker",
                         "for tests",
                         {isnet::text_option("trouble", "", "KIND:RANK:BATCH", "what goes wrong")},
                         [](const isnet::CallbackContext& context) -> std::shared_ptr<isnet::Callback> {
                           if (!context.options.has("trouble")) return nullptr;
                           return std::make_shared<Troublemaker>(context.options.text("trouble"));
                         }});

}  // namespace
