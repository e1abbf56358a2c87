// Small networks of each family with constants that matter, and their heatmaps, in float64.
#pragma once

#include <torch/utils.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "model/lrp/selection.h"
#include "model/lrp/walk.h"
#include "oracle_networks.h"
#include "support/model.h"

namespace isnet::testing {

inline std::shared_ptr<Network> small_network(const std::string& family, std::int64_t classes = 3) {
  torch::manual_seed(7);
  auto options = model_options();
  options.set("growth-rate", "3");
  options.set("init-features", "4");
  options.set("block", family == "bottleneck" ? "bottleneck" : "basic");
  options.set("widths", "2,3");
  options.set("layers", "4,M,5,M");
  options.set("batch-norm", family == "vgg_bn" ? "1" : "0");
  options.set("pool", "2,3");
  options.set("hidden", "6");
  const bool dense = family == "densenet", vgg = family.compare(0, 3, "vgg") == 0;
  options.set("blocks", dense ? "3,2" : "1,2");
  auto network = networks().at(dense ? "densenet" : vgg ? "vgg" : "resnet").make(options, classes);
  network->place(at::kCPU, at::kDouble);
  oracle::randomize_constants(*network);
  const at::NoGradGuard no_grad;
  for (auto& entry : network->named_parameters())  // VGG's linear layers start at deviation 0.01
    if (vgg && entry.key().find("classifier") == 0) entry.value().mul_(20);
  network->eval();
  return network;
}

inline Batch random_batch(std::int64_t size, std::int64_t classes = 3) {
  Batch batch;
  batch.images = at::rand({size, 3, 22, 27}, at::kDouble);
  batch.masks = (at::rand({size, 1, 22, 27}, at::kDouble) > 0.5).to(at::kDouble);
  batch.labels = at::arange(size, at::kLong) % classes;
  batch.ids = at::arange(size, at::kLong);
  return batch;
}

struct Explained {
  at::Tensor logits, heatmaps;
  Selected selected;
};

inline Explained explain(Network& network, const Batch& batch, const OptionValues& options) {
  TapeContext context;
  context.recording = true;
  context.network = &network;
  Tape tape(std::move(context));
  const LrpOptions lrp = lrp_options(options);
  const auto selection = heatmap_selections().at(options.text("heatmaps")).make(options);
  const Value out = network.forward(tape, batch.images);
  Explained explained;
  explained.logits = tape.output(out);
  explained.selected = selection->select(logits_of(tape, out, lrp), batch, 3);
  explained.heatmaps = relevance(tape, out, explained.selected, lrp).pixels;
  return explained;
}

inline OptionValues options_with(const std::map<std::string, std::string>& values) {
  auto options = model_options();
  for (const auto& [name, value] : values) options.set(name, value);
  return options;
}

inline bool finite_gradients(const Network& network) {
  const auto parameters = network.parameters();
  return std::all_of(parameters.begin(), parameters.end(), [](const at::Tensor& p) {
    return !p.grad().defined() || p.grad().isfinite().all().item<bool>();
  });
}

}  // namespace isnet::testing
