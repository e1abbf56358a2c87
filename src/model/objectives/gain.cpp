// GAIN (Li et al., "Tell me where to look", CVPR 2018), with extra supervision by masks: class activation
// maps are trained to cover all that speaks for a class, L = L_c + α·L_am + w·L_e.
#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/profile.h"
#include "model/global_sums.h"
#include "model/losses/classification_loss.h"
#include "model/losses/heatmap_loss.h"
#include "model/objectives/grad_cam.h"
#include "model/objectives/objective.h"

namespace isnet {
namespace {

// What a step knows: maps S of classes, and which of them are of labels.
struct Maps {
  at::Tensor all;      // B×K×H×W; undefined where only the label's are needed
  at::Tensor labels;   // single labels: B×H×W
  at::Tensor present;  // several labels: B×K, 0 or 1
};

class Gain : public Objective {
 public:
  explicit Gain(const OptionValues& options)
      : seed_(static_cast<std::uint64_t>(options.integer("seed"))),
        alpha_(options.real("gain-alpha")),
        omega_(options.real("gain-omega")),
        sigma_(options.real("gain-sigma")),
        extra_weight_(options.real("gain-weight")),
        modified_(options.text("gain-map") == "modified"),
        sigmoid_(options.text("gain-probabilities") == "sigmoid"),
        update_in_both_(options.flag("gain-update-statistics-twice")),
        layer_(options.text("gain-layer")),
        classification_loss_(options) {
    form_.rectified = !modified_ || options.flag("gain-relu");
    form_.absolute = modified_ && options.flag("gain-abs");
    form_.largest = modified_ ? options.real("gain-clamp") : 0;
    if (!modified_)
      for (const char* name : {"gain-relu", "gain-abs", "gain-clamp"})
        if (options.given(name) && options.text(name) != "0")
          fail(ErrorKind::usage, "--", name, ": '", options.text(name),
               "' is not allowed with --gain-map normal; use --gain-map modified");
  }

  std::vector<double> class_weights() const override { return classification_loss_.class_weights(); }
  std::vector<std::string> loss_names() const override {
    return {"loss_classification", "loss_attention_mining", "loss_extra"};
  }
  bool sums_over_ranks() const override { return true; }

  Losses compute(Network& network, const Batch& batch) override {
    if (batch.size() == 0 && !batch.across) return without_samples(batch);
    profile::Scope scope(profile::Phase::forward);
    const ForwardPass pass = forward_(network, batch, seed_);
    const at::Tensor& y = pass.tape->output(pass.logits);
    const at::Tensor classification = classification_loss_(*pass.tape, pass.logits, batch);
    scope.next(profile::Phase::relevance);
    const Maps maps = maps_of(pass, y, batch);
    const bool several = batch.labels.dim() == 2;
    const GlobalSums labels(batch, several ? maps.present.sum().item<double>() : 0);
    const at::Tensor mined_sum = several ? mining_of_pairs(network, batch, maps, labels) : at::Tensor();
    const at::Tensor mining = several ? labels.share(mined_sum, std::max(labels.total(), 1.0))
                                      : mining_of_labels(network, batch, maps);
    scope.next(profile::Phase::loss);
    Losses losses;
    losses.total = classification + alpha_ * mining;
    losses.parts = {{"loss_classification", classification}, {"loss_attention_mining", mining}};
    at::Tensor extra_sum;
    if (batch.masks.defined()) {
      if (several) extra_sum = extra_of_labels(batch, maps);
      const at::Tensor extra =
          several ? labels.share(extra_sum, labels.total() + added_labels) : mean_extra(batch, maps);
      losses.total = losses.total + extra_weight_ * extra;
      losses.parts.emplace_back("loss_extra", extra);
    }
    losses.logits = pass.tape->prediction(pass.logits);
    if (several && !network.is_training()) losses.sums = sums_of(labels.total(), mined_sum, extra_sum);
    return losses;
  }

  // Of a split with several labels a sample, both terms divide by the number of its labels.
  void summarise(NamedNumbers& means, const std::vector<double>& sums) const override {
    const double mining = sums.at(1) / std::max(sums.at(0), 1.0);
    double total = number_of(means, "loss_classification") + alpha_ * mining;
    number_of(means, "loss_attention_mining") = mining;
    if (sums.size() > 2) {
      const double extra = sums[2] / (sums[0] + added_labels);
      number_of(means, "loss_extra") = extra;
      total += extra_weight_ * extra;
    }
    number_of(means, "loss") = total;
  }

 private:
  static constexpr double added_labels = 1e-5;  // to their number, which may be 0

  // What summarise() divides: labels, what their mined images come to, squared differences of their maps.
  static at::Tensor sums_of(double labels, const at::Tensor& mined, const at::Tensor& extra) {
    std::vector<double> sums{labels, mined.item<double>()};
    if (extra.defined()) sums.push_back(extra.item<double>());
    return at::tensor(sums, at::kDouble);
  }

  // The others' sums need this rank's, though it has nothing to add.
  static Losses without_samples(const Batch& batch) {
    if (batch.labels.dim() == 2) GlobalSums(batch, 0);
    return {};
  }

  Maps maps_of(const ForwardPass& pass, const at::Tensor& y, const Batch& batch) const {
    if (!batch.labels.defined())
      fail(ErrorKind::data, "the data set has no labels, which this objective needs");
    const std::string layer = layer_.empty() ? last_layer(*pass.tape) : layer_;
    const std::int64_t height = batch.images.size(2), width = batch.images.size(3), classes = y.size(1);
    const bool several = batch.labels.dim() == 2;
    Maps maps;
    if (several || modified_) {
      const at::Tensor targets = at::eye(classes, y.options()).expand({y.size(0), classes, classes});
      maps.all = grad_cam(pass, targets, layer, height, width, form_);
    }
    if (several) {
      maps.present = batch.labels.gt(0.5).to(y.scalar_type());
    } else if (modified_) {
      const at::Tensor index = batch.labels.view({-1, 1, 1, 1}).expand({-1, 1, height, width});
      maps.labels = maps.all.gather(1, index).squeeze(1);
    } else {
      const at::Tensor targets = at::one_hot(batch.labels, classes).to(y.scalar_type()).unsqueeze(1);
      maps.labels = grad_cam(pass, targets, layer, height, width, form_).squeeze(1);
    }
    return maps;
  }

  // x − x·σ(ω(S − σ)): what is left of images where their maps (N×H×W) are large.
  at::Tensor mined(const at::Tensor& images, const at::Tensor& maps) const {
    return images - images * (omega_ * (maps - sigma_)).sigmoid().unsqueeze(1);
  }

  // Logits of the second pass; running statistics are the first one's business.
  at::Tensor second_pass(Network& network, const Batch& batch, const at::Tensor& images,
                         const at::Tensor& ids) const {
    TapeContext context = context_for(network, batch, seed_ + 1, /*recording=*/false);
    context.ids = ids;
    if (context.statistics == BatchStatistics::batch_update && !update_in_both_)
      context.statistics = BatchStatistics::batch;
    Tape tape(std::move(context));
    return tape.output(network.forward(tape, images));
  }

  at::Tensor mining_of_labels(Network& network, const Batch& batch, const Maps& maps) const {
    const at::Tensor z = second_pass(network, batch, mined(batch.images, maps.labels), batch.ids);
    const at::Tensor p = sigmoid_ ? z.sigmoid() : z.softmax(1);
    return p.gather(1, batch.labels.view({-1, 1})).mean();
  }

  // Images mined with the map of each of their labels, all in one batch; the sum of their labels' σ. Ranks
  // have different numbers of them; one that has none takes part where batch statistics are those of all.
  at::Tensor mining_of_pairs(Network& network, const Batch& batch, const Maps& maps,
                             const GlobalSums& labels) const {
    const at::Tensor pairs = maps.present.nonzero();  // N×2
    if (labels.total() == 0 || (pairs.size(0) == 0 && !batch.across)) return maps.all.sum() * 0;
    const at::Tensor b = pairs.select(1, 0), k = pairs.select(1, 1);
    const at::Tensor images = mined(batch.images.index({b}), maps.all.index({b, k}));
    const at::Tensor ids = batch.ids.defined() ? batch.ids.index({b.cpu()}) : batch.ids;
    const at::Tensor z = second_pass(network, batch, images, ids);
    return z.gather(1, k.unsqueeze(1)).sigmoid().sum();
  }

  // Mean squared difference of all maps and masks: B×K.
  static at::Tensor differences(const Batch& batch, const Maps& maps) {
    const at::Tensor masks =
        batch.masks.dim() == 5 ? batch.masks : batch.masks.unsqueeze(1);  // B×(1|K)×C×H×W
    return (maps.all.unsqueeze(2) - masks).square().mean({2, 3, 4});
  }

  // Single labels: over images, and the label's map or (modified) all classes'.
  static at::Tensor mean_extra(const Batch& batch, const Maps& maps) {
    if (maps.all.defined()) return differences(batch, maps).mean();
    at::Tensor mask = batch.masks;
    if (mask.dim() == 5) mask = mask.take_along_dim(batch.labels.view({-1, 1, 1, 1, 1}), 1).squeeze(1);
    return (maps.labels.unsqueeze(1) - mask).square().mean();
  }

  // Several labels: the sum over them.
  static at::Tensor extra_of_labels(const Batch& batch, const Maps& maps) {
    return (differences(batch, maps) * maps.present).sum();
  }

  std::uint64_t seed_;
  double alpha_, omega_, sigma_, extra_weight_;
  bool modified_, sigmoid_, update_in_both_;
  std::string layer_;
  GradCamForm form_;
  ClassificationLoss classification_loss_;
  GradientForward forward_;
};

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> options = classification_loss_options();
  for (auto& more :
       {real_option("gain-alpha", "1", "gain: weight of the attention mining loss", 0, 1e300),
        real_option("gain-omega", "10", "gain: steepness of the soft mask", 0, 1e300),
        real_option("gain-sigma", "0.5", "gain: value of a map at which the soft mask is one half", -1e300,
                    1e300),
        real_option("gain-weight", "10", "gain: weight of the extra supervision, where there are masks", 0,
                    1e300),
        choice_option(
            "gain-map", "normal",
            "gain: ReLU of the weighted sum (normal); or the sum itself with the options below, "
            "and extra supervision of all classes' maps (modified)",
            {"normal", "modified"}),
        switch_option("gain-relu", false, "gain, modified map: apply a ReLU first"),
        switch_option("gain-abs", false, "gain, modified map: then take the absolute value"),
        real_option("gain-clamp", "0", "gain, modified map: then limit values to this; 0: no limit",
                    0, 1e300),
        choice_option("gain-probabilities", "softmax",
                      "gain, single labels: probability that is to fall on mined images",
                      {"softmax", "sigmoid"}),
        switch_option("gain-update-statistics-twice", false,
                      "gain: let mined images update batch norms' running statistics too"),
        text_option("gain-layer", "", "NAME", "gain: feature map (default: the network's last)")})
    options.push_back(more);
  return options;
}

const Registration<ObjectiveFactory> registration(
    objectives(),
    {.name = "gain",
     .description = "Classifier whose class activation maps are to cover what it looks at (GAIN)",
     .options = options(),
     .make = [](const OptionValues& values) { return std::make_unique<Gain>(values); },
     .defaults = {{"gradient-clip-val", "1"}}});

}  // namespace
}  // namespace isnet
