// A plug-in that looks into the loop and disturbs it: an objective that writes down the samples of each pass
// and can spoil a loss or a gradient by a sample, and a callback that sends the process a signal after a
// given pass.
#include <ATen/ATen.h>
#include <torch/nn/module.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "base/plugin.h"
#include "model/objectives/objective.h"
#include "trainer/trainer.h"

ISNET_PLUGIN()

namespace {

using namespace isnet;

std::string rank_text() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank ? rank : "0";
}

// Of the pass that is under way.
std::vector<std::int64_t>& samples_of_pass() {
  static std::vector<std::int64_t> samples;
  return samples;
}

class ProbedClassifier : public Objective {
 public:
  explicit ProbedClassifier(const OptionValues& options)
      : classifier_(objectives().at("classifier").make(options)),
        loss_of_(options.integer("probe-loss-of")),
        gradient_of_(options.integer("probe-gradient-of")) {}

  Losses compute(Network& network, const Batch& batch) override {
    Losses losses = classifier_->compute(network, batch);
    if (!network.is_training()) return losses;
    bool spoils_loss = false, spoils_gradient = false;
    for (std::int64_t i = 0; i < batch.ids.numel(); ++i) {
      const auto id = batch.ids[i].item<std::int64_t>();
      samples_of_pass().push_back(id);
      spoils_loss = spoils_loss || id == loss_of_;
      spoils_gradient = spoils_gradient || id == gradient_of_;
    }
    if (spoils_loss) losses.total = losses.total * std::numeric_limits<double>::quiet_NaN();
    // 0 with a derivative that is no number.
    if (spoils_gradient) losses.total = losses.total + (network.parameters().front().sum() * 0).sqrt();
    return losses;
  }
  std::vector<double> class_weights() const override { return classifier_->class_weights(); }

 private:
  std::unique_ptr<Objective> classifier_;
  std::int64_t loss_of_, gradient_of_;
};

// --probe-file FILE: a line for each pass, its epoch and its samples, in a file for each rank. --probe-signal
// EPOCH:PASS: SIGUSR1 to the main rank, after so many passes of the epoch; --probe-interrupt: two SIGINT to
// all.
class Probe : public Callback {
 public:
  explicit Probe(const OptionValues& options)
      : signal_at_(options.text("probe-signal")), interrupt_at_(options.text("probe-interrupt")) {
    if (options.has("probe-file")) file_.open(options.text("probe-file") + "." + rank_text(), std::ios::app);
  }
  void on_train_epoch_start(Trainer&) override { passes_ = 0; }
  void on_train_batch_end(Trainer& trainer, const StepRecord&) override {
    file_ << trainer.position().epoch;
    for (const auto id : samples_of_pass()) file_ << ' ' << id;
    file_ << std::endl;
    samples_of_pass().clear();
    ++passes_;
    const std::string here = std::to_string(trainer.position().epoch) + ":" + std::to_string(passes_);
    if (trainer.communicator().is_main() && here == signal_at_) std::raise(SIGUSR1);
    if (here == interrupt_at_)
      for (int i = 0; i < 2; ++i) std::raise(SIGINT);
  }

 private:
  std::string signal_at_, interrupt_at_;
  std::ofstream file_;
  std::int64_t passes_ = 0;
};

const Registration<ObjectiveFactory> objective(
    objectives(), {"probed-classifier",
                   "for tests",
                   {integer_option("probe-loss-of", "-1", "sample that makes a loss NaN", -1),
                    integer_option("probe-gradient-of", "-1", "sample that makes a gradient NaN", -1)},
                   [](const OptionValues& options) { return std::make_unique<ProbedClassifier>(options); }});

const Registration<CallbackFactory> callback(
    callbacks(), {"probe",
                  "for tests",
                  {text_option("probe-file", "", "FILE", "where to write the samples of each pass"),
                   text_option("probe-signal", "", "EPOCH:PASS", "after which to send SIGUSR1"),
                   text_option("probe-interrupt", "", "EPOCH:PASS", "after which to send SIGINT, twice")},
                  [](const CallbackContext& context) { return std::make_shared<Probe>(context.options); }});

}  // namespace
