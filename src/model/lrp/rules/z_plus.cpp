// z⁺: relevance goes where contributions are positive, R_j = Σ_k (a_j w_jk)⁺ R_k / (z⁺_k + ε s(z⁺_k)) with
// z⁺ = Σ (a w)⁺ + b⁺; for a ≥ 0 these are a w⁺. Montavon et al., Pattern Recognition 65 (2017).
#include <ATen/ATen.h>

#include "model/lrp/rules/contributions.h"

namespace isnet {
namespace {

class ZPlus : public LayerRule {
 public:
  at::Tensor relevance(const LinearLayer& layer, const std::vector<Reader>& readers,
                       const Walk& walk) const override {
    const Contributions sums(layer);
    // A max pool's winner takes all, whatever its sign.
    const bool winner = layer.kind == LinearLayer::Kind::winner;
    at::Tensor taken, from_positive, from_negative;
    for (const auto& reader : readers) {
      const at::Tensor bias = fused_bias(layer, reader, sums.positive());
      const auto quotient = [&](const at::Tensor& z, const at::Tensor& numerator) {
        const at::Tensor sum = bias.defined() ? z + bias.clamp_min(0) : z;
        const at::Tensor by = stabilized(sum, reader.epsilon);
        return walk.scaled(reader.relevance, numerator.defined() ? numerator / by : by.reciprocal());
      };
      if (!reader.scale.defined()) {
        if (winner)
          add_to(taken, layer.transpose(quotient(sums.positive() + sums.negative(), {}), {}));
        else
          add_to(from_positive, quotient(sums.positive(), {}));
        continue;
      }
      // A negative scale makes positive contributions of negative ones.
      const at::Tensor scale = per_channel(reader.scale, sums.positive()), rising = scale.detach() > 0;
      const at::Tensor none = at::zeros({}, scale.options());
      const bool falling = !rising.all().item<bool>();
      const at::Tensor q =
          quotient(scale * at::where(rising, sums.positive(), falling ? sums.negative() : none), scale);
      add_to(from_positive, at::where(rising, q, none));
      if (falling) add_to(from_negative, at::where(rising, none, q));
    }
    at::Tensor shared = taken.defined() ? walk.scaled(taken, layer.input) : taken;
    if (from_positive.defined()) add_to(shared, sums.back(from_positive, from_negative, walk));
    return shared;
  }

  // The logits that positive contributions and biases make.
  at::Tensor start(const LinearLayer& head, const at::Tensor&) const override {
    const at::Tensor z = Contributions(head).positive();
    return head.live_bias.defined() ? z + head.live_bias.clamp_min(0) : z;
  }
};

const Registration<LayerRuleFactory> z_plus(
    layer_rules(), {"zplus", "z+: positive contributions alone", {}, [](const OptionValues&) {
                      return std::make_shared<ZPlus>();
                    }});

}  // namespace
}  // namespace isnet
