// What a checkpoint holds of the fit loop, and how it goes on from there.
#include <ATen/ATen.h>

#include <torch/nn/modules/batchnorm.h>

#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "model/weights.h"
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

std::int64_t number_in(const nlohmann::json& state, const char* name) {
  const auto found = state.find(name);
  if (found == state.end() || !found->is_number_integer() || found->get<std::int64_t>() < 1)
    fail(ErrorKind::checkpoint, "the checkpoint lacks '", name, "', or it is no number from 1 on");
  return found->get<std::int64_t>();
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

// A run goes on with the data that it began with, or its position means nothing.
void Trainer::refuse_other_data(const Checkpoint& checkpoint, const TrainingJob& job) const {
  if (const auto samples = number_in(checkpoint.state, "train_samples"); samples != job.train->size())
    fail(ErrorKind::usage, "--resume: the checkpoint was trained on ", samples, " samples, --data has ",
         job.train->size(), ": resume on the same data");
}

RunBatches Trainer::stored_batches(const Checkpoint& checkpoint) const {
  RunBatches run{number_in(checkpoint.state, "world_size"), options_.batch_size,
                 options_.accumulate_grad_batches};
  const auto stored = checkpoint.state.find("batches");
  if (stored == checkpoint.state.end()) return run;  // of a program that knew no other number of ranks
  run.ranks = number_in(*stored, "ranks");
  if (const auto size = number_in(*stored, "size"); size != run.size)
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

void Trainer::restore(const Checkpoint& checkpoint) {
  NamedTensors model;
  std::map<std::string, at::Tensor> optimizer;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.rfind("model.", 0) == 0) model[name.substr(6)] = tensor;
    if (name.rfind("optimizer.", 0) == 0) optimizer[name.substr(10)] = tensor;
  }
  load_weights("the checkpoint", model, *job_->network);
  job_->optimizer->load_state(optimizer);
  try {
    const auto& loop = checkpoint.state.at("loop");
    position_.epoch = loop.at("epoch");
    position_.batch = loop.at("batch");
    position_.validated = loop.value("validated", position_.batch);
    position_.global_step = loop.at("global_step");
    if (loop.contains("bad_steps")) guard_.load_state(loop.at("bad_steps"));
    if (scaler_.enabled()) scaler_.load_state(loop.at("gradient_scaler"));
    restore_sums(checkpoint);
    if (loop.contains("nonfinite_relevance")) {
      nonfinite_values_ = loop.at("nonfinite_relevance").at(0);
      nonfinite_samples_ = loop.at("nonfinite_relevance").at(1);
    }
    if (checkpoint.state.contains("found_options"))
      job_->objective->set_found_options(checkpoint.state.at("found_options").get<NamedTexts>());
    if (number_in(checkpoint.state, "world_size") == communicator_.world_size())
      parallel_->restore_bucket_plan(checkpoint.state.at("bucket_plan").get<BucketPlan>());
    if (checkpoint.state.contains("validation_metrics"))
      for (const auto& [name, value] : checkpoint.state.at("validation_metrics").items())
        validation_metrics_.emplace_back(
            name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  } catch (const std::exception& e) {
    if (dynamic_cast<const Error*>(&e)) throw;
    fail(ErrorKind::checkpoint, "the checkpoint lacks part of the loop's state: ", e.what());
  }
  announce_other_ranks(number_in(checkpoint.state, "world_size"));
  for (const auto& callback : callbacks_) callback->on_load_checkpoint(*this, checkpoint);
}

// What each rank has summed up in the epoch so far. Of another number of ranks: the first takes over the
// metrics of all, and what their objectives have gathered is kept by itself until the epoch's end.
void Trainer::restore_sums(const Checkpoint& checkpoint) {
  const std::int64_t world = number_in(checkpoint.state, "world_size");
  const bool same = world == communicator_.world_size();
  const auto& sums = checkpoint.tensors.at("loop.metric_sums");
  const at::Tensor all = sums.to(at::kDouble).sum(0, /*keepdim=*/true);
  const at::Tensor rows = same ? sums : communicator_.is_main() ? all : at::zeros_like(all);
  epoch_sums_.set(checkpoint.state.at("loop").at("metric_names"),
                  row_of(rows, same ? communicator_.rank() : 0));
  const auto gathered = checkpoint.tensors.find("objective.gathered");
  if (gathered == checkpoint.tensors.end()) return;
  const std::int64_t own_rows = same ? world : 0, inherited = gathered->second.size(0) - own_rows;
  inherited_.clear();
  for (std::int64_t row = 0; row < inherited; ++row) inherited_.push_back(row_of(gathered->second, row));
  if (same) job_->objective->set_gathered(row_of(gathered->second, inherited + communicator_.rank()));
}

void Trainer::announce_other_ranks(std::int64_t before) const {
  const std::int64_t world = communicator_.world_size();
  if (before == world || !communicator_.is_main()) return;
  std::string text =
      cat("the run goes on with ", world, " rank(s) where ", before, " were before: batches of ",
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
