// Data-parallel training of any torch::nn::Module: the gradients of all ranks are averaged while the backward
// pass still runs, bucket by bucket, by c10d::Reducer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "distributed/communicator.h"

namespace torch::nn {
class Module;
}
namespace c10d {
class Logger;
class Reducer;
}  // namespace c10d

namespace isnet {

/// The form in which gradients travel. In 16 bits half as many bytes are sent: each rank's gradient is divided by the
/// number W of ranks, rounded, and summed in 16 bits. The mean of gradients g_r is then off by at most
/// W·u·Σ|g_r|/W, u = 2⁻¹¹ (fp16) or 2⁻⁸ (bf16), and bitwise the same on all ranks. fp16: what is above 65504
/// becomes infinite, what is below 3·10⁻⁸ zero; bf16 has the range of float32.
enum class CommHook { none, fp16, bf16 };

/// The names and defaults of torch.nn.parallel.DistributedDataParallel, but for broadcast_buffers.
struct DistributedDataParallelOptions {
  double bucket_cap_mb = 25;   ///< MiB of gradients sent together, above 0
  double first_bucket_mb = 1;  ///< of the first one, small so that sending starts early
  /// Parameters may get no gradient in some steps, other ones on other ranks. Those that no rank used keep
  /// the gradient that they had (none, after zero_grad()).
  bool find_unused_parameters = false;
  /// Gradients are views of the buckets: less memory, one copy less. Module::zero_grad() may drop them or
  /// fill them with zeros; torch::optim::Optimizer::zero_grad() throws, since views cannot be detached in
  /// place.
  bool gradient_as_bucket_view = false;
  /// The same parameters are used, in the same way, in every step: unused ones are found once, in the first
  /// step, which sends after the backward pass instead of during it.
  bool static_graph = false;
  /// Rank 0's buffers (BN statistics) replace those of the others before each forward pass that trains. Off:
  /// each rank keeps its own until synchronise_buffers().
  bool broadcast_buffers = false;
  CommHook comm_hook = CommHook::none;  ///< not with float64 parameters
};

/// --ddp-bucket-cap-mb, --ddp-find-unused-parameters, … for the command line.
std::vector<OptionSpec> ddp_option_specs();
/// Errors: usage (a comm hook with --precision 64).
DistributedDataParallelOptions ddp_options(const OptionValues& values);

/// Which parameters share a bucket, in the order of sending: indices into the trainable parameters. Sums of
/// three or more ranks depend on it, so a checkpoint of a bitwise resumable run keeps it.
using BucketPlan = std::vector<std::vector<std::size_t>>;

/// In each step, on every rank:
///
///     ddp.prepare_forward();
///     loss = …;                  // forward, also with autograd::grad(…, create_graph=true) inside
///     ddp.backward(loss);        // or prepare_backward(loss), loss.backward(), finish_backward()
///     // gradients are the mean over ranks now
///
/// Gradient accumulation: hold a NoSync during the steps (prepare_forward to finish_backward) that only add
/// up. In a world of one nothing happens. One thread at a time.
class DistributedDataParallel {
 public:
  /// Collective: checks that all ranks have parameters and buffers of the same names, shapes and types, gives
  /// all of them rank 0's values and verifies that they arrived. Parameters on one device, those without
  /// requires_grad are left out of the reduction. Errors: usage (models differ: rank and parameter; nothing
  /// to train; a comm hook for float64), communication (values differ after the broadcast: rank and
  /// parameter).
  DistributedDataParallel(std::shared_ptr<torch::nn::Module> module, Communicator communicator,
                          const DistributedDataParallelOptions& options = {});
  ~DistributedDataParallel();
  DistributedDataParallel(const DistributedDataParallel&) = delete;
  DistributedDataParallel& operator=(const DistributedDataParallel&) = delete;

  /// Collective with broadcast_buffers.
  void prepare_forward();
  /// `loss`: what backward() will be called on.
  void prepare_backward(const at::Tensor& loss);
  /// Collective; lays the buckets anew once. Errors: internal, when a parameter got no gradient although
  /// find_unused_parameters is off: rank and parameters.
  void finish_backward();
  /// prepare_backward, loss.backward(), finish_backward. Errors: communication, when another rank is gone or
  /// hangs (loss.backward() alone throws c10d's exceptions); usage, when a static graph changes; internal, as
  /// finish_backward.
  void backward(const at::Tensor& loss);

  /// While it lives, backward passes add up local gradients and send nothing. The first synchronised backward
  /// pass after it averages the sum.
  class NoSync {
   public:
    explicit NoSync(DistributedDataParallel& parallel) : parallel_(parallel), before_(parallel.synchronise_) {
      parallel.synchronise_ = false;
    }
    ~NoSync() { parallel_.synchronise_ = before_; }
    NoSync(const NoSync&) = delete;
    NoSync& operator=(const NoSync&) = delete;

   private:
    DistributedDataParallel& parallel_;
    bool before_;
  };
  NoSync no_sync() { return NoSync(*this); }

  /// Collective: rank 0's buffers on every rank (before validation and checkpoints).
  void synchronise_buffers();
  /// Collective: errors (communication, rank and tensor) unless parameters, and buffers if asked for, are
  /// bitwise equal on all ranks.
  void verify_same_model(bool with_buffers = true) const;

  /// The plan of the next step; empty in a world of one.
  BucketPlan bucket_plan() const;
  /// Before the first step of a resumed run: uses this plan from the first step on. An empty one is ignored.
  /// Errors: checkpoint, if it does not name each trainable parameter once.
  void restore_bucket_plan(const BucketPlan& plan);
  /// Whether the plan has been adapted to the order in which gradients become ready: after the first step
  /// (the second with static_graph; never with find_unused_parameters alone).
  bool buckets_rebuilt() const { return rebuilt_; }

  const Communicator& communicator() const { return communicator_; }
  torch::nn::Module& module() const { return *module_; }

 private:
  void check_same_structure() const;
  void broadcast_from_main(const std::vector<at::Tensor>& tensors) const;
  void refuse_comm_hook() const;
  void make_reducer();
  void align_gradients();
  std::string parameters_without_gradient(const std::string& cause) const;

  std::shared_ptr<torch::nn::Module> module_;
  Communicator communicator_;
  DistributedDataParallelOptions options_;
  std::vector<std::string> names_;      // of parameters_
  std::vector<at::Tensor> parameters_;  // trainable, each once
  std::shared_ptr<c10d::Reducer> reducer_;
  std::shared_ptr<c10d::Logger> logger_;
  std::vector<std::pair<at::Tensor, unsigned>> alignment_;  // hooks
  BucketPlan restored_plan_;
  bool synchronise_ = true;
  bool expects_reduction_ = false;  // between prepare_backward and finish_backward
  bool rebuilt_ = false;
  bool graph_known_ = false;  // static_graph: the first synchronised step has begun
  bool graph_first_ = false;  // static_graph: it is this one
};

}  // namespace isnet
