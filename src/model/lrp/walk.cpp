#include "model/lrp/walk.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "model/lrp/first_layer.h"
#include "model/lrp/layer_rule.h"

namespace isnet {

at::Tensor Operation::compute(const Tape&, int) const {
  fail(ErrorKind::internal, "the output of a ", name(), " is missing on the tape");
}

at::Tensor Operation::denominator(const Walk& walk, int node) const {
  return walk.output(node);
}

namespace {

// "NAME=E,NAME=E"; nothing where the text is none.
std::optional<std::vector<std::pair<std::string, double>>> layer_epsilons(const std::string& text) {
  std::vector<std::pair<std::string, double>> result;
  const OptionSpec number = real_option("", "", "", 0, 1e300, true);
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    const std::string entry = text.substr(start, end - start);
    const std::size_t middle = entry.find('=');
    if (middle == 0 || middle == std::string::npos || !number.refusal(entry.substr(middle + 1)).empty())
      return std::nullopt;
    result.emplace_back(entry.substr(0, middle), std::stod(entry.substr(middle + 1)));
    start = end + 1;
    if (end + 1 == text.size()) return std::nullopt;  // a comma at the end
  }
  return result;
}

// The gates of a layer, named as it or as a module around it. Errors: usage.
std::vector<double> epsilons_by_node(const Tape& tape, const LrpOptions& options) {
  if (options.layer_epsilons.empty()) return {};
  std::vector<double> epsilons(static_cast<std::size_t>(tape.size()), options.epsilon);
  const auto names = tape.layer_names();
  for (const auto& [layer, epsilon] : options.layer_epsilons) {
    bool found = false;
    for (std::size_t node = 0; node < names.size(); ++node)
      if (names[node] == layer || names[node].compare(0, layer.size() + 1, layer + ".") == 0) {
        epsilons[node] = epsilon;
        found = true;
      }
    if (!found)
      fail(ErrorKind::usage, "--lrp-layer-epsilon: the network has no layer '", layer,
           "'; allowed: names of its layers, as in the names of its weights, or their beginnings");
  }
  return epsilons;
}

}  // namespace

std::vector<OptionSpec> lrp_option_specs() {
  OptionSpec by_layer = text_option("lrp-layer-epsilon", "", "NAME=E,NAME=E",
                                    "Epsilon of some layers, by name or by the beginning of names");
  by_layer.refusal = [](const std::string& text) -> std::string {
    return layer_epsilons(text) ? "" : "NAME=E, separated by commas, every E above 0";
  };
  return {
      choice_option("lrp-form", "block", "ISNet: where epsilon enters", {"block", "flex"}),
      real_option("lrp-epsilon", "0.01", "ISNet: epsilon of LRP", 0, 1e300, true), std::move(by_layer),
      switch_option("checkpoint-activations", false,
                    "ISNet: compute the walk's coefficients again in the backward pass instead of keeping "
                    "them: saves memory, takes time")};
}

LrpOptions lrp_options(const OptionValues& values) {
  LrpOptions options;
  options.form = values.text("lrp-form") == "flex" ? LrpForm::flex : LrpForm::block;
  options.epsilon = values.real("lrp-epsilon");
  options.layer_epsilons = layer_epsilons(values.text("lrp-layer-epsilon")).value();
  options.first_layer = values.text("first-layer");
  options.checkpoint_activations = values.flag("checkpoint-activations");
  first_layer_rules().at(options.first_layer);  // an unknown name is refused now
  options.rule = layer_rules().at(values.text("lrp-rule")).make(values);
  if (options.rule && options.form == LrpForm::flex)
    fail(ErrorKind::usage, "--lrp-rule: '", values.text("lrp-rule"),
         "' is not allowed with --lrp-form flex, which is defined for epsilon; use --lrp-form block");
  return options;
}

at::Tensor stabilized(const at::Tensor& z, double epsilon) {
  return at::where(z >= 0, z + epsilon, z - epsilon);
}

Walk::Walk(const Tape& tape, const LrpOptions& options, std::int64_t maps)
    : tape_(tape),
      options_(options),
      maps_(maps),
      epsilons_(epsilons_by_node(tape, options)),
      arrived_(static_cast<std::size_t>(tape.size())) {}

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
  if (options_.form != LrpForm::block || !pending.defined()) return total(node);
  const at::Tensor passed = scaled(pending, output(node) / stabilized(denominator(node), epsilon(node)));
  return applied.defined() ? passed + applied : passed;
}

at::Tensor Walk::by_map(const at::Tensor& coefficient) const {
  std::vector<std::int64_t> shape = coefficient.sizes().vec();
  shape[0] /= maps_;
  shape.insert(shape.begin() + 1, maps_);
  return coefficient.view(shape);
}

at::Tensor Walk::scaled(const at::Tensor& coefficient, const at::Tensor& factor) const {
  if (tape_.context().fused && fused::supports(coefficient) && fused::supports(factor) &&
      coefficient.sizes().slice(1) == factor.sizes().slice(1) &&
      coefficient.size(0) == maps_ * factor.size(0) && coefficient.scalar_type() == factor.scalar_type())
    return fused::scaled(coefficient, factor, maps_);
  if (maps_ == 1) return coefficient * factor;
  return (by_map(coefficient) * factor.unsqueeze(1)).view(coefficient.sizes());
}

Logits logits_of(const Tape& tape, Value logits, const LrpOptions& options) {
  const Walk walk(tape, options, 1);
  return {tape.output(logits), walk.denominator(logits.node), walk.epsilon(logits.node)};
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

// Of the steps that the logits come from; what else there is on the tape, the walk does not meet.
void refuse_unknown_operations(const Tape& tape, Value logits) {
  std::vector<bool> met(static_cast<std::size_t>(tape.size()));
  met[static_cast<std::size_t>(logits.node)] = true;
  for (int index = logits.node; index >= 0; --index) {
    if (!met[static_cast<std::size_t>(index)]) continue;
    for (const int input : tape.node(index).inputs) met[static_cast<std::size_t>(input)] = true;
    if (const auto& operation = *tape.node(index).operation; !operation.has_rule())
      fail(ErrorKind::usage, "the network has a ", operation.name(), " (", tape.place(index),
           "), for which there is no relevance rule: use --objective classifier (or rrr, gradient-x-input or "
           "gain, which need none), a network whose operations have rules (docs/networks.md), or give it one "
           "(docs/lrp.md, Adding an operation)");
  }
}

}  // namespace

int marked_node(const Tape& tape, const std::string& name) {
  std::string possible;
  for (const auto& [mark, node] : tape.marks()) {
    if (mark == name) return node;
    possible += (possible.empty() ? "" : ", ") + mark;
  }
  fail(ErrorKind::usage, "--supervised-layers: the network has no layer '", name,
       "'; possible: ", possible.empty() ? "none, it names no layers" : possible);
}

namespace {

// What a walk with coefficients and one with relevance itself have in common, seen from the nodes.
class Coefficients {
 public:
  Coefficients(const Tape& tape, const LrpOptions& options, Value logits, const LrpStart& start)
      : walk_(tape, options, start.coefficients.size(1)) {
    walk_.pass(logits.node, start.coefficients.flatten(0, 1),
               start.gated ? Walk::Gate::applied : Walk::Gate::pending);
  }
  const Walk& base() const { return walk_; }
  bool reached(int node) const { return walk_.reached(node); }
  void release(int node) { walk_.release(node); }
  void pass(int node) { walk_.tape().node(node).operation->relevance(walk_, node); }
  at::Tensor relevance(int node) const { return walk_.scaled(walk_.total(node), walk_.output(node)); }
  TailRelevance at_tail(int node) const {
    return {walk_.total(node), walk_.output(node),
            !walk_.tape().node(node).operation->has_gate() ||
                !walk_.arrived(node, Walk::Gate::applied).defined()};
  }

 private:
  Walk walk_;
};

class Relevances {
 public:
  Relevances(const Tape& tape, const LrpOptions& options, Value logits, const LrpStart& start)
      : walk_(tape, options, start.coefficients.size(1)) {
    if (start.gated)
      fail(ErrorKind::usage, "this selection of heatmaps is defined for --lrp-rule epsilon only");
    const auto head = tape.node(logits).operation->linear_layer(walk_.base(), logits.node);
    const at::Tensor y = tape.output(logits);
    const at::Tensor from =
        head && head->kind == LinearLayer::Kind::weighted ? options.rule->start(*head, y) : y;
    walk_.pass(logits.node, (start.coefficients * from.unsqueeze(1)).flatten(0, 1));
  }
  const Walk& base() const { return walk_.base(); }
  bool reached(int node) const { return walk_.reached(node); }
  void release(int node) { walk_.release(node); }
  void pass(int node) { walk_.tape().node(node).operation->share(walk_, node); }
  at::Tensor relevance(int node) const { return walk_.total(node); }
  TailRelevance at_tail(int node) const { return {walk_.total(node), {}, !walk_.fused(node)}; }

 private:
  LayerWalk walk_;
};

template <typename State>
Heatmaps go_back(const Tape& tape, Value logits, State state, const LrpOptions& options,
                 const std::vector<std::string>& layers) {
  const auto rule = first_layer_rules().at(options.first_layer).make();
  const auto first_layers = rule ? find_first_layers(tape, readers_of(tape)) : std::vector<FirstLayer>{};
  Heatmaps heatmaps;
  at::Tensor& heatmap = heatmaps.pixels;
  const auto add = [&](const at::Tensor& part) { heatmap = heatmap.defined() ? heatmap + part : part; };
  std::vector<int> marked;
  for (const auto& name : layers) marked.push_back(marked_node(tape, name));
  heatmaps.hidden.resize(layers.size());
  for (int index = logits.node; index >= 0; --index) {
    if (!state.reached(index)) continue;
    for (std::size_t i = 0; i < marked.size(); ++i)
      if (marked[i] == index) heatmaps.hidden[i] = state.base().by_map(state.relevance(index));
    const FirstLayer* first = nullptr;
    for (const auto& layer : first_layers)
      if (layer.tail == index) first = &layer;
    if (first)
      add(rule->relevance(state.base(), *first, state.at_tail(index)));
    else if (tape.node(index).inputs.empty())  // the pixels
      add(state.base().by_map(state.relevance(index)));
    else
      state.pass(index);
    state.release(index);
  }
  if (heatmap.defined() && tape.region().defined()) heatmap = heatmap * tape.region().unsqueeze(1);
  if (!heatmap.defined())
    fail(ErrorKind::usage, "no relevance reaches the pixels: the network does not read them");
  return heatmaps;
}

}  // namespace

at::Tensor relevance(const Tape& tape, Value logits, const LrpStart& start, const LrpOptions& options) {
  return relevance(tape, logits, start, options, {}).pixels;
}

Heatmaps relevance(const Tape& tape, Value logits, const LrpStart& start, const LrpOptions& options,
                   const std::vector<std::string>& layers) {
  if (!tape.context().recording)
    fail(ErrorKind::internal, "relevance needs a tape that records");
  refuse_unknown_operations(tape, logits);
  if (options.rule) return go_back(tape, logits, Relevances(tape, options, logits, start), options, layers);
  return go_back(tape, logits, Coefficients(tape, options, logits, start), options, layers);
}

}  // namespace isnet
