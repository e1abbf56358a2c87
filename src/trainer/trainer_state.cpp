// What a checkpoint holds of the fit loop, and how it goes on from there.
#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"
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

std::vector<double> row_of(const at::Tensor& matrix, int row) {
  const at::Tensor values = matrix[row].to(at::kDouble).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace

// A run goes on with the data and the ranks that it began with, or its position means nothing.
void Trainer::refuse_other_circumstances(const Checkpoint& checkpoint, const TrainingJob& job) const {
  const auto number = [&](const char* name) {
    const auto found = checkpoint.state.find(name);
    if (found == checkpoint.state.end() || !found->is_number_integer())
      fail(ErrorKind::checkpoint, "the checkpoint lacks '", name, "'");
    return found->get<std::int64_t>();
  };
  if (number("train_samples") != job.train->size())
    fail(ErrorKind::usage, "--resume: the checkpoint was trained on ", number("train_samples"),
         " samples, --data has ", job.train->size(), ": resume on the same data");
  if (number("world_size") != communicator_.world_size())
    fail(ErrorKind::usage, "--resume: the checkpoint is one of ", number("world_size"),
         " rank(s), this run has ", communicator_.world_size(), ": resume with as many ranks");
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
    checkpoint.tensors["objective.gathered"] = matrix_of(by_rank(gathered));
  for (const auto& [name, value] : job_->objective->found_options())
    checkpoint.state["found_options"][name] = value;
  checkpoint.state["loop"] = {{"epoch", position_.epoch},
                              {"batch", position_.batch},
                              {"global_step", position_.global_step},
                              {"metric_names", epoch_sums_.names()},
                              {"bad_steps", guard_.state()},
                              {"gradient_scaler", scaler_.state()},
                              {"nonfinite_relevance", {nonfinite_values_, nonfinite_samples_}}};
  checkpoint.state["bucket_plan"] = parallel_->bucket_plan();
  checkpoint.state["world_size"] = communicator_.world_size();
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
  refuse_other_circumstances(checkpoint, *job_);
  load_weights("the checkpoint", model, *job_->network);
  job_->optimizer->load_state(optimizer);
  try {
    const auto& loop = checkpoint.state.at("loop");
    position_.epoch = loop.at("epoch");
    position_.batch = loop.at("batch");
    position_.global_step = loop.at("global_step");
    if (loop.contains("bad_steps")) guard_.load_state(loop.at("bad_steps"));
    if (scaler_.enabled()) scaler_.load_state(loop.at("gradient_scaler"));
    epoch_sums_.set(loop.at("metric_names"),
                    row_of(checkpoint.tensors.at("loop.metric_sums"), communicator_.rank()));
    if (loop.contains("nonfinite_relevance")) {
      nonfinite_values_ = loop.at("nonfinite_relevance").at(0);
      nonfinite_samples_ = loop.at("nonfinite_relevance").at(1);
    }
    if (checkpoint.tensors.count("objective.gathered"))
      job_->objective->set_gathered(
          row_of(checkpoint.tensors.at("objective.gathered"), communicator_.rank()));
    if (checkpoint.state.contains("found_options"))
      job_->objective->set_found_options(checkpoint.state.at("found_options").get<NamedTexts>());
    parallel_->restore_bucket_plan(checkpoint.state.at("bucket_plan").get<BucketPlan>());
    if (checkpoint.state.contains("validation_metrics"))
      for (const auto& [name, value] : checkpoint.state.at("validation_metrics").items())
        validation_metrics_.emplace_back(
            name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  } catch (const std::exception& e) {
    if (dynamic_cast<const Error*>(&e)) throw;
    fail(ErrorKind::checkpoint, "the checkpoint lacks part of the loop's state: ", e.what());
  }
  for (const auto& callback : callbacks_) callback->on_load_checkpoint(*this, checkpoint);
}

}  // namespace isnet
