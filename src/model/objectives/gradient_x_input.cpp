// Gradient × input ISNet (arXiv 2202.00232, 2401.08409): the ISNet's heatmap loss on x ⊙ ∂y_c/∂x instead of
// LRP heatmaps.
#include <ATen/ATen.h>

#include "base/error.h"
#include "model/losses/heatmap_loss.h"
#include "model/lrp/selection.h"
#include "model/objectives/heatmap_objective.h"

namespace isnet {
namespace {

constexpr const char* name = "gradient-x-input";

class GradientTimesInput : public HeatmapObjective {
 public:
  explicit GradientTimesInput(const OptionValues& options)
      : HeatmapObjective(options, name, /*groups=*/1),
        softmax_(options.text("gradient-of") == "softmax"),
        multiply_(options.flag("multiply-input")) {}

 private:
  ForwardPass forward(Network& network, const Batch& batch) override {
    return forward_(network, batch, seed());
  }

  JudgedHeatmaps heatmaps(const ForwardPass& pass, const Batch& batch) const override {
    const at::Tensor& y = pass.tape->output(pass.logits);
    const Selected selected = softmax_ ? largest_probability(y) : every_logit(y);
    InputGradients gradients = input_gradients(pass, selected.start.coefficients, layers());
    Heatmaps maps{std::move(gradients.pixels), std::move(gradients.hidden)};
    if (multiply_) {
      maps.pixels = batch.images.unsqueeze(1) * maps.pixels;
      for (std::size_t i = 0; i < maps.hidden.size(); ++i)
        maps.hidden[i] = activation(*pass.tape, layers()[i]).unsqueeze(1) * maps.hidden[i];
    }
    return {std::move(maps), selected_masks(batch.masks, selected), selected.classes};
  }

  static const at::Tensor& activation(const Tape& tape, const std::string& layer) {
    return tape.output({marked_node(tape, layer)});
  }

  static Selected every_logit(const at::Tensor& y) {
    const std::int64_t classes = y.size(1);
    return {{at::eye(classes, y.options()).expand({y.size(0), classes, classes})}, {}};
  }

  // max_c p_c of each image: ∂p_k/∂y = p_k (e_k − p), p live, k constant.
  static Selected largest_probability(const at::Tensor& y) {
    if (y.size(1) == 1)
      fail(ErrorKind::usage,
           "--gradient-of: 'softmax' is not allowed for one class, whose probability is always 1; allowed: "
           "logits");
    const at::Tensor p = y.softmax(1), k = y.detach().argmax(1, /*keepdim=*/true);
    const at::Tensor one_hot = at::zeros_like(p).scatter(1, k, 1.0);
    return {{(p.gather(1, k) * (one_hot - p)).unsqueeze(1)}, k};
  }

  bool softmax_, multiply_;
  GradientForward forward_;
};

std::vector<OptionSpec> options() {
  std::vector<OptionSpec> options = heatmap_objective_options();
  options.push_back(choice_option("gradient-of", "logits",
                                  "gradient-x-input: what to differentiate: each logit, or the largest "
                                  "softmax probability (one map for each image)",
                                  {"logits", "softmax"}));
  options.push_back(switch_option("multiply-input", true,
                                  "gradient-x-input: multiply gradients by the pixels (by the activations at "
                                  "hidden layers)"));
  return options;
}

const NamedTexts defaults{
    {"heatmap-weight", "0.5"}, {"gwrp-decay", "0.996"}, {"dropout", "0"}, {"gradient-clip-val", "1"}};

const Registration<ObjectiveFactory> registration(
    objectives(),
    {.name = name,
     .description = "Classifier with a penalty on pixels times the logits' gradients outside the mask",
     .options = options(),
     .make =
         [](const OptionValues& values) {
           return std::make_unique<GradientTimesInput>(values.completed(defaults));
         },
     .uses = {heatmap_loss_group},
     .defaults = defaults,
     .capabilities = {.needs_masks = true}});

}  // namespace
}  // namespace isnet
