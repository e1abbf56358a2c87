#include "distributed/communicator.h"

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace isnet {

struct Communicator::Group {
  BackendPlace place;
  ProcessGroupOptions options;
  int made = 0;
  c10::intrusive_ptr<c10d::ProcessGroup> process_group;

  c10::intrusive_ptr<c10d::ProcessGroup> next() {
    return make_process_group(place, cat("group-", made++), options);
  }
};

namespace {

at::Tensor bytes_tensor(const std::string& bytes) {
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(bytes.size())}, at::kByte);
  if (!bytes.empty()) std::memcpy(tensor.data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

std::string bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), static_cast<std::size_t>(tensor.numel())};
}

void all_reduce(const Communicator& communicator, const char* operation, at::Tensor tensor,
                c10d::ReduceOp::RedOpType reduction) {
  std::vector<at::Tensor> tensors{std::move(tensor)};
  c10d::AllreduceOptions options;
  options.reduceOp = reduction;
  const auto group = communicator.process_group();
  complete(*group, operation, [&] { return group->allreduce(tensors, options); });
}

std::int64_t extreme(const Communicator& communicator, const char* operation, std::int64_t value,
                     c10d::ReduceOp::RedOpType reduction) {
  if (!communicator.process_group()) return value;
  at::Tensor tensor = at::full({1}, value, at::kLong);
  all_reduce(communicator, operation, tensor, reduction);
  return tensor.item<std::int64_t>();
}

}  // namespace

Communicator::Communicator() : group_(std::make_shared<Group>()) {}

Communicator::Communicator(World& world, const ProcessGroupOptions& options)
    : rank_(world.rank()),
      world_size_(world.size()),
      local_rank_(world.local_rank()),
      local_size_(world.local_size()),
      group_(std::make_shared<Group>()) {
  group_->options = options;
  group_->place = meet(world, options);
  group_->process_group = group_->next();
  if (group_->process_group) backend_ = group_->process_group->getBackend(options.device)->getBackendName();
}

c10::intrusive_ptr<c10d::ProcessGroup> Communicator::process_group() const {
  return group_->process_group;
}

c10::intrusive_ptr<c10d::ProcessGroup> Communicator::new_process_group() const {
  return group_->next();
}

void Communicator::all_reduce_sum(std::vector<double>& values) const {
  if (!process_group() || values.empty()) return;
  const auto size = static_cast<std::int64_t>(values.size());
  all_reduce(*this, "the sum of metrics", at::from_blob(values.data(), {size}, at::kDouble),
             c10d::ReduceOp::SUM);
}

double Communicator::sum(double value) const {
  std::vector<double> values{value};
  all_reduce_sum(values);
  return values.front();
}

std::int64_t Communicator::maximum(std::int64_t value) const {
  return extreme(*this, "the maximum over ranks", value, c10d::ReduceOp::MAX);
}

std::int64_t Communicator::minimum(std::int64_t value) const {
  return extreme(*this, "the minimum over ranks", value, c10d::ReduceOp::MIN);
}

void Communicator::broadcast(std::string& bytes, int root) const {
  if (!process_group()) return;
  c10d::BroadcastOptions options;
  options.rootRank = root;
  const auto send = [&](at::Tensor tensor) {
    std::vector<at::Tensor> tensors{std::move(tensor)};
    complete(*process_group(), "a broadcast", [&] { return process_group()->broadcast(tensors, options); });
    return tensors.front();
  };
  const auto size =
      send(at::full({1}, static_cast<std::int64_t>(bytes.size()), at::kLong)).item<std::int64_t>();
  if (size == 0) return bytes.clear();
  bytes = bytes_of(send(rank_ == root ? bytes_tensor(bytes) : at::empty({size}, at::kByte)));
}

std::vector<std::string> Communicator::all_gather(const std::string& text) const {
  if (!process_group()) return {text};
  const auto gather = [&](at::Tensor mine) {
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int rank = 0; rank < world_size_; ++rank) outputs[0].push_back(at::empty_like(mine));
    std::vector<at::Tensor> inputs{std::move(mine)};
    complete(*process_group(), "gathering texts",
             [&] { return process_group()->allgather(outputs, inputs); });
    return outputs[0];
  };
  const auto sizes = gather(at::full({1}, static_cast<std::int64_t>(text.size()), at::kLong));
  std::int64_t longest = 1;
  for (const auto& size : sizes) longest = std::max(longest, size.item<std::int64_t>());
  std::string padded = text;
  padded.resize(static_cast<std::size_t>(longest), '\0');
  const auto texts = gather(bytes_tensor(padded));
  std::vector<std::string> result;
  for (std::size_t rank = 0; rank < texts.size(); ++rank)
    result.push_back(
        bytes_of(texts[rank]).substr(0, static_cast<std::size_t>(sizes[rank].item<std::int64_t>())));
  return result;
}

void Communicator::barrier() const {
  if (process_group()) maximum(0);
}

void check_same_on_all_ranks(const Communicator& communicator, const std::vector<Fact>& facts) {
  const auto all = communicator.all_gather(joined(facts));
  std::vector<std::size_t> others;
  for (std::size_t rank = 1; rank < all.size(); ++rank)
    if (all[rank] != all.front()) others.push_back(rank);
  if (!others.empty()) refuse_difference(others, separated(all[others.front()]), separated(all.front()));
}

}  // namespace isnet
