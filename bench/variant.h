// What the processes of `isnet bench step`, `systems` and `ddp` run, and how they answer (child.h,
// rounds.h).
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/options.h"
#include "distributed/distributed_data_parallel.h"
#include "model/batch.h"
#include "model/network.h"
#include "model/objectives/objective.h"
#include "trainer/checkpoint.h"
#include "trainer/optimizers/optimizer.h"

namespace isnet::bench {

/// Answers requests on stdin until it ends: --variant. Failures are answers too. Returns the exit status.
int serve_variant(OptionValues& options);
/// Those of `isnet bench ddp`: ddp and independent, on all ranks that a launcher started; fit and bare.
int serve_ranks(OptionValues& options);
int serve_fit(OptionValues& options);

/// Something to be timed.
class Variant {
 public:
  virtual ~Variant() = default;
  virtual void prepare() {}  ///< before each step, not timed
  virtual void step() = 0;
};

/// What the trainer does with a batch, but for data, metrics and callbacks.
class TrainingStep : public Variant {
 public:
  TrainingStep(const OptionValues& options, std::shared_ptr<Network> network, Batch batch,
               const Communicator& communicator = Communicator());
  /// The same weights in each step: gradients through the relevance of random weights can be so large that
  /// these would not stay finite.
  void prepare() override;
  void step() override;
  /// Parameters, buffers and the optimiser's state; not copies.
  Checkpoint checkpoint() const;

 private:
  std::shared_ptr<Network> network_;
  Batch batch_;
  std::unique_ptr<Objective> objective_;
  DistributedDataParallel parallel_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<at::Tensor> initial_;
  double learning_rate_;
};

/// Threads, classes, objective ("isnet" for the variant of that name, for "system" as the options say, else
/// "classifier") and seed.
void settle_variant(OptionValues& options);
/// Random images, one square mask, labels in turn: --batch-size, --image-size, --num-classes.
Batch make_batch(const OptionValues& options);
std::shared_ptr<Network> network_of(const OptionValues& options);

/// Logits of one image under weights that are a function of the parameters' sorted names: Python's network
/// has to have the same.
std::vector<double> fingerprint(const OptionValues& options, const Batch& batch);

/// A line of JSON on stdout.
void say(const nlohmann::json& answer);
/// Runs it; what it throws becomes an answer and an exit status.
int answering(const std::function<void()>& serve);

double cpu_seconds();       ///< of this process
std::int64_t peak_bytes();  ///< its largest resident set so far

}  // namespace isnet::bench
