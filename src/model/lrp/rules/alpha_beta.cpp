// αβ: α times the share among positive contributions (a w)⁺, b⁺ in their sum, minus β times that among
// negative ones, α − β = 1. Bach et al., PLoS ONE 10(7), e0130140 (2015), equation 60. What has no weights of
// its own (pools, sums) has nothing to weigh against each other, and shares by ε; a max pool's winner takes
// all.
#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "model/lrp/rules/contributions.h"

namespace isnet {
namespace {

class AlphaBeta : public LayerRule {
 public:
  AlphaBeta(double alpha, double beta) : alpha_(alpha), beta_(beta) {
    if (!(std::abs(alpha - beta - 1) <= 1e-12))
      fail(ErrorKind::usage, "--lrp-alpha ", alpha, " and --lrp-beta ", beta, ": required: alpha - beta = 1");
  }

  at::Tensor relevance(const LinearLayer& layer, const std::vector<Reader>& readers,
                       const Walk& walk) const override {
    const bool weighted = layer.kind == LinearLayer::Kind::weighted;
    const at::Tensor& a = layer.input;
    at::Tensor shared;  // by ε, from readers that no weights lead to
    at::Tensor from_positive, from_negative;
    const Contributions sums(layer);
    for (const auto& reader : readers) {
      const at::Tensor bias = fused_bias(layer, reader, sums.positive());
      const auto quotient = [&](double factor, const at::Tensor& z, const at::Tensor& part) {
        const at::Tensor sum = part.defined() ? z + part : z;
        return walk.scaled(reader.relevance, factor / stabilized(sum, reader.epsilon));
      };
      if (!reader.scale.defined() && !weighted) {
        const at::Tensor q = quotient(1, sums.positive() + sums.negative(), {});
        add_to(shared, walk.scaled(layer.transpose(q, {}), a));
        continue;
      }
      const at::Tensor above = bias.defined() ? bias.clamp_min(0) : bias;
      const at::Tensor below = bias.defined() ? bias.clamp_max(0) : bias;
      if (!reader.scale.defined()) {
        add_to(from_positive, quotient(alpha_, sums.positive(), above));
        add_to(from_negative, quotient(-beta_, sums.negative(), below));
        continue;
      }
      // A negative scale makes negative contributions of positive ones.
      const at::Tensor scale = per_channel(reader.scale, sums.positive()), rising = scale.detach() > 0;
      const at::Tensor p =
          scale * quotient(alpha_, scale * at::where(rising, sums.positive(), sums.negative()), above);
      const at::Tensor n =
          scale * quotient(-beta_, scale * at::where(rising, sums.negative(), sums.positive()), below);
      add_to(from_positive, at::where(rising, p, n));
      add_to(from_negative, at::where(rising, n, p));
    }
    if (from_positive.defined()) add_to(shared, sums.back(from_positive, from_negative, walk));
    return shared;
  }

 private:
  double alpha_, beta_;
};

const Registration<LayerRuleFactory> alpha_beta(
    layer_rules(),
    {"alpha-beta",
     "Alpha times the positive minus beta times the negative share",
     {real_option("lrp-alpha", "2", "alpha-beta: weight of positive contributions", 1, 1e6),
      real_option("lrp-beta", "1", "alpha-beta: weight of negative contributions; alpha - beta = 1", 0, 1e6)},
     [](const OptionValues& options) {
       return std::make_shared<AlphaBeta>(options.real("lrp-alpha"), options.real("lrp-beta"));
     }});

}  // namespace
}  // namespace isnet
