#include "run/perturbation.h"

#include <ATen/ATen.h>

#include <cmath>

#include "model/background_exchange.h"

namespace isnet {
namespace {

// Each pixel's place in the order of relevance, the most relevant at 0.
at::Tensor places_of(const at::Tensor& relevance) {
  const at::Tensor order = relevance.flatten(1).argsort(/*stable=*/true, /*dim=*/1, /*descending=*/true);
  const at::Tensor numbers =
      at::arange(order.size(1), order.options()).unsqueeze(0).expand_as(order).contiguous();
  return at::empty_like(order).scatter_(1, order, numbers).view(relevance.sizes());
}

}  // namespace

at::Tensor perturbed(const at::Tensor& images, const at::Tensor& places, std::int64_t count,
                     Perturbation perturbation) {
  const at::Tensor first = (places < count).unsqueeze(1);
  if (perturbation == Perturbation::deletion) return images.masked_fill(first, 0);
  constexpr double sigma = 0.1;  // of the smaller side
  return at::where(first, images, blurred_images(images, sigma));
}

at::Tensor perturbation_curves(Network& network, const at::Tensor& images, const at::Tensor& relevance,
                               const at::Tensor& classes, std::int64_t steps, Perturbation perturbation,
                               bool multi_label) {
  const at::Tensor places = places_of(relevance);
  const std::int64_t pixels = relevance.size(1) * relevance.size(2);
  at::Tensor curves = at::empty({images.size(0), steps + 1}, at::kDouble);
  for (std::int64_t step = 0; step <= steps; ++step) {
    const auto count =
        std::llround(static_cast<double>(step) * static_cast<double>(pixels) / static_cast<double>(steps));
    const at::Tensor logits = network.logits(perturbed(images, places, count, perturbation)).to(at::kDouble);
    const at::Tensor probabilities = multi_label ? logits.sigmoid() : logits.softmax(1);
    curves.select(1, step).copy_(
        probabilities.gather(1, classes.to(logits.device()).unsqueeze(1)).squeeze(1));
  }
  return curves;
}

}  // namespace isnet
