#include "model/segmentation.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace isnet {
namespace {

// The places that `size` places, `before` in front of them and some behind are read from, to and fro between
// the edges: 2 1 0 1 2 … n−1 n−2 ….
at::Tensor reflected_places(std::int64_t size, std::int64_t before, std::int64_t whole) {
  if (size == 1) return at::zeros({whole}, at::kLong);
  const std::int64_t period = 2 * (size - 1);
  const at::Tensor place = (at::arange(whole, at::kLong) - before).remainder(period);
  return at::minimum(place, period - place);
}

// One axis of an image that is enlarged so that pixels' logits cover it: where the image begins in it, and
// where in the logits.
struct Extension {
  std::int64_t whole, image_first, logit_first;
  Extension(const Network& network, std::int64_t side) : whole(network.fitting_side(side)) {
    const std::int64_t covered = network.output_side(whole), margin = (whole - covered) / 2;
    logit_first = (covered - side) / 2;
    image_first = margin + logit_first;
  }
};

at::Tensor extended(const at::Tensor& images, int axis, const Extension& extension) {
  const std::int64_t side = images.size(axis);
  if (extension.whole == side) return images;
  return images.index_select(
      axis, reflected_places(side, extension.image_first, extension.whole).to(images.device()));
}

}  // namespace

OptionSpec mask_threshold_option() {
  return real_option("mask-threshold", "0.5",
                     "Hard masks and scores: probability above which a pixel belongs to the region", 0, 1);
}

std::vector<OptionSpec> mask_form_options() {
  return {
      choice_option("mask-form", "hard", "Masks that a U-Net makes: 0 and 1 (hard), or probabilities (soft)",
                    {"hard", "soft"}),
      mask_threshold_option(),
      real_option("mask-clip-low", "", "Soft masks: largest probability that becomes 0 (0.1 is usual)", 0, 1),
      real_option("mask-clip-high", "", "Soft masks: smallest probability that becomes 1 (0.8 is usual)", 0,
                  1)};
}

MaskForm mask_form(const OptionValues& options) {
  MaskForm form;
  form.soft = options.text("mask-form") == "soft";
  form.threshold = options.real("mask-threshold");
  if (options.has("mask-clip-low")) form.low = options.real("mask-clip-low");
  if (options.has("mask-clip-high")) form.high = options.real("mask-clip-high");
  if (!form.soft)
    for (const char* name : {"mask-clip-low", "mask-clip-high"})
      if (options.has(name))
        fail(ErrorKind::usage, "--", name, ": is not allowed with --mask-form hard; allowed: with soft");
  if (form.low && form.high && *form.low >= *form.high)
    fail(ErrorKind::usage, "--mask-clip-low: '", options.text("mask-clip-low"),
         "' is not allowed; allowed: less than --mask-clip-high, which is ", options.text("mask-clip-high"));
  return form;
}

at::Tensor pixel_probabilities(Network& network, const at::Tensor& images) {
  const at::NoGradGuard no_grad;
  const Extension rows(network, images.size(2)), columns(network, images.size(3));
  TapeContext context;
  context.network = &network;
  context.multiplication = network.multiplication;
  Tape tape(std::move(context));
  const Outputs out = network.outputs(tape, extended(extended(images, 2, rows), 3, columns));
  const at::Tensor& logits = tape.output(out.pixels);
  return at::softmax(logits.to(at::promote_types(logits.scalar_type(), at::kFloat)), 1)
      .narrow(2, rows.logit_first, images.size(2))
      .narrow(3, columns.logit_first, images.size(3));
}

at::Tensor region_probabilities(const at::Tensor& probabilities) {
  return probabilities.narrow(1, 1, probabilities.size(1) - 1).sum(1, /*keepdim=*/true);
}

at::Tensor masks_of(const at::Tensor& probabilities, const MaskForm& form) {
  if (!form.soft) return probabilities.gt(form.threshold).to(probabilities.scalar_type());
  at::Tensor masks = probabilities;
  if (form.low) masks = at::where(probabilities.le(*form.low), at::zeros_like(masks), masks);
  if (form.high) masks = at::where(probabilities.ge(*form.high), at::ones_like(masks), masks);
  return masks;
}

}  // namespace isnet
