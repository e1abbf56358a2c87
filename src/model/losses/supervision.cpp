#include "model/losses/supervision.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"

namespace isnet {
namespace {

// The values of --cut or --cut2 for each place.
std::vector<std::string> by_place(const OptionValues& options, const std::string& name, std::size_t layers,
                                  std::size_t groups) {
  std::vector<std::string> places;
  // Of one kind of maps: one value, or one for each class. Of several: one, or one for each kind.
  const auto values = options.list(name);
  if (groups > 1 && values.size() != 1 && values.size() != groups)
    fail(ErrorKind::usage, "--", name, ": '", options.text(name), "' is not allowed with --heatmaps ",
         options.text("heatmaps"), "; allowed: one value, or ", groups,
         ", one for each of its kinds of maps");
  for (std::size_t group = 0; group < groups; ++group)
    places.push_back(groups == 1 ? options.text(name) : values.size() == 1 ? values[0] : values[group]);
  const std::string hidden = "supervised-" + name;
  const auto given = options.list(hidden);
  const std::size_t count = given.size();
  if (count > 1 && count != layers && count != layers * groups)
    fail(ErrorKind::usage, "--", hidden, ": '", options.text(hidden),
         "' is not allowed; allowed: one value, or ", layers, ", one for each supervised layer",
         groups > 1 ? cat(", or ", layers * groups, ", one for each layer and kind of maps") : "");
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (std::size_t group = 0; group < groups; ++group)
      places.push_back(count == 0        ? std::string(places[group])
                       : count == 1      ? given[0]
                       : count == layers ? given[layer]
                                         : given[layer * groups + group]);
  return places;
}

std::string exact_text(double value) {
  std::array<char, 64> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

}  // namespace

std::vector<OptionSpec> supervision_options() {
  OptionSpec layers = fixed_at_resume(text_option("supervised-layers", "", "NAME,NAME",
                                                  "ISNet: hidden layers whose heatmaps are penalised too"));
  layers.refusal = [](const std::string& text) -> std::string {
    const std::string allowed = "different names of layers, separated by commas";
    std::vector<std::string> seen;
    std::string name;
    for (const char c : text + ",") {
      if (c != ',') {
        name += c;
        continue;
      }
      if (!text.empty() && (name.empty() || std::find(seen.begin(), seen.end(), name) != seen.end()))
        return allowed;
      seen.push_back(std::move(name));
      name.clear();
    }
    return "";
  };
  return {
      layers,
      real_option("supervision-decay", "0.8",
                  "supervised-layers: weight of each layer's loss relative to the next larger loss", 0, 1,
                  true),
      positive_reals_option("supervised-cut", "",
                            "supervised-layers: C1 of hidden layers; one value, or one for each layer "
                            "(default: --cut)"),
      positive_reals_option("supervised-cut2", "", "supervised-layers: C2 of hidden layers (default: --cut2)")};
}

Supervision::Supervision(const OptionValues& options, int groups)
    : layers_(options.list("supervised-layers")),
      groups_(static_cast<std::size_t>(groups)),
      decay_(options.real("supervision-decay")) {
  const auto& factory = heatmap_losses().at(options.text("heatmap-loss")).make;
  const auto c1 = by_place(options, "cut", layers_.size(), groups_);
  const auto c2 = by_place(options, "cut2", layers_.size(), groups_);
  cut_values_ = groups_ == 1 ? options.list("cut").size() : 1;
  for (std::size_t place = 0; place < c1.size(); ++place) {
    OptionValues own = options;
    own.set("cut", c1[place]);
    own.set("cut2", c2[place]);
    cuts_.push_back({own.reals("cut").front(), own.reals("cut2").front()});
    losses_.push_back(factory(own));
  }
}

Supervision::Judgement Supervision::judge(const Heatmaps& heatmaps, const at::Tensor& masks,
                                          const at::Tensor& classes, std::int64_t num_classes,
                                          const AcrossRanks* across) const {
  if (uses_cuts() && cut_values_ != 1 && cut_values_ != static_cast<std::size_t>(num_classes))
    fail(ErrorKind::usage, "--cut and --cut2 have ", cut_values_, " values for ", num_classes,
         " classes; allowed: one value, or one for each class");
  const auto loss_of = [&](std::size_t layer, const at::Tensor& maps) {
    if (groups_ == 1) return losses_[layer]->compute(maps, masks, classes, across);
    const std::int64_t each = maps.size(1) / static_cast<std::int64_t>(groups_);
    at::Tensor sum;
    for (std::size_t group = 0; group < groups_; ++group) {
      const auto own = [&](const at::Tensor& all) {
        return all.narrow(1, static_cast<std::int64_t>(group) * each, each);
      };
      const at::Tensor loss = losses_[layer * groups_ + group]->compute(
          own(maps), masks.dim() == 5 && masks.size(1) == maps.size(1) ? own(masks) : masks,
          classes.defined() ? own(classes) : classes, across);
      sum = sum.defined() ? sum + loss : loss;
    }
    return sum / static_cast<double>(groups_);
  };
  Judgement judgement;
  judgement.total = loss_of(0, heatmaps.pixels);
  if (layers_.empty()) return judgement;
  std::vector<at::Tensor> losses{judgement.total};
  judgement.parts.emplace_back("loss_heatmap_input", judgement.total);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    losses.push_back(loss_of(i + 1, heatmaps.hidden[i]));
    judgement.parts.emplace_back("loss_heatmap_" + layers_[i], losses.back());
  }
  judgement.total = rank_pooling(at::stack(losses), decay_);
  return judgement;
}

void Supervision::gather(CutTuning& tuning, const Heatmaps& heatmaps, std::int64_t samples) const {
  for (std::size_t place = 0; place < places(); ++place) {
    const std::size_t layer = place / groups_, group = place % groups_;
    const at::Tensor& maps = layer == 0 ? heatmaps.pixels : heatmaps.hidden[layer - 1];
    const std::int64_t each = maps.size(1) / static_cast<std::int64_t>(groups_);
    tuning.add(place, maps.narrow(1, static_cast<std::int64_t>(group) * each, each), samples);
  }
}

std::map<std::string, std::string> Supervision::options_of(const std::vector<Cuts>& cuts) const {
  std::map<std::string, std::string> options;
  for (std::size_t place = 0; place < cuts.size(); ++place) {
    const std::string name = place < groups_ ? "cut" : "supervised-cut";
    const auto append = [&](const std::string& option, double value) {
      std::string& list = options[option];
      list += (list.empty() ? "" : ",") + exact_text(value);
    };
    append(name, cuts[place].c1);
    append(name + "2", cuts[place].c2);
  }
  return options;
}

std::vector<std::pair<std::string, double>> Supervision::metrics() const {
  std::vector<std::pair<std::string, double>> metrics;
  for (std::size_t place = 0; place < cuts_.size(); ++place) {
    std::string name = place < groups_ ? "" : "_" + layers_[place / groups_ - 1];
    if (groups_ > 1) name += cat("_", place % groups_);
    metrics.emplace_back("cut" + name, cuts_[place].c1);
    metrics.emplace_back("cut2" + name, cuts_[place].c2);
  }
  return metrics;
}

}  // namespace isnet
