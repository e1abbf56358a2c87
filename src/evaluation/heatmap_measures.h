// Where the relevance of one heatmap lies, by the definitions of Quantus (Hedström et al., JMLR 2023).
#pragma once

#include <span>
#include <vector>

namespace isnet {

/// Of one heatmap against one mask. NaN: the mask has no region, or the heatmap is zero or not finite.
struct HeatmapMeasures {
  double background_share = 0;         ///< Σ |R|·(1 − M) / Σ |R| (background_share())
  double relevance_mass_accuracy = 0;  ///< Σ_region |r| / Σ |r|
  double relevance_rank_accuracy =
      0;                     ///< share of the region's size in the most relevant pixels (Arras 2022)
  double pointing_game = 0;  ///< 1: a pixel with the largest relevance is in the region, else 0
};

/// heatmap: F×H×W; mask: H×W in [0, 1], the region is where it is ≥ 0.5. But for background_share, r is the
/// sum over channels of each pixel; of equal r the first pixel counts as more relevant.
HeatmapMeasures measure_heatmap(std::span<const double> heatmap, std::span<const double> mask);

/// r: the sum over channels, H×W. Errors: internal, if `pixels` does not divide the heatmap's size.
std::vector<double> pixel_relevance(std::span<const double> heatmap, std::size_t pixels);

/// Area under a curve over [0, 1] of values at equal distances, by trapezoids; NaN with fewer than 2 values.
double area_under(std::span<const double> values);

}  // namespace isnet
