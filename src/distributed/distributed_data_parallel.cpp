#include "distributed/distributed_data_parallel.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/engine.h>
#include <torch/nn/module.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <unordered_map>

#include "base/activity.h"
#include "base/error.h"
#include "base/files.h"
#include "distributed/failures.h"

namespace isnet {
namespace {

constexpr std::size_t broadcast_bytes = std::size_t{250} << 20;  // PyTorch's broadcast_bucket_size

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

std::vector<NamedTensor> buffers_of(const torch::nn::Module& module) {
  std::vector<NamedTensor> result;
  for (const auto& item : module.named_buffers())
    if (item.value().defined()) result.push_back({item.key(), item.value()});
  return result;
}

// Each parameter once, also where two layers share it; with and without requires_grad.
std::vector<NamedTensor> parameters_of(const torch::nn::Module& module) {
  std::vector<NamedTensor> result;
  std::set<const void*> seen;
  for (const auto& item : module.named_parameters())
    if (item.value().defined() && seen.insert(item.value().unsafeGetTensorImpl()).second)
      result.push_back({item.key(), item.value()});
  return result;
}

std::vector<at::Tensor> tensors_of(const std::vector<NamedTensor>& named) {
  std::vector<at::Tensor> result;
  for (const auto& one : named) result.push_back(one.tensor.detach());
  return result;
}

std::string bytes_hash(const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
  return sha256(std::string_view(static_cast<const char*>(host.const_data_ptr()), host.nbytes()));
}

// Gradients travel in 16 bits. Divided first, so that no sum is larger than its largest summand.
class CompressionHook final : public c10d::CppCommHookInterface<c10::intrusive_ptr<c10d::ProcessGroup>> {
 public:
  CompressionHook(c10::intrusive_ptr<c10d::ProcessGroup> group, at::ScalarType type)
      : CppCommHookInterface(std::move(group)), type_(type) {}

  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    const at::Tensor gradients = bucket.getBufferRef();
    std::vector<at::Tensor> sent{gradients.div_(state_->getSize()).to(type_)};
    return state_->allreduce(sent)->getFuture()->then(
        [gradients](c10::ivalue::Future& sum) {
          gradients.copy_(sum.value().toTensorVector().front());
          return c10::IValue(gradients);
        },
        c10::TensorType::get());
  }

 private:
  at::ScalarType type_;
};

const char* name_of(CommHook hook) {
  return hook == CommHook::fp16 ? "fp16" : hook == CommHook::bf16 ? "bf16" : "none";
}

}  // namespace

std::vector<OptionSpec> ddp_option_specs() {
  const DistributedDataParallelOptions defaults;
  return {
      real_option("ddp-bucket-cap-mb", cat(defaults.bucket_cap_mb),
                  "Size of the buckets in which gradients are sent, in MiB",
                  0, 65536, true),
      switch_option("ddp-find-unused-parameters", defaults.find_unused_parameters,
                    "Allow parameters that get no gradient in some steps"),
      switch_option("ddp-gradient-as-bucket-view", true,
                    "Keep gradients in the buckets that are sent: saves memory and a copy"),
      switch_option("ddp-static-graph", defaults.static_graph,
                    "State that all steps use the same parameters in the same way, "
                    "so that unused ones are found only once"),
      switch_option("ddp-broadcast-buffers", defaults.broadcast_buffers,
                    "Give all ranks rank 0's batch-norm statistics before each step, "
                    "not only before validation"),
      choice_option("ddp-comm-hook", name_of(defaults.comm_hook),
                    "Send gradients in 16 bits: halves the traffic and rounds the means",
                    {"none", "fp16", "bf16"})};
}

DistributedDataParallelOptions ddp_options(const OptionValues& values) {
  DistributedDataParallelOptions options;
  options.bucket_cap_mb = values.real("ddp-bucket-cap-mb");
  options.find_unused_parameters = values.flag("ddp-find-unused-parameters");
  options.gradient_as_bucket_view = values.flag("ddp-gradient-as-bucket-view");
  options.static_graph = values.flag("ddp-static-graph");
  options.broadcast_buffers = values.flag("ddp-broadcast-buffers");
  const std::string& hook = values.text("ddp-comm-hook");
  options.comm_hook = hook == "fp16" ? CommHook::fp16 : hook == "bf16" ? CommHook::bf16 : CommHook::none;
  if (options.comm_hook != CommHook::none && values.known("precision") && values.text("precision") == "64")
    fail(ErrorKind::usage, "--ddp-comm-hook: '", hook, "' is not allowed; allowed with --precision 64: none");
  return options;
}

DistributedDataParallel::DistributedDataParallel(std::shared_ptr<torch::nn::Module> module,
                                                 Communicator communicator,
                                                 const DistributedDataParallelOptions& options)
    : module_(std::move(module)), communicator_(std::move(communicator)), options_(options) {
  for (const auto& [name, tensor] : parameters_of(*module_)) {
    if (!tensor.requires_grad()) continue;
    names_.push_back(name);
    parameters_.push_back(tensor);
  }
  if (parameters_.empty()) fail(ErrorKind::usage, "the network has no parameter that could be trained");
  refuse_comm_hook();
  if (!communicator_.process_group()) return;
  check_same_structure();
  broadcast_from_main(tensors_of(parameters_of(*module_)));
  synchronise_buffers();
  verify_same_model();
  make_reducer();
  align_gradients();
}

DistributedDataParallel::~DistributedDataParallel() {
  if (reducer_) reducer_->remove_autograd_hooks();
  for (const auto& [parameter, hook] : alignment_) parameter.remove_hook(hook);
}

void DistributedDataParallel::refuse_comm_hook() const {
  if (options_.comm_hook == CommHook::none) return;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (parameters_[i].scalar_type() == at::kDouble)
      fail(ErrorKind::usage, "comm_hook ", name_of(options_.comm_hook), " is not allowed: the parameter ",
           names_[i], " is float64, whose gradient would lose most of its digits; allowed: none");
}

void DistributedDataParallel::check_same_structure() const {
  std::ostringstream text;
  const auto describe = [&](const char* kind, const NamedTensor& one) {
    text << kind << ' ' << one.name << ' ' << one.tensor.sizes() << ' ' << one.tensor.dtype() << ' '
         << (one.tensor.requires_grad() ? "trained" : "fixed") << '\n';
  };
  for (const auto& one : parameters_of(*module_)) describe("parameter", one);
  for (const auto& one : buffers_of(*module_)) describe("buffer", one);
  check_same_on_all_ranks(communicator_, {{"the network", text.str()}});
}

void DistributedDataParallel::broadcast_from_main(const std::vector<at::Tensor>& tensors) const {
  // c10d coalesces tensors of one type only.
  std::map<c10::ScalarType, std::vector<at::Tensor>> by_type;
  for (const auto& tensor : tensors) by_type[tensor.scalar_type()].push_back(tensor);
  const activity::Exchange exchange("rank 0's tensors for all");
  try {
    for (const auto& entry : by_type)
      c10d::broadcast_coalesced(communicator_.process_group(), entry.second, broadcast_bytes, 0);
  } catch (const std::exception& e) {
    if (!is_communication_failure(e)) throw;
    fail(ErrorKind::communication, "rank ", communicator_.rank(), " of ", communicator_.world_size(),
         ": giving all ranks rank 0's tensors failed, another rank is gone or hangs: ",
         communication_failure_text(e));
  }
}

void DistributedDataParallel::synchronise_buffers() {
  if (communicator_.process_group()) broadcast_from_main(tensors_of(buffers_of(*module_)));
}

void DistributedDataParallel::verify_same_model(bool with_buffers) const {
  if (!communicator_.process_group()) return;
  auto tensors = parameters_of(*module_);
  if (with_buffers)
    for (const auto& one : buffers_of(*module_)) tensors.push_back(one);
  std::string hashes;
  for (const auto& one : tensors) hashes += bytes_hash(one.tensor);
  const auto all = communicator_.all_gather(hashes);
  for (std::size_t rank = 1; rank < all.size(); ++rank)
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (all[rank].compare(64 * i, 64, all.front(), 64 * i, 64) != 0)
        fail(ErrorKind::communication, "rank ", rank, " and rank 0 have different values in ",
             tensors[i].name,
             ", which should be equal (memory or network of one of them is faulty, or a rank changed it "
             "alone)");
}

void DistributedDataParallel::make_reducer() {
  const auto bytes = [](double mebibytes) { return static_cast<std::size_t>(mebibytes * 1024 * 1024); };
  const std::size_t cap = bytes(options_.bucket_cap_mb), first = bytes(options_.first_bucket_mb);
  const std::vector<bool> dense(parameters_.size(), false);
  auto assignment = c10d::compute_bucket_assignment_by_size(parameters_, {first, cap}, dense);
  auto& buckets = std::get<0>(assignment);
  std::reverse(buckets.begin(), buckets.end());  // roughly the order in which gradients become ready
  std::unordered_map<std::size_t, std::string> names;
  for (std::size_t i = 0; i < names_.size(); ++i) names[i] = names_[i];
  reducer_ = std::make_shared<c10d::Reducer>(
      parameters_, buckets, communicator_.process_group(), dense, static_cast<std::int64_t>(cap),
      options_.find_unused_parameters, options_.gradient_as_bucket_view, names,
      static_cast<std::int64_t>(first),
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false, std::vector<std::int64_t>{});
  logger_ = std::make_shared<c10d::Logger>(reducer_);
  std::vector<int> devices;
  if (parameters_.front().is_cuda()) devices.push_back(parameters_.front().get_device());
  logger_->set_construction_data_and_log(module_->name(), devices, devices.empty() ? -1 : devices.front(),
                                         options_.broadcast_buffers, /*has_sync_bn=*/false,
                                         options_.static_graph);
  reducer_->set_logger(logger_);
  if (options_.comm_hook != CommHook::none)
    reducer_->register_comm_hook(std::make_unique<CompressionHook>(
        communicator_.process_group(), options_.comm_hook == CommHook::fp16 ? at::kHalf : at::kBFloat16));
  else if (parameters_.front().is_cpu())
    // One division for a bucket, where the reducer by itself has one for each of hundreds of gradients.
    reducer_->register_builtin_comm_hook(c10d::BuiltinCommHookType::ALLREDUCE);
}

// The gradient of a 1×1 convolution in channels-last is laid out as its weight is, under other strides. The
// reducer would take it for another layout, warn, and copy it element by element.
void DistributedDataParallel::align_gradients() {
  for (const auto& parameter : parameters_) {
    const auto sizes = parameter.sizes();
    if (!parameter.is_contiguous() || std::find(sizes.begin(), sizes.end(), 1) == sizes.end()) continue;
    const auto align = [strides = parameter.strides().vec()](at::Tensor gradient) {
      if (!gradient.defined() || !gradient.is_contiguous() || gradient.strides() == at::IntArrayRef(strides))
        return gradient;
      return gradient.as_strided(gradient.sizes(), strides);
    };
    alignment_.emplace_back(parameter, parameter.register_hook(align));
  }
}

void DistributedDataParallel::prepare_forward() {
  if (!reducer_) return;
  graph_first_ = options_.static_graph && !graph_known_ && synchronise_;
  if (graph_first_) {
    // Not before: the reducer counts how often each parameter is used, and passes that only accumulate would
    // count.
    graph_known_ = true;
    reducer_->set_static_graph();
    logger_->set_static_graph();
  }
  if (synchronise_) reducer_->prepare_for_forward();
  if (options_.broadcast_buffers && synchronise_ && module_->is_training()) synchronise_buffers();
}

void DistributedDataParallel::prepare_backward(const at::Tensor& loss) {
  if (!reducer_ || !synchronise_) return;
  reducer_->prepare_for_backward({loss});
  expects_reduction_ = true;
  // The engine's callbacks run when this rank's own gradients are there, in the order in which they were
  // queued: this one comes before the reducer's, which waits for the others.
  if (!loss.requires_grad()) return;
  loss.register_hook([](const at::Tensor& gradient) {
    torch::autograd::Engine::get_default_engine().queue_callback(
        [] { activity::begin_exchange("averaging gradients"); });
    return gradient;
  });
}

void DistributedDataParallel::finish_backward() {
  if (!reducer_ || !expects_reduction_) return;
  activity::end_exchange();
  expects_reduction_ = false;
  const at::NoGradGuard no_grad;
  if (graph_first_) reducer_->delay_all_reduce();  // the reducer has only counted
  try {
    reducer_->check_finalized();
  } catch (const std::exception& e) {
    fail(ErrorKind::internal, "rank ", communicator_.rank(),
         ": the backward pass ended before all gradients were reduced; parameters without a gradient: ",
         parameters_without_gradient(e.what()), " (use them, freeze them, or set find_unused_parameters)");
  }
  // Here and not before the next forward pass: a checkpoint in between has the plan that the next step uses.
  if (reducer_->should_rebuild_buckets() && reducer_->rebuild_buckets()) {
    rebuilt_ = true;
    // A restored plan was the rebuilt one of the run before: it stays, whatever order this first step had.
    if (!restored_plan_.empty()) reducer_->initialize_buckets(restored_plan_);
  }
}

// The reducer names them by number; gradients of the step before may still be there.
std::string DistributedDataParallel::parameters_without_gradient(const std::string& cause) const {
  std::string missing;
  const auto add = [&](const std::string& name) { missing += (missing.empty() ? "" : ", ") + name; };
  if (const auto at = cause.find("did not receive grad for rank"); at != std::string::npos) {
    std::istringstream numbers(cause.substr(cause.find(':', at) + 1));
    for (std::size_t i = 0; numbers >> i && i < names_.size();) add(names_[i]);
  }
  for (std::size_t i = 0; missing.empty() && i < parameters_.size(); ++i)
    if (!parameters_[i].grad().defined()) add(names_[i]);
  return missing.empty() ? "some in this step" : missing;
}

void DistributedDataParallel::backward(const at::Tensor& loss) {
  prepare_backward(loss);
  try {
    loss.backward();
    finish_backward();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    if (std::string(e.what()).find("training graph has changed") != std::string::npos)
      fail(
          ErrorKind::usage, "rank ", communicator_.rank(),
          ": static_graph is set, but this step uses parameters that the first one did not use, or uses them "
          "more often; allowed here: find_unused_parameters");
    if (!is_communication_failure(e)) throw;
    fail(ErrorKind::communication, "rank ", communicator_.rank(), " of ", communicator_.world_size(),
         ": averaging gradients failed, another rank is gone or hangs: ", communication_failure_text(e));
  }
}

BucketPlan DistributedDataParallel::bucket_plan() const {
  if (!reducer_) return {};
  std::map<const void*, std::size_t> index;
  for (std::size_t i = 0; i < parameters_.size(); ++i) index[parameters_[i].unsafeGetTensorImpl()] = i;
  BucketPlan plan;
  for (const auto& bucket : reducer_->get_grad_buckets()) {
    plan.emplace_back();
    for (const auto& parameter : bucket.getParameters())
      plan.back().push_back(index.at(parameter.unsafeGetTensorImpl()));
  }
  return plan;
}

void DistributedDataParallel::restore_bucket_plan(const BucketPlan& plan) {
  if (!reducer_ || plan.empty()) return;
  std::vector<std::size_t> all;
  for (const auto& bucket : plan) all.insert(all.end(), bucket.begin(), bucket.end());
  std::sort(all.begin(), all.end());
  bool complete = all.size() == parameters_.size();
  for (std::size_t i = 0; complete && i < all.size(); ++i) complete = all[i] == i;
  if (!complete)
    fail(ErrorKind::checkpoint, "the checkpoint's bucket plan does not name each of the ", parameters_.size(),
         " trainable parameters once: it belongs to another network");
  restored_plan_ = plan;
  reducer_->initialize_buckets(plan);
}

}  // namespace isnet
