#include <ATen/ATen.h>

#include "model/lrp/operations/operations.h"
#include "model/lrp/walk.h"

namespace isnet {

// c ← c · a/(z' + ε s(z')): where z > 0 numerator and denominator are equal in value and differ in gradient.
void Relu::relevance(Walk& walk, int node) const {
  const int input = walk.tape().node(node).inputs[0];
  const at::Tensor gate = walk.output(node) / stabilized(walk.denominator(input), walk.options().epsilon);
  walk.pass(input, walk.scaled(walk.total(node), gate), Walk::Gate::applied);
}

Value Tape::relu(Value x) {
  return record(std::make_unique<Relu>(), {x.node}, at::relu(output(x)));
}

}  // namespace isnet
