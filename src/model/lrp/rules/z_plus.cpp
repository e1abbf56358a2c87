// z⁺: relevance goes where contributions are positive, R_j = a_j Σ_k w⁺_jk R_k / (z⁺_k + ε s(z⁺_k)) with
// z⁺ = Σ a w⁺ + b⁺. Montavon et al., Pattern Recognition 65 (2017); αβ with α = 1 for a ≥ 0.
#include <ATen/ATen.h>

#include "model/lrp/layer_rule.h"

namespace isnet {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& term) {
  sum = sum.defined() ? sum + term : term;
}

class ZPlus : public LayerRule {
 public:
  at::Tensor relevance(const LinearLayer& layer, const std::vector<Reader>& readers,
                       const Walk& walk) const override {
    const bool weighted = layer.kind == LinearLayer::Kind::weighted;
    const at::Tensor a = layer.kind == LinearLayer::Kind::sum ? layer.input.clamp_min(0) : layer.input;
    const at::Tensor plus = weighted ? layer.weight.clamp_min(0) : at::Tensor();
    const at::Tensor minus = weighted ? layer.weight.clamp_max(0) : at::Tensor();
    const at::Tensor above = layer.forward(a, plus);
    at::Tensor below;                  // Σ a w⁻: the positive part of what a negative scale makes of w
    at::Tensor from_plus, from_minus;  // quotients that go back by w⁺ and by w⁻
    for (const auto& reader : readers) {
      const at::Tensor bias = fused_bias(layer, reader, above);
      const auto quotient = [&](const at::Tensor& z, const at::Tensor& numerator) {
        const at::Tensor sum = bias.defined() ? z + bias.clamp_min(0) : z;
        const at::Tensor by = stabilized(sum, reader.epsilon);
        return walk.scaled(reader.relevance, numerator.defined() ? numerator / by : by.reciprocal());
      };
      if (!reader.scale.defined()) {
        add_to(from_plus, quotient(above, {}));
        continue;
      }
      const at::Tensor scale = per_channel(reader.scale, above), rising = scale.detach() > 0;
      const bool mixed = weighted && !rising.all().item<bool>();
      if (mixed && !below.defined()) below = layer.forward(a, minus);
      const at::Tensor none = at::zeros({}, above.options());
      const at::Tensor q = quotient(scale * at::where(rising, above, mixed ? below : none), scale);
      add_to(from_plus, at::where(rising, q, none));
      if (mixed) add_to(from_minus, at::where(rising, none, q));
    }
    at::Tensor shared = layer.transpose(from_plus, plus);
    if (from_minus.defined()) shared = shared + layer.transpose(from_minus, minus);
    return walk.scaled(shared, a);
  }

  // The logits of positive weights and biases.
  at::Tensor start(const LinearLayer& head, const at::Tensor&) const override {
    const at::Tensor z = head.forward(head.input, head.weight.clamp_min(0));
    return head.live_bias.defined() ? z + head.live_bias.clamp_min(0) : z;
  }
};

const Registration<LayerRuleFactory> z_plus(
    layer_rules(), {"zplus", "z+: positive contributions alone", {}, [](const OptionValues&) {
                      return std::make_shared<ZPlus>();
                    }});

}  // namespace
}  // namespace isnet
