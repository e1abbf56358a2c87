#include "distributed/group_across_ranks.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include "base/error.h"
#include "distributed/autograd_state.h"

namespace isnet {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

const char* operation() {
  return torch::autograd::get_current_graph_task_id() < 0
             ? "exchanging statistics of the global batch in the forward pass"
             : "exchanging statistics of the global batch in the backward pass";
}

class RanksOfGroup : public AcrossRanks, public std::enable_shared_from_this<RanksOfGroup> {
 public:
  explicit RanksOfGroup(c10::intrusive_ptr<c10d::ProcessGroup> group) : group_(std::move(group)) {}

  at::Tensor gather(const at::Tensor& own) const override {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> inputs{own.detach().contiguous()};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int rank = 0; rank < group_->getSize(); ++rank) outputs[0].push_back(at::empty_like(inputs[0]));
    complete(*group_, operation(), [&] { return group_->allgather(outputs, inputs); });
    return at::stack(outputs[0]);
  }

  at::Tensor sum(const at::Tensor& own) const override;

  at::Tensor constant_sum(const at::Tensor& own) const {
    std::vector<at::Tensor> tensors{own.detach().clone(at::MemoryFormat::Contiguous)};
    complete(*group_, operation(), [&] { return group_->allreduce(tensors); });
    return tensors.front();
  }

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
};

// A sum over ranks is its own adjoint.
struct Sum : torch::autograd::Function<Sum> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& own,
                            const std::shared_ptr<const RanksOfGroup>& ranks) {
    keep(context, ranks);
    return ranks->constant_sum(own);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    return {kept<std::shared_ptr<const RanksOfGroup>>(context)->sum(gradients[0]), {}};
  }
};

at::Tensor RanksOfGroup::sum(const at::Tensor& own) const {
  return Sum::apply(own, shared_from_this());
}

}  // namespace

std::shared_ptr<const AcrossRanks> across_ranks(c10::intrusive_ptr<c10d::ProcessGroup> group) {
  if (!group)
    fail(ErrorKind::usage,
         "statistics over ranks need a process group, and there is none; allowed in a world of one: "
         "across_ranks(Communicator)");
  return std::make_shared<RanksOfGroup>(std::move(group));
}

std::shared_ptr<const AcrossRanks> across_ranks(const Communicator& communicator) {
  const auto group = communicator.new_process_group();
  return group ? across_ranks(group) : nullptr;
}

}  // namespace isnet
