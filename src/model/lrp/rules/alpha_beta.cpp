// αβ: α times the share among positive contributions (a w)⁺, b⁺ in their sum, minus β times that among
// negative ones, α − β = 1. Bach et al., PLoS ONE 10(7), e0130140 (2015), equation 60. What has no weights of
// its own (pools, sums) has nothing to weigh against each other, and shares by ε; a max pool's winner takes
// all.
#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "model/lrp/layer_rule.h"

namespace isnet {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& term) {
  sum = sum.defined() ? sum + term : term;
}

class AlphaBeta : public LayerRule {
 public:
  AlphaBeta(double alpha, double beta) : alpha_(alpha), beta_(beta) {
    if (!(std::abs(alpha - beta - 1) <= 1e-12))
      fail(ErrorKind::usage, "--lrp-alpha ", alpha, " and --lrp-beta ", beta, ": needed is alpha - beta = 1");
  }

  at::Tensor relevance(const LinearLayer& layer, const std::vector<Reader>& readers,
                       const Walk& walk) const override {
    const bool weighted = layer.kind == LinearLayer::Kind::weighted;
    const at::Tensor& a = layer.input;
    at::Tensor shared;  // by ε, from readers that no weights lead to
    at::Tensor from_positive, from_negative;
    const Contributions sums(layer);
    for (const auto& reader : readers) {
      const at::Tensor bias = fused_bias(layer, reader, sums.positive);
      const auto quotient = [&](double factor, const at::Tensor& z, const at::Tensor& part) {
        const at::Tensor sum = part.defined() ? z + part : z;
        return walk.scaled(reader.relevance, factor / stabilized(sum, reader.epsilon));
      };
      if (!reader.scale.defined() && !weighted) {
        const at::Tensor q = quotient(1, sums.positive + sums.negative, {});
        add_to(shared, walk.scaled(layer.transpose(q, {}), a));
        continue;
      }
      const at::Tensor above = bias.defined() ? bias.clamp_min(0) : bias;
      const at::Tensor below = bias.defined() ? bias.clamp_max(0) : bias;
      if (!reader.scale.defined()) {
        add_to(from_positive, quotient(alpha_, sums.positive, above));
        add_to(from_negative, quotient(-beta_, sums.negative, below));
        continue;
      }
      // A negative scale makes negative contributions of positive ones.
      const at::Tensor scale = per_channel(reader.scale, sums.positive), rising = scale.detach() > 0;
      const at::Tensor p =
          scale * quotient(alpha_, scale * at::where(rising, sums.positive, sums.negative), above);
      const at::Tensor n =
          scale * quotient(-beta_, scale * at::where(rising, sums.negative, sums.positive), below);
      add_to(from_positive, at::where(rising, p, n));
      add_to(from_negative, at::where(rising, n, p));
    }
    if (from_positive.defined()) add_to(shared, sums.back(from_positive, from_negative, walk));
    return shared;
  }

 private:
  // Σ (a w)⁺ and Σ (a w)⁻, and the way back by each: (a w)⁺ = a⁺ w⁺ + a⁻ w⁻, (a w)⁻ = a⁺ w⁻ + a⁻ w⁺.
  struct Contributions {
    explicit Contributions(const LinearLayer& layer)
        : layer_(layer), mixed_(layer.input.detach().lt(0).any().item<bool>()) {
      a_plus_ = mixed_ ? layer.input.clamp_min(0) : layer.input;
      if (mixed_) a_minus_ = layer.input.clamp_max(0);
      if (weighted()) {
        plus_ = layer.weight.clamp_min(0);
        minus_ = layer.weight.clamp_max(0);
      }
      positive = layer.forward(a_plus_, plus_);
      negative = weighted() ? layer.forward(a_plus_, minus_) : at::zeros_like(positive);
      if (!mixed_) return;
      negative = negative + layer.forward(a_minus_, plus_);
      if (weighted()) positive = positive + layer.forward(a_minus_, minus_);
    }

    at::Tensor back(const at::Tensor& p, const at::Tensor& n, const Walk& walk) const {
      const auto through = [&](const at::Tensor& by_plus, const at::Tensor& by_minus, const at::Tensor& a) {
        at::Tensor sum = layer_.transpose(by_plus, plus_);
        if (weighted()) sum = sum + layer_.transpose(by_minus, minus_);
        return walk.scaled(sum, a);
      };
      const at::Tensor result = through(p, n, a_plus_);
      return mixed_ ? result + through(n, p, a_minus_) : result;
    }

    at::Tensor positive, negative;

   private:
    bool weighted() const { return layer_.kind == LinearLayer::Kind::weighted; }
    const LinearLayer& layer_;
    bool mixed_;
    at::Tensor a_plus_, a_minus_, plus_, minus_;
  };

  double alpha_, beta_;
};

const Registration<LayerRuleFactory> alpha_beta(
    layer_rules(),
    {"alpha-beta",
     "alpha times the positive minus beta times the negative share",
     {real_option("lrp-alpha", "2", "alpha-beta: weight of positive contributions", 1, 1e6),
      real_option("lrp-beta", "1", "alpha-beta: weight of negative contributions; alpha - beta = 1", 0, 1e6)},
     [](const OptionValues& options) {
       return std::make_shared<AlphaBeta>(options.real("lrp-alpha"), options.real("lrp-beta"));
     }});

}  // namespace
}  // namespace isnet
