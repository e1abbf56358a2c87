#include "model/lrp/walk.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "model/lrp/first_layer.h"

namespace isnet {

at::Tensor Operation::compute(const Tape&, int) const {
  fail(ErrorKind::internal, "the output of a ", name(), " is missing on the tape");
}

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

Walk::Arrived::Sum& Walk::sum(int node, Gate gate) {
  auto& place = arrived_[static_cast<std::size_t>(node)];
  return gate == Gate::pending ? place.pending : place.applied;
}

void Walk::pass(int node, const at::Tensor& coefficient, Gate gate) {
  auto& [value, own] = sum(node, gate);
  own = value.defined();
  value = own ? value + coefficient : coefficient;
  ++arrived_[static_cast<std::size_t>(node)].count;
}

at::Tensor Walk::take(int node, Gate gate) {
  auto& place = sum(node, gate);
  return place.own ? std::exchange(place.value, {}) : at::Tensor();
}

void Walk::put(int node, at::Tensor value, Gate gate) {
  if (sum(node, gate).value.defined()) return pass(node, value, gate);
  sum(node, gate) = {std::move(value), /*own=*/true};
  ++arrived_[static_cast<std::size_t>(node)].count;
}

void Walk::release(int node) {
  arrived_[static_cast<std::size_t>(node)] = {};
}

const fused::Origin& Walk::origin(int node) const {
  static const fused::Origin none;
  const auto& place = arrived_[static_cast<std::size_t>(node)];
  return options_.checkpoint_activations && place.count == 1 ? place.origin : none;
}

void Walk::set_origin(int node, fused::Origin origin) {
  arrived_[static_cast<std::size_t>(node)].origin = std::move(origin);
}

at::Tensor Walk::arrived(int node, Gate gate) const {
  const auto& place = arrived_[static_cast<std::size_t>(node)];
  return gate == Gate::pending ? place.pending.value : place.applied.value;
}

bool Walk::reached(int node) const {
  return arrived(node, Gate::pending).defined() || arrived(node, Gate::applied).defined();
}

at::Tensor Walk::total(int node) const {
  const auto pending = arrived(node, Gate::pending), applied = arrived(node, Gate::applied);
  if (!pending.defined()) return applied;
  return applied.defined() ? pending + applied : pending;
}

at::Tensor Walk::gated(int node) const {
  const auto pending = arrived(node, Gate::pending), applied = arrived(node, Gate::applied);
  if (options_.form == LrpForm::flex || !pending.defined()) return total(node);
  const at::Tensor passed = scaled(pending, output(node) / stabilized(denominator(node), options_.epsilon));
  return applied.defined() ? passed + applied : passed;
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

// Readers of each node. A deferred step that nobody needed is none.
std::vector<std::vector<int>> readers_of(const Tape& tape) {
  std::vector<std::vector<int>> readers(static_cast<std::size_t>(tape.size()));
  for (int index = 0; index < tape.size(); ++index)
    if (tape.node(index).output.defined())
      for (const int input : tape.node(index).inputs)
        readers[static_cast<std::size_t>(input)].push_back(index);
  return readers;
}

void refuse_unknown_operations(const Tape& tape) {
  for (int index = 0; index < tape.size(); ++index)
    if (const auto& operation = *tape.node(index).operation; !operation.has_rule())
      fail(
          ErrorKind::usage, "the network has a ", operation.name(), " (", tape.place(index),
          "), for which there is no relevance rule: use --objective classifier, or give it one (docs/lrp.md, "
          "Adding an operation)");
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
  refuse_unknown_operations(tape);
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
      add(walk.by_map(walk.scaled(walk.total(index), tape.output({index}))));
    else
      tape.node(index).operation->relevance(walk, index);
    walk.release(index);
  }
  if (!heatmap.defined())
    fail(ErrorKind::usage, "no relevance reaches the pixels: the network does not read them");
  return heatmaps;
}

}  // namespace isnet
