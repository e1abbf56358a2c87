// Averages of the weights over the training: exponential (EMA), or of the last epochs (SWA).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trainer/callback.h"

namespace isnet {

/// How the average is formed.
enum class AverageKind {
  ema,  ///< after each step, average ← decay · average + (1 − decay) · weights, beginning with the weights
  swa   ///< the mean of the weights at the ends of epochs (Izmailov et al., 2018)
};

/// The settings of WeightAveraging.
struct WeightAveragingOptions {
  AverageKind kind = AverageKind::ema;
  double decay = 0.999;            ///< EMA
  std::int64_t every_n_steps = 1;  ///< EMA
  std::int64_t start_epoch = 0;    ///< the first epoch whose weights count
  bool use = true;                 ///< whether validation sees the average
};

/// The average is in checkpoints as `average.<name>`, parameters and buffers. It is what is validated, with
/// BN statistics of its own where they are re-estimated (--recompute-bn-statistics); else its buffers are
/// the network's.
class WeightAveraging : public Callback {
 public:
  explicit WeightAveraging(const WeightAveragingOptions& options) : options_(options) {}
  void on_fit_start(Trainer& trainer) override;
  void on_train_batch_end(Trainer& trainer, const StepRecord& record) override;
  void on_validation_model_eval(Trainer& trainer) override;
  void on_validation_model_train(Trainer& trainer) override;
  void on_save_checkpoint(const Trainer& trainer, Checkpoint& checkpoint) override;
  void on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) override;

  /// Takes these weights into the average.
  void update(const std::vector<at::Tensor>& parameters);
  /// The average of update()'s parameters; empty before the first.
  const std::vector<at::Tensor>& average() const { return average_; }

 private:
  struct Named {
    std::string name;
    at::Tensor tensor;
  };
  static std::vector<at::Tensor> tensors(const std::vector<Named>& named);

  WeightAveragingOptions options_;
  std::vector<Named> parameters_, buffers_;  // the network's
  std::vector<at::Tensor> average_, average_buffers_;
  std::vector<at::Tensor> set_aside_;  // the network's own, while the average is in it
  std::int64_t count_ = 0;             // of updates
};

}  // namespace isnet
