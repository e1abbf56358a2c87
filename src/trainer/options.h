// Options of the fit loop, with PyTorch Lightning's names and meanings.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "data/loader.h"
#include "data/sampler.h"
#include "distributed/distributed_data_parallel.h"
#include "trainer/accumulation.h"
#include "trainer/gradient_scaler.h"
#include "trainer/optimizers/gradient_clipping.h"

namespace isnet {

class Augmentation;

/// How many batches of an epoch are used: a share (0 … 1) of them, or a number.
struct BatchLimit {
  double value = 1.0;
  bool is_share = true;
  std::int64_t of(std::int64_t batches) const;
};

/// An option that is a number of batches, or a share of them ("0.5").
OptionSpec batch_limit_option(std::string name, std::string help, std::string default_value = "1.0");
/// Reads it: with a decimal point it is a share, without one a number.
BatchLimit batch_limit(const OptionValues& values, const std::string& name);

/// Settings of a fit, as Trainer takes them; trainer_options() reads them from the command line's options.
struct TrainerOptions {
  std::int64_t max_epochs = 10;                ///< −1: no limit
  std::int64_t min_epochs = 0, min_steps = 0;  ///< before which stop() does not count
  std::int64_t max_steps = -1;                 ///< optimiser steps; −1: no limit
  double max_time = 0;                         ///< seconds; 0: no limit
  std::int64_t batch_size = 32;                ///< per rank (of those that a resumed run began with)
  std::int64_t largest_share = 0;  ///< that a rank takes of another number's batches; 0: batch_size
  Accumulation accumulate_grad_batches;
  GradientClipping clipping;
  GradientScalerOptions scaler;
  BatchLimit limit_train_batches, limit_val_batches;
  BatchLimit val_check_interval;  ///< batches of an epoch between validations within it
  std::int64_t check_val_every_n_epoch = 1;
  std::int64_t num_sanity_val_steps = 2;
  std::int64_t log_every_n_steps = 50;
  std::int64_t checkpoint_every_n_steps = 0;  ///< 0: only at the ends of epochs
  std::int64_t checkpoint_every_n_epochs = 1;
  std::int64_t save_top_k = 1;        ///< −1: all
  bool checkpoint_background = true;  ///< written while training continues
  std::string monitor = "val_loss";
  bool larger_is_better = false;    ///< of the monitored metric
  std::int64_t skip_bad_steps = 0;  ///< in a row, of a loss or gradient that is not finite
  bool detect_anomaly = false;
  bool deterministic = false;
  bool sync_batchnorm = false;               ///< batch statistics of all ranks' batches
  std::int64_t recompute_bn_statistics = 0;  ///< batches for re-estimating BN statistics before validation
  std::uint64_t seed = 0;
  bool shuffle = true;
  std::shared_ptr<const SampleOrder> order;          ///< of training samples (--sampling); null: by `shuffle`
  std::shared_ptr<const Augmentation> augmentation;  ///< of training samples; null: none
  LastBatch last_batch = LastBatch::drop;
  std::int64_t shuffle_block = 0;  ///< of training samples: 0, or samples of a BlockOrder's blocks
  LoaderOptions loading;           ///< but for what split and precision decide
  DistributedDataParallelOptions ddp;
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
};

/// Declarations for the command line. The seed is among them; those of optimisers, schedules, networks,
/// objectives and distribution are their registries'.
std::vector<OptionSpec> trainer_option_specs();
/// Reads them and those of the parts that they hold (clipping, scaler, loading, …). Errors: usage.
TrainerOptions trainer_options(const OptionValues& values);

/// --precision and --device, for commands that only run a network.
std::vector<OptionSpec> device_option_specs();
/// The type of weights, images and losses: double with --precision 64, else float.
at::ScalarType precision_of(const OptionValues& values);
/// The type that convolutions multiply in with --precision bf16-mixed and 16-mixed; Undefined: their own.
at::ScalarType multiplication_of(const OptionValues& values);
/// "auto": CUDA where there is any, one device for each local rank. Errors: usage (cuda asked for, none
/// there).
at::Device device_of(const OptionValues& values, int local_rank);

}  // namespace isnet
