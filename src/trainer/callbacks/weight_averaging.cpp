#include "trainer/callbacks/weight_averaging.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "trainer/schedules/swa_rate.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

std::vector<at::Tensor> copies(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> result;
  for (const auto& tensor : tensors) result.push_back(tensor.detach().clone());
  return result;
}

void write(const std::vector<at::Tensor>& targets, const std::vector<at::Tensor>& values) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < targets.size(); ++i) at::Tensor(targets[i]).copy_(values[i]);
}

}  // namespace

std::vector<at::Tensor> WeightAveraging::tensors(const std::vector<Named>& named) {
  std::vector<at::Tensor> result;
  for (const auto& one : named) result.push_back(one.tensor);
  return result;
}

void WeightAveraging::on_fit_start(Trainer& trainer) {
  const Network& network = *trainer.job().network;
  parameters_.clear();
  buffers_.clear();
  for (const auto& entry : network.named_parameters()) parameters_.push_back({entry.key(), entry.value()});
  for (const auto& entry : network.named_buffers()) buffers_.push_back({entry.key(), entry.value()});
}

// torch.optim.swa_utils: get_ema_avg_fn and get_swa_avg_fn.
void WeightAveraging::update(const std::vector<at::Tensor>& parameters) {
  const at::NoGradGuard no_grad;
  if (count_ == 0) {
    average_ = copies(parameters);
  } else {
    const double share =
        options_.kind == AverageKind::ema ? 1 - options_.decay : 1 / static_cast<double>(count_ + 1);
    for (std::size_t i = 0; i < average_.size(); ++i) average_[i].lerp_(parameters[i].detach(), share);
  }
  ++count_;
}

void WeightAveraging::on_train_batch_end(Trainer& trainer, const StepRecord& record) {
  const auto& position = trainer.position();
  if (position.epoch < options_.start_epoch) return;
  if (options_.kind == AverageKind::ema) {
    if (record.optimizer_stepped && position.global_step % options_.every_n_steps == 0)
      update(tensors(parameters_));
  } else if (position.batch == trainer.batches_per_epoch() ||
             (record.optimizer_stepped && position.global_step == trainer.total_steps())) {
    update(tensors(parameters_));
  }
}

void WeightAveraging::on_validation_model_eval(Trainer&) {
  if (count_ == 0 || !options_.use) return;
  set_aside_ = copies(tensors(parameters_));
  for (auto& copy : copies(tensors(buffers_))) set_aside_.push_back(std::move(copy));
  write(tensors(parameters_), average_);
}

void WeightAveraging::on_validation_model_train(Trainer&) {
  if (set_aside_.empty()) return;
  average_buffers_ = copies(tensors(buffers_));
  auto own = tensors(parameters_);
  for (const auto& one : buffers_) own.push_back(one.tensor);
  write(own, set_aside_);
  set_aside_.clear();
}

void WeightAveraging::on_save_checkpoint(const Trainer&, Checkpoint& checkpoint) {
  checkpoint.state["callbacks"]["weight_averaging"] = {{"count", count_}};
  if (count_ == 0) return;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    checkpoint.tensors["average." + parameters_[i].name] = average_[i];
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    checkpoint.tensors["average." + buffers_[i].name] =
        average_buffers_.empty() ? buffers_[i].tensor : average_buffers_[i];
}

void WeightAveraging::on_load_checkpoint(const Trainer& trainer, const Checkpoint& checkpoint) {
  const auto all = checkpoint.state.value("callbacks", nlohmann::json::object());
  if (!all.contains("weight_averaging")) return;  // the run began without it
  count_ = all.at("weight_averaging").at("count");
  if (count_ == 0) return;
  const Network& network = *trainer.job().network;
  const auto stored = [&](const std::string& name, const at::Tensor& like) {
    const auto found = checkpoint.tensors.find("average." + name);
    if (found == checkpoint.tensors.end() || found->second.sizes() != like.sizes())
      fail(ErrorKind::checkpoint, "the checkpoint's averaged weights lack ", name,
           ", or it has another shape");
    return at::empty_like(like.detach()).copy_(found->second);
  };
  average_.clear();
  average_buffers_.clear();
  for (const auto& entry : network.named_parameters()) average_.push_back(stored(entry.key(), entry.value()));
  for (const auto& entry : network.named_buffers())
    average_buffers_.push_back(stored(entry.key(), entry.value()));
}

namespace {

std::shared_ptr<Callback> make(const CallbackContext& context) {
  const std::string& kind = context.options.text("average");
  if (kind == "none") return nullptr;
  WeightAveragingOptions options;
  options.kind = kind == "ema" ? AverageKind::ema : AverageKind::swa;
  options.decay = context.options.real("ema-decay");
  options.every_n_steps = context.options.integer("ema-every-n-steps");
  if (options.kind == AverageKind::swa) options.start_epoch = swa_start_epoch(context.options);
  options.use = context.options.flag("use-average");
  return std::make_shared<WeightAveraging>(options);
}

const Registration<CallbackFactory> registration(
    callbacks(),
    {"weight-averaging",
     "Averages the weights",
     {fixed_at_resume(choice_option("average", "none",
                                    "Average of the weights: exponential (ema), or of the last epochs (swa)",
                                    {"none", "ema", "swa"})),
      real_option("ema-decay", "0.999", "ema: share of the average that each update keeps", 0, 1),
      integer_option("ema-every-n-steps", "1", "ema: steps between two updates", 1),
      real_option("swa-start", "0.8", "swa: first epoch of the average, or the share of the epochs before it", 0,
                  1e15),
      switch_option("use-average", true, "Validate and export the average, where there is one")},
     make});

}  // namespace
}  // namespace isnet
