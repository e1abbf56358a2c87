// What a checkpoint holds of the fit loop, and how it goes on from there.
#include <ATen/ATen.h>

#include <torch/nn/modules/batchnorm.h>

#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "model/weights.h"
#include "trainer/checkpoint_state.h"
#include "trainer/signals.h"
#include "trainer/trainer.h"

namespace isnet {
namespace {

at::Tensor matrix_of(const std::vector<std::vector<double>>& rows) {
  std::vector<double> numbers;
  for (const auto& row : rows) numbers.insert(numbers.end(), row.begin(), row.end());
  const auto height = static_cast<std::int64_t>(rows.size());
  return at::tensor(numbers, at::dtype(at::kDouble))
      .view({height, static_cast<std::int64_t>(rows.front().size())});
}

std::int64_t number_in(const Checkpoint& checkpoint, const nlohmann::json& state, const char* name) {
  return JsonFields({checkpoint.source, ErrorKind::checkpoint, ""}, state).integer(name, 1);
}

std::int64_t world_size_in(const Checkpoint& checkpoint) {
  return number_in(checkpoint, checkpoint.state, "world_size");
}

// What goes wrong while a checkpoint is taken over is said of its file, and is the file's fault.
template <typename Action>
void taking_over(const Checkpoint& checkpoint, const Action& action) {
  try {
    action();
  } catch (const Error& e) {
    const bool named = std::string_view(e.what()).starts_with(checkpoint.source);
    const bool fault = e.kind() == ErrorKind::checkpoint || e.kind() == ErrorKind::usage;
    if (named || !fault) throw;
    fail(ErrorKind::checkpoint, checkpoint.source, ": ", e.what());
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorKind::checkpoint, checkpoint.source,
         ": part of its state is missing or of another type: ", e.what());
  } catch (const c10::Error& e) {
    fail(ErrorKind::checkpoint, checkpoint.source,
         ": a tensor of it does not fit: ", e.what_without_backtrace());
  }
}

// How often an optimiser has changed a parameter: not more often than the run has made steps.
void check_step_count(const Checkpoint& checkpoint, const std::string& name, const at::Tensor& tensor) {
  const std::int64_t steps = checkpoint.state.at("loop").at("global_step");
  const bool number = tensor.numel() == 1 && at::isIntegralType(tensor.scalar_type(), /*includeBool=*/false);
  if (!number || tensor.item<std::int64_t>() < 0 || tensor.item<std::int64_t>() > steps)
    fail(ErrorKind::checkpoint, checkpoint.source, ": tensor '", name, "' is not an integer from 0 to ",
         steps, ", the steps of the run");
}

std::vector<double> row_of(const at::Tensor& matrix, std::int64_t row) {
  const at::Tensor values = matrix[row].to(at::kDouble).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

bool has_batch_norm(const Network& network) {
  for (const auto& module : network.modules())
    if (dynamic_cast<const torch::nn::BatchNorm2dImpl*>(module.get())) return true;
  return false;
}

}  // namespace

// A run continues with the data that it began with, or its position means nothing.
void Trainer::refuse_other_data(const Checkpoint& checkpoint, const TrainingJob& job) const {
  if (const auto samples = number_in(checkpoint, checkpoint.state, "train_samples");
      samples != job.train->size())
    fail(ErrorKind::usage, "--resume: the checkpoint was trained on ", samples, " samples, --data has ",
         job.train->size(), ": resume on the same data");
}

RunBatches Trainer::stored_batches(const Checkpoint& checkpoint) const {
  RunBatches run{world_size_in(checkpoint), options_.batch_size, options_.accumulate_grad_batches};
  const auto stored = checkpoint.state.find("batches");
  if (stored == checkpoint.state.end()) return run;  // of a program that knew no other number of ranks
  run.ranks = number_in(checkpoint, *stored, "ranks");
  if (const auto size = number_in(checkpoint, *stored, "size"); size != run.size)
    fail(ErrorKind::usage, "--batch-size: '", run.size,
         "' is not allowed at this resume; the run began with '", size, "', and keeps its batches of ",
         run.ranks, " × ", size, " samples");
  return run;
}

std::vector<std::vector<double>> Trainer::gathered_by_rank(const std::vector<double>& own) const {
  auto rows = inherited_;
  for (auto& row : by_rank(own)) rows.push_back(std::move(row));
  return rows;
}

// Equally many numbers of each rank, on every rank, bit by bit.
std::vector<std::vector<double>> Trainer::by_rank(const std::vector<double>& own) const {
  const auto world = static_cast<std::size_t>(communicator_.world_size());
  std::vector<double> all(own.size() * world, 0.0);
  std::copy(own.begin(), own.end(),
            all.begin() + static_cast<std::ptrdiff_t>(own.size()) * communicator_.rank());
  communicator_.all_reduce_sum(all);
  std::vector<std::vector<double>> rows;
  for (std::size_t rank = 0; rank < world; ++rank) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(rank * own.size());
    rows.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(own.size()));
  }
  return rows;
}

Checkpoint Trainer::checkpoint() const {
  Checkpoint checkpoint;
  for (const auto& [name, tensor] : named_tensors(*job_->network))
    checkpoint.tensors["model." + name] = tensor;
  for (auto& [name, tensor] : job_->optimizer->state()) checkpoint.tensors["optimizer." + name] = tensor;
  // Each rank's sums, a row for each: added up at once at the epoch's end, in the order of an uninterrupted
  // run.
  auto own = epoch_sums_.sums();
  own.resize(static_cast<std::size_t>(communicator_.maximum(static_cast<std::int64_t>(own.size()))), 0.0);
  checkpoint.tensors["loop.metric_sums"] = matrix_of(by_rank(own));
  if (const auto gathered = job_->objective->gathered(); !gathered.empty())
    checkpoint.tensors["objective.gathered"] = matrix_of(gathered_by_rank(gathered));
  for (const auto& [name, value] : job_->objective->found_options())
    checkpoint.state["found_options"][name] = value;
  checkpoint.state["loop"] = {{"epoch", position_.epoch},
                              {"batch", position_.batch},
                              {"validated", position_.validated},
                              {"global_step", position_.global_step},
                              {"metric_names", epoch_sums_.names()},
                              {"bad_steps", guard_.state()},
                              {"gradient_scaler", scaler_.state()},
                              {"nonfinite_relevance", {nonfinite_values_, nonfinite_samples_}}};
  checkpoint.state["bucket_plan"] = parallel_->bucket_plan();
  checkpoint.state["world_size"] = communicator_.world_size();
  if (communicator_.world_size() > 1) checkpoint.state["backend"] = communicator_.backend();
  checkpoint.state["batches"] = {{"ranks", run_batches_.ranks}, {"size", run_batches_.size}};
  checkpoint.state["train_samples"] = job_->train->size();
  for (const auto& [name, value] : validation_metrics_) checkpoint.state["validation_metrics"][name] = value;
  for (const auto& callback : callbacks_) callback->on_save_checkpoint(*this, checkpoint);
  return checkpoint;
}

void Trainer::check_position_of(const Checkpoint& checkpoint, std::int64_t batches) const {
  check_position(checkpoint.state, {batches, options_.accumulate_grad_batches, options_.scaler.enabled},
                 checkpoint.source);
}

void Trainer::restore(const Checkpoint& checkpoint) {
  taking_over(checkpoint, [&] {
    restore_tensors(checkpoint);
    restore_loop(checkpoint);
  });
  announce_other_ranks(world_size_in(checkpoint));
  taking_over(checkpoint, [&] {
    for (const auto& callback : callbacks_) callback->on_load_checkpoint(*this, checkpoint);
  });
}

void Trainer::restore_tensors(const Checkpoint& checkpoint) {
  NamedTensors model;
  std::map<std::string, at::Tensor> optimizer;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.rfind("model.", 0) == 0) model[name.substr(6)] = tensor;
    if (name.rfind("optimizer.", 0) == 0) optimizer[name.substr(10)] = tensor;
    if (name.rfind("optimizer.", 0) == 0 && name.ends_with(".step"))
      check_step_count(checkpoint, name, tensor);
  }
  load_weights(checkpoint.source, model, *job_->network);
  job_->optimizer->load_state(optimizer);
}

void Trainer::restore_loop(const Checkpoint& checkpoint) {
  check_position_of(checkpoint, batches_per_epoch());
  const auto& loop = checkpoint.state.at("loop");
  position_.epoch = loop.at("epoch");
  position_.batch = loop.at("batch");
  position_.validated = loop.value("validated", position_.batch);
  position_.global_step = loop.at("global_step");
  StopSignals::note_step(position_.global_step);
  StopSignals::note_saved(position_.global_step);
  if (loop.contains("bad_steps")) guard_.load_state(loop.at("bad_steps"));
  if (scaler_.enabled()) scaler_.load_state(loop.at("gradient_scaler"));
  restore_sums(checkpoint);
  if (loop.contains("nonfinite_relevance")) {
    nonfinite_values_ = loop.at("nonfinite_relevance").at(0);
    nonfinite_samples_ = loop.at("nonfinite_relevance").at(1);
  }
  if (checkpoint.state.contains("found_options"))
    job_->objective->set_found_options(checkpoint.state.at("found_options").get<NamedTexts>());
  if (world_size_in(checkpoint) == communicator_.world_size())
    parallel_->restore_bucket_plan(checkpoint.state.at("bucket_plan").get<BucketPlan>());
  if (checkpoint.state.contains("validation_metrics"))
    for (const auto& [name, value] : checkpoint.state.at("validation_metrics").items())
      validation_metrics_.emplace_back(
          name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
}

// A matrix of the checkpoint with a row for each rank; nothing where there is none.
std::optional<at::Tensor> Trainer::rows_in(const Checkpoint& checkpoint, const std::string& name,
                                           std::int64_t rows) const {
  const auto found = checkpoint.tensors.find(name);
  if (found == checkpoint.tensors.end()) return std::nullopt;
  const auto& tensor = found->second;
  if (tensor.dim() != 2 || tensor.size(0) < rows || !tensor.is_floating_point())
    fail(ErrorKind::checkpoint, checkpoint.source, ": tensor '", name, "' is not a matrix of ", rows,
         " rows, one for each rank");
  return tensor.to(at::kDouble);
}

// What each rank has summed up in the epoch so far. Of another number of ranks: the first takes over the
// metrics of all, and what their objectives have gathered is kept by itself until the epoch's end.
void Trainer::restore_sums(const Checkpoint& checkpoint) {
  const std::int64_t world = world_size_in(checkpoint);
  const bool same = world == communicator_.world_size();
  const std::vector<std::string> names = checkpoint.state.at("loop").at("metric_names");
  const auto sums = rows_in(checkpoint, "loop.metric_sums", world);
  const auto columns = sums ? sums->size(1) : -1;
  if (columns != (names.empty() ? 0 : std::ssize(names) + 1))
    fail(ErrorKind::checkpoint, checkpoint.source,
         ": tensor 'loop.metric_sums' is missing, or has no column for ",
         "each of 'state.loop.metric_names'");
  const auto samples = columns > 0 ? sums->select(1, 0) : at::zeros({1}, at::kDouble);
  const double most = static_cast<double>(batches_per_epoch()) * static_cast<double>(run_batches_.samples());
  if (!(samples.min().item<double>() >= 0 && samples.sum().item<double>() <= most))
    fail(ErrorKind::checkpoint, checkpoint.source, ": tensor 'loop.metric_sums' counts ",
         samples.sum().item<double>(), " samples of this epoch; allowed: a number from 0 to ", most);
  const at::Tensor all = sums->sum(0, /*keepdim=*/true);
  const at::Tensor rows = same ? *sums : communicator_.is_main() ? all : at::zeros_like(all);
  epoch_sums_.set(names, row_of(rows, same ? communicator_.rank() : 0));
  const std::int64_t own_rows = same ? world : 0;
  const auto gathered = rows_in(checkpoint, "objective.gathered", own_rows);
  if (!gathered) return;
  const std::int64_t inherited = gathered->size(0) - own_rows;
  inherited_.clear();
  for (std::int64_t row = 0; row < inherited; ++row) inherited_.push_back(row_of(*gathered, row));
  if (same) job_->objective->set_gathered(row_of(*gathered, inherited + communicator_.rank()));
}

void Trainer::announce_other_ranks(std::int64_t before) const {
  const std::int64_t world = communicator_.world_size();
  if (before == world || !communicator_.is_main()) return;
  std::string text =
      cat("the run continues with ", world, " rank(s) where ", before, " were before: batches of ",
          run_batches_.samples(), " samples and steps of ", accumulated_batches(),
          " batch(es) stay as they are, in ", shares_.count, " share(s) of ", shares_.size, " each, ",
          passes_per_step(), " pass(es) of all ranks for a step");
  const bool same_statistics = options_.sync_batchnorm || shares_.count == run_batches_.ranks;
  if (!has_batch_norm(*job_->network) || (same_statistics && world <= run_batches_.ranks)) {
    log::info(text);
    return;
  }
  log::warning(
      cat(text, same_statistics
                    ? "; running statistics of batch norms are those of fewer batches than before"
                    : "; batch norms see the shares, which are other ones than before, so that losses "
                      "differ (--sync-batchnorm 1 would not)"));
}

}  // namespace isnet
