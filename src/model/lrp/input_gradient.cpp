#include "model/lrp/input_gradient.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {
namespace {

// Down to node `last`, inclusive; what arrives at marked nodes is kept.
class GradientWalk {
 public:
  GradientWalk(const Tape& tape, Value logits, const at::Tensor& start)
      : walk_(tape, options(), start.size(1)), logits_(logits.node) {
    if (!tape.context().recording)
      fail(ErrorKind::internal, "gradients need a tape that records");
    walk_.pass(logits.node, start.flatten(0, 1), Walk::Gate::pending);
  }

  InputGradients run(const std::vector<int>& marked, int last) {
    InputGradients gradients;
    gradients.hidden.resize(marked.size());
    for (int index = logits_; index >= last; --index) {
      if (!walk_.reached(index)) continue;
      for (std::size_t i = 0; i < marked.size(); ++i)
        if (marked[i] == index) gradients.hidden[i] = walk_.by_map(walk_.total(index));
      if (index == last && last > 0) break;
      step(index, gradients);
      walk_.release(index);
    }
    return gradients;
  }

 private:
  static const LrpOptions& options() {
    static const LrpOptions options = [] {
      LrpOptions gradient;
      gradient.form = LrpForm::gradient;
      gradient.first_layer = "epsilon";
      return gradient;
    }();
    return options;
  }

  void step(int index, InputGradients& gradients) {
    const Operation& operation = *walk_.tape().node(index).operation;
    if (const auto* input = dynamic_cast<const Input*>(&operation)) {
      const at::Tensor here = walk_.by_map(walk_.total(index)) * (input->high - input->low);
      gradients.pixels = gradients.pixels.defined() ? gradients.pixels + here : here;
      return;
    }
    if (!operation.has_gradient())
      fail(ErrorKind::usage, "the network has a ", operation.name(), " (", walk_.tape().place(index),
           "), through which no explicit gradient passes");
    operation.relevance(walk_, index);
  }

  Walk walk_;
  int logits_;
};

}  // namespace

bool has_input_gradients(const Tape& tape) {
  for (int index = 0; index < tape.size(); ++index)
    if (!tape.node(index).operation->has_gradient()) return false;
  return true;
}

InputGradients input_gradients(const Tape& tape, Value logits, const at::Tensor& start,
                               const std::vector<std::string>& layers) {
  std::vector<int> marked;
  for (const auto& name : layers) marked.push_back(marked_node(tape, name));
  InputGradients gradients = GradientWalk(tape, logits, start).run(marked, 0);
  if (!gradients.pixels.defined())
    fail(ErrorKind::usage, "no gradient reaches the pixels: the network does not read them");
  return gradients;
}

at::Tensor gradient_at(const Tape& tape, Value logits, const at::Tensor& start, const std::string& layer) {
  const int node = marked_node(tape, layer);
  return GradientWalk(tape, logits, start).run({node}, node).hidden[0];
}

}  // namespace isnet
