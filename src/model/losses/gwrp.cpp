// Heatmap loss, version 2: background by global weighted rank pooling, foreground kept in its natural range.
// Bassi & Cavalli, arXiv 2202.00232 (later versions) and Nature Communications 15:291 (2024); options of
// Faster ISNet, arXiv 2401.08409.
#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "model/losses/heatmap_loss.h"

namespace isnet {
namespace {

struct GwrpOptions {
  std::vector<double> cut{1}, cut2{25};  // C1, C2: one, or one for each class
  double decay = 0.9;                    // d
  double e = 1;                          // E
  double w1 = 1, w2 = 3;
  double eps = 1e-10;
  double channel_decay = 0;              // 0: mean over channels; else GWRP over them
  std::string norm = "roi";              // roi|map|std|roi-signed|none
  std::string right_term = "quadratic";  // quadratic|hybrid|l1
  bool detach_norm = false;
  bool left_sum = false;  // left term: minimum over the sum of classes
};

GwrpOptions parse(const OptionValues& values) {
  GwrpOptions o;
  o.cut = values.reals("cut");
  o.cut2 = values.reals("cut2");
  o.decay = values.real("gwrp-decay");
  o.e = values.real("loss-e");
  o.w1 = values.real("loss-w1");
  o.w2 = values.real("loss-w2");
  o.channel_decay = values.real("loss-channel-decay");
  o.norm = values.text("loss-norm");
  o.right_term = values.text("loss-right-term");
  o.detach_norm = values.flag("loss-detach-norm");
  o.left_sum = values.flag("loss-left-sum");
  if (o.cut.size() != o.cut2.size())
    fail(ErrorKind::usage, "--cut and --cut2 need as many values as each other");
  for (std::size_t i = 0; i < o.cut.size(); ++i)
    if (!(o.cut[i] > 0 && o.cut[i] <= o.cut2[i]))
      fail(ErrorKind::usage, "--cut ", o.cut[i], " and --cut2 ", o.cut2[i], ": required: 0 < cut ≤ cut2");
  return o;
}

class Gwrp : public HeatmapLoss {
 public:
  explicit Gwrp(GwrpOptions options) : o_(std::move(options)) {}

  bool uses_cuts() const override { return true; }

  at::Tensor compute(const at::Tensor& heatmaps, const at::Tensor& masks, const at::Tensor& classes,
                     const AcrossRanks* across) const override {
    const at::Tensor r = heatmaps.to(at::promote_types(heatmaps.scalar_type(), at::kFloat));
    const at::Tensor m = resized_masks(masks, r).expand_as(r);
    const auto [signed_r, h] = finite(r, m, across);
    at::Tensor loss = at::zeros({}, r.options());
    if (o_.w1 != 0) loss = loss + o_.w1 * background(normalized(signed_r, h, m), m);
    if (o_.w2 != 0) loss = loss + o_.w2 * foreground((h * m).sum({2, 3, 4}), classes);
    return loss;
  }

 private:
  // Step 1: R and |R| with NaN replaced by the mean of the finite |R| in the region of interest, infinities
  // by the largest finite value, of the whole batch; the replacements are constants.
  std::pair<at::Tensor, at::Tensor> finite(const at::Tensor& r, const at::Tensor& m,
                                           const AcrossRanks* across) const {
    const at::Tensor absolute = r.abs();
    const at::Tensor good = r.detach().isfinite();
    const auto by_rank = [&](const at::Tensor& own) {
      return across ? across->gather(own) : own.unsqueeze(0);
    };
    if (by_rank(good.all()).all().item<bool>()) return {r, absolute};
    const at::Tensor known = at::where(good, absolute.detach(), at::zeros_like(absolute));
    const at::Tensor largest = known.numel() > 0 ? known.max() : at::zeros({}, known.options());
    const at::Tensor all =
        by_rank(at::stack({(known * m).sum(), (good.to(m.scalar_type()) * m).sum(), largest}));
    const at::Tensor sums = all.sum(0);
    const at::Tensor mean = sums[0] / (sums[1] + o_.eps);
    const at::Tensor replaced = at::where(r.detach().isnan(), mean, all.select(1, 2).max());
    return {at::where(good, r, replaced), at::where(good, absolute, replaced)};
  }

  // Step 2. Maps B×M×3×H×W → the same, normalised.
  at::Tensor normalized(const at::Tensor& r, const at::Tensor& h, const at::Tensor& m) const {
    const std::vector<std::int64_t> map{2, 3, 4};
    const auto divide = [&](const at::Tensor& x, const at::Tensor& by) {
      return x / ((o_.detach_norm ? by.detach() : by) + o_.eps);
    };
    if (o_.norm == "none") return h * static_cast<double>(h.size(2) * h.size(3) * h.size(4));
    if (o_.norm == "map") return divide(h, h.mean(map, true));
    if (o_.norm == "std") {
      const at::Tensor variance = h.var(map, /*unbiased=*/true, /*keepdim=*/true);
      // An all-zero map: the root's derivative is infinite there; its gradient is defined as 0.
      const at::Tensor safe = at::where(variance > 0, variance, at::ones_like(variance));
      return divide(h, at::where(variance > 0, safe.sqrt(), at::zeros_like(variance)));
    }
    const auto roi_mean = [&](const at::Tensor& x) {
      return (x * m).sum(map, true) / (m.sum(map, true) + o_.eps);
    };
    if (o_.norm == "roi-signed") return divide(r, roi_mean(r)).abs();
    return divide(h, roi_mean(h));
  }

  // Step 3, mean over the batch.
  at::Tensor background(const at::Tensor& normalized, const at::Tensor& m) const {
    const at::Tensor g = rank_pooling((normalized * (1 - m)).flatten(3), o_.decay);  // B×M×3
    const at::Tensor l = -at::log(1 - (g / (g + o_.e)).clamp_max(1 - 1e-7));
    return o_.channel_decay > 0 ? rank_pooling(l, o_.channel_decay).mean() : l.mean();
  }

  // Step 4, mean over the batch. f: B×M.
  at::Tensor foreground(const at::Tensor& f, const at::Tensor& classes) const {
    const at::Tensor c1 = cuts(o_.cut, f, classes), c2 = cuts(o_.cut2, f, classes);
    const at::Tensor below = o_.left_sum ? f.sum(1, true) : f;
    const at::Tensor left = ((at::minimum(below, c1) - c1) / c1).square();
    const at::Tensor above = at::maximum(f, c2) - c2;
    at::Tensor right = (above / c1).square();
    if (o_.right_term == "l1") right = above;
    if (o_.right_term == "hybrid") right = at::where(f <= c1 + c2, right, 1 + (f - c1 - c2));
    return left.mean() + right.mean();
  }

  // C1 or C2 for each map: scalar, or B×M or 1×M when there is one for each class.
  at::Tensor cuts(const std::vector<double>& values, const at::Tensor& f, const at::Tensor& classes) const {
    const at::Tensor each = at::tensor(values, at::dtype(at::kDouble)).to(f.options());
    if (values.size() == 1) return each.view({1, 1});
    if (classes.defined()) {
      if (classes.lt(0).any().item<bool>())
        fail(ErrorKind::usage, "--cut has ", values.size(),
             " values, but there are heatmaps that explain several classes at once; allowed: one value");
      return each.index({classes});
    }
    if (f.size(1) != static_cast<std::int64_t>(values.size()))
      fail(ErrorKind::usage, "--cut has ", values.size(), " values for ", f.size(1), " heatmaps an image");
    return each.view({1, -1});
  }

  GwrpOptions o_;
};

const double infinity = std::numeric_limits<double>::infinity();

const Registration<HeatmapLossFactory> gwrp(
    heatmap_losses(),
    {"gwrp",
     "Version 2: background by rank pooling, foreground kept between two cuts",
     {positive_reals_option(
          "cut", "1",
          "gwrp: C1, the smallest relevance of the foreground without a penalty; "
          "one value, or one for each class"),
      positive_reals_option("cut2", "25",
                            "gwrp: C2, the largest relevance of the foreground without a penalty; "
                            "one value, or one for each class"),
      real_option("gwrp-decay", "0.9", "gwrp: d, the weight of each rank relative to the rank before", 0, 1,
                  true),
      real_option("loss-e", "1", "E: relevance at which the background's loss is half of its maximum",
                  0, infinity,
                  true),
      real_option("loss-w1", "1", "gwrp: weight of the background's term", 0, infinity),
      real_option("loss-w2", "3", "gwrp: weight of the foreground's terms", 0, infinity),
      choice_option("loss-norm", "roi",
                    "gwrp: divisor of the maps: mean over the region of interest, mean over the map, "
                    "standard deviation, signed mean, or none",
                    {"roi", "map", "std", "roi-signed", "none"}),
      switch_option("loss-detach-norm", false, "gwrp: treat the divisor as a constant"),
      choice_option("loss-right-term", "quadratic", "gwrp: form of the term above C2",
                    {"quadratic", "hybrid", "l1"}),
      switch_option("loss-left-sum", false, "gwrp: apply the term below C1 to the sum of all maps"),
      real_option("loss-channel-decay", "0", "gwrp: decay of the rank pooling that joins channels; 0: mean",
                  0, 1)},
     [](const OptionValues& options) { return std::make_unique<Gwrp>(parse(options)); }});

}  // namespace
}  // namespace isnet
