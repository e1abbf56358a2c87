// The fit loop.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "distributed/distributed_data_parallel.h"
#include "distributed/group_across_ranks.h"
#include "model/objectives/objective.h"
#include "trainer/batch_sharing.h"
#include "trainer/callback.h"
#include "trainer/finite_guard.h"
#include "trainer/gradient_scaler.h"
#include "trainer/kept_tensors.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/options.h"
#include "trainer/schedules/schedule.h"
#include "trainer/validation.h"

namespace isnet {

/// The network, its objective and its data. Parameters and buffers are on the trainer's device and in its type already.
struct TrainingJob {
  std::shared_ptr<Network> network;
  std::shared_ptr<Objective> objective;
  std::shared_ptr<Optimizer> optimizer;
  std::shared_ptr<LearningRate> learning_rate;
  std::shared_ptr<const SplitReader> train;
  std::shared_ptr<const SplitReader> validation = nullptr;  ///< may be null
  std::string validation_name = "val";                      ///< of its metrics
  std::vector<ValidationSplit> further_validation = {};     ///< validated on too; none without `validation`
  std::optional<SplitScoring> scoring = {};                 ///< of all splits that are validated on
};

/// The position of a run. Counts from 0.
struct LoopPosition {
  std::int64_t epoch = 0;
  std::int64_t batch = 0;        ///< batches of this epoch that are done
  std::int64_t validated = 0;    ///< batches of this epoch that were done at its last validation
  std::int64_t global_step = 0;  ///< optimiser steps that are done
};

/// How a fit() ended that did not throw.
enum class FitOutcome {
  finished,    ///< --max-epochs, --max-steps, or a callback's stop()
  interrupted  ///< by a signal or --max-time; a checkpoint was asked for (Callback::on_interrupted)
};

/// Trains. One fit() for each object; collective: all ranks call it with the same job and options.
class Trainer {
 public:
  Trainer(TrainerOptions options, Communicator communicator,
          std::vector<std::shared_ptr<Callback>> callbacks);

  /// From the beginning, or from where `resume` was written, also by another number of ranks. Errors: data,
  /// checkpoint (one that does not fit), runtime (losses or gradients that are not finite: epoch, batch,
  /// ranks, samples; the last good state is saved), communication.
  FitOutcome fit(const TrainingJob& job, const Checkpoint* resume = nullptr);

  /// Refuses early what fit() would refuse late: too few samples for a batch, images that the network cannot
  /// take, operations that have no relevance rule, a checkpoint of other data or one whose batches this many
  /// ranks cannot share out. Errors: usage, data, checkpoint.
  void check(const TrainingJob& job, const Checkpoint* resume = nullptr);

  /// The run as it stands, for a checkpoint; buffers are this rank's. Between steps only. Collective.
  Checkpoint checkpoint() const;

  const TrainerOptions& options() const { return options_; }
  const Communicator& communicator() const { return communicator_; }
  const LoopPosition& position() const { return position_; }
  const TrainingJob& job() const { return *job_; }
  std::int64_t batches_per_epoch() const;
  std::int64_t steps_before(std::int64_t epoch) const;  ///< optimiser steps of the epochs before this one
  /// The run's batches, and the parts that they are cut into for the ranks there are.
  const RunBatches& batches() const { return run_batches_; }
  const BatchShares& shares() const { return shares_; }
  const Loader& train_loader() const { return *train_loader_; }
  /// Batches of an optimiser step in this epoch.
  std::int64_t accumulated_batches() const { return options_.accumulate_grad_batches.at(position_.epoch); }
  /// The steps of the whole run; the largest number where nothing limits it.
  std::int64_t total_steps() const { return total_steps_; }
  double current_learning_rate() const;
  /// A figure of a callback's for the loggers, until it is replaced ("throughput").
  void log(const std::string& name, double value) { logged_[name] = value; }
  const std::map<std::string, double>& logged() const { return logged_; }
  /// Shows an image to the loggers, now.
  void log_image(const LoggedImage& image) { call(&Callback::on_image, image); }
  /// The metrics of the last validation; empty before the first. Those of further splits are named as
  /// metric_of_split() says.
  const Metrics& validation_metrics() const { return validation_metrics_; }
  /// Ends training after this step, as if it were complete; not before --min-epochs and --min-steps are done.
  void stop() { should_stop_ = true; }

 private:
  template <typename Hook, typename... Arguments>
  void call(Hook hook, const Arguments&... arguments) {
    for (const auto& callback : callbacks_) ((*callback).*hook)(*this, arguments...);
  }

  // A step that may have to be undone: what it had found.
  struct StepStart {
    std::int64_t pass = 0, batch = 0;
    MetricSums sums;
    double nonfinite_values = 0, nonfinite_samples = 0;
    std::vector<double> gathered;
  };

  void refuse_other_data(const Checkpoint& checkpoint, const TrainingJob& job) const;
  RunBatches stored_batches(const Checkpoint& checkpoint) const;
  void share_out(const TrainingJob& job, const Checkpoint* resume);
  void announce_other_ranks(std::int64_t before) const;
  void check_position_of(const Checkpoint& checkpoint, std::int64_t batches) const;
  void restore_tensors(const Checkpoint& checkpoint);
  void restore_loop(const Checkpoint& checkpoint);
  void restore_sums(const Checkpoint& checkpoint);
  std::optional<at::Tensor> rows_in(const Checkpoint& checkpoint, const std::string& name,
                                    std::int64_t rows) const;
  void prepare(const Checkpoint* resume);
  void restore(const Checkpoint& checkpoint);
  void sanity_check();
  FitOutcome run();
  bool run_epoch();  // false: interrupted
  enum class BatchOutcome { done, end_of_epoch, interrupted };
  BatchOutcome run_batch();
  void finish_objective();
  std::vector<std::vector<double>> by_rank(const std::vector<double>& own) const;
  std::vector<std::vector<double>> gathered_by_rank(const std::vector<double>& own) const;
  // A step (trainer_step.cpp).
  std::int64_t passes_per_step() const;  // but for the epoch's last, which may have fewer
  void begin_step();
  void undo_step();
  void end_if_exhausted();
  bool step_is_pending() const;  // some of its passes are done
  void count_nonfinite(double values, double samples, const Losses& losses,
                       const std::vector<std::int64_t>& ids);
  void note_nonfinite_loss(double ranks, bool here, const Losses& losses,
                           const std::vector<std::int64_t>& ids);
  std::string samples_by_rank(const std::vector<std::int64_t>& own) const;
  std::vector<std::int64_t> samples_of_step() const;
  void train_pass(HostBatch&& host);
  Losses losses_of(HostBatch&& host, at::Tensor& labels);
  void learn_from(const BatchPlan& plan, Losses&& losses, const at::Tensor& labels, StepRecord& record);
  void backward(at::Tensor loss);
  double mean_class_weight(const HostBatch& host) const;
  void optimizer_step(StepRecord& record);
  bool learns_from_gradients(StepRecord& record);
  void validate();
  Metrics metrics_of(Loader& loader);  // of the split that it reads
  bool validation_is_due() const;
  void validate_within_epoch();
  bool asked_to_stop() const;  // this rank
  bool interrupted();          // joint decision
  bool complete() const;
  std::unique_ptr<Loader> make_loader(const std::shared_ptr<const SplitReader>& split,
                                      const BatchLimit& limit, bool training,
                                      const BatchShares& shares) const;

  TrainerOptions options_;
  Communicator communicator_;
  std::vector<std::shared_ptr<Callback>> callbacks_;
  const TrainingJob* job_ = nullptr;
  std::unique_ptr<DistributedDataParallel> parallel_;
  std::unique_ptr<Loader> train_loader_, validation_loader_, statistics_loader_;
  std::vector<std::unique_ptr<Loader>> further_loaders_;  // of TrainingJob::further_validation
  std::vector<at::Tensor> parameters_, buffers_;
  std::shared_ptr<const AcrossRanks> across_;  // with --sync-batchnorm on several ranks
  std::shared_ptr<const AcrossRanks> ranks_;   // where the objective sums over them
  RunBatches run_batches_;
  BatchShares shares_, evaluation_shares_;
  FiniteGuard guard_;
  GradientScaler scaler_;
  LoopPosition position_;
  std::int64_t pass_ = 0;  // passes of this epoch that are done
  StepStart step_start_;
  BadStep bad_step_;
  KeptTensors own_buffers_;  // while a share that another rank had before goes through the network
  std::vector<std::vector<double>> inherited_;  // what ranks that are no more have gathered in this epoch
  std::int64_t total_steps_ = 0;
  MetricSums epoch_sums_;
  double nonfinite_values_ = 0, nonfinite_samples_ = 0;  // relevance, of the epoch so far, on all ranks
  Metrics validation_metrics_;
  std::map<std::string, double> logged_;
  std::chrono::steady_clock::time_point started_;
  bool should_stop_ = false;
  std::optional<bool> stop_agreed_;  // by the ranks' last exchange
};

}  // namespace isnet
