#include "model/lrp/walk.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/lrp/first_layer.h"

namespace isnet {

at::Tensor Operation::denominator(const Walk& walk, int node) const {
  return walk.output(node);
}

LrpOptions lrp_options(const OptionValues& values) {
  LrpOptions options;
  options.form = values.text("lrp-form") == "flex" ? LrpForm::flex : LrpForm::block;
  options.epsilon = values.real("lrp-epsilon");
  options.first_layer = values.text("first-layer");
  first_layer_rules().at(options.first_layer);  // an unknown name is refused now
  return options;
}

at::Tensor stabilized(const at::Tensor& z, double epsilon) {
  return at::where(z >= 0, z + epsilon, z - epsilon);
}

Walk::Walk(const Tape& tape, const LrpOptions& options, std::int64_t maps)
    : tape_(tape), options_(options), maps_(maps), arrived_(static_cast<std::size_t>(tape.size())) {}

void Walk::pass(int node, const at::Tensor& coefficient, Gate gate) {
  auto& place = arrived_[static_cast<std::size_t>(node)];
  auto& sum = gate == Gate::pending ? place.pending : place.applied;
  sum = sum.defined() ? sum + coefficient : coefficient;
}

at::Tensor Walk::arrived(int node, Gate gate) const {
  const auto& place = arrived_[static_cast<std::size_t>(node)];
  return gate == Gate::pending ? place.pending : place.applied;
}

bool Walk::reached(int node) const {
  const auto& place = arrived_[static_cast<std::size_t>(node)];
  return place.pending.defined() || place.applied.defined();
}

at::Tensor Walk::total(int node) const {
  const auto& place = arrived_[static_cast<std::size_t>(node)];
  if (!place.pending.defined()) return place.applied;
  return place.applied.defined() ? place.pending + place.applied : place.pending;
}

at::Tensor Walk::gated(int node) const {
  const auto& place = arrived_[static_cast<std::size_t>(node)];
  if (options_.form == LrpForm::flex || !place.pending.defined()) return total(node);
  const at::Tensor pending =
      scaled(place.pending, output(node) / stabilized(denominator(node), options_.epsilon));
  return place.applied.defined() ? pending + place.applied : pending;
}

at::Tensor Walk::by_map(const at::Tensor& coefficient) const {
  std::vector<std::int64_t> shape = coefficient.sizes().vec();
  shape[0] /= maps_;
  shape.insert(shape.begin() + 1, maps_);
  return coefficient.view(shape);
}

at::Tensor Walk::scaled(const at::Tensor& coefficient, const at::Tensor& factor) const {
  if (maps_ == 1) return coefficient * factor;
  return (by_map(coefficient) * factor.unsqueeze(1)).view(coefficient.sizes());
}

Logits logits_of(const Tape& tape, Value logits, const LrpOptions& options) {
  const Walk walk(tape, options, 1);
  return {tape.output(logits), walk.denominator(logits.node)};
}

namespace {

// Readers of each node.
std::vector<std::vector<int>> readers_of(const Tape& tape) {
  std::vector<std::vector<int>> readers(static_cast<std::size_t>(tape.size()));
  for (int index = 0; index < tape.size(); ++index)
    for (const int input : tape.node(index).inputs) readers[static_cast<std::size_t>(input)].push_back(index);
  return readers;
}

int marked_node(const Tape& tape, const std::string& name) {
  std::string possible;
  for (const auto& [mark, node] : tape.marks()) {
    if (mark == name) return node;
    possible += (possible.empty() ? "" : ", ") + mark;
  }
  fail(ErrorKind::usage, "--supervised-layers: the network has no layer '", name,
       "'; possible: ", possible.empty() ? "none, it names no layers" : possible);
}

}  // namespace

at::Tensor relevance(const Tape& tape, Value logits, const LrpStart& start, const LrpOptions& options) {
  return relevance(tape, logits, start, options, {}).pixels;
}

Heatmaps relevance(const Tape& tape, Value logits, const LrpStart& start, const LrpOptions& options,
                   const std::vector<std::string>& layers) {
  if (!tape.context().recording)
    fail(ErrorKind::internal, "relevance is asked of a tape that did not record");
  const auto& c = start.coefficients;
  Walk walk(tape, options, c.size(1));
  walk.pass(logits.node, c.flatten(0, 1), start.gated ? Walk::Gate::applied : Walk::Gate::pending);

  const auto rule = first_layer_rules().at(options.first_layer).make();
  const auto first_layers = rule ? find_first_layers(tape, readers_of(tape)) : std::vector<FirstLayer>{};
  Heatmaps heatmaps;
  at::Tensor& heatmap = heatmaps.pixels;
  const auto add = [&](const at::Tensor& part) { heatmap = heatmap.defined() ? heatmap + part : part; };
  std::vector<int> marked;
  for (const auto& name : layers) marked.push_back(marked_node(tape, name));
  heatmaps.hidden.resize(layers.size());
  for (int index = logits.node; index >= 0; --index) {
    if (!walk.reached(index)) continue;
    for (std::size_t i = 0; i < marked.size(); ++i)
      if (marked[i] == index)
        heatmaps.hidden[i] = walk.by_map(walk.scaled(walk.total(index), walk.output(index)));
    const FirstLayer* first = nullptr;
    for (const auto& layer : first_layers)
      if (layer.tail == index) first = &layer;
    if (first)
      add(rule->relevance(walk, *first));
    else if (tape.node(index).inputs.empty())  // x ⊙ c at the pixels
      add(walk.by_map(walk.scaled(walk.total(index), tape.node(index).output)));
    else
      tape.node(index).operation->relevance(walk, index);
  }
  if (!heatmap.defined())
    fail(ErrorKind::usage, "no relevance reaches the pixels: the network does not read them");
  return heatmaps;
}

}  // namespace isnet
