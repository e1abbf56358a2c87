// How much of a heatmap lies in the background.
#pragma once

#include <span>

namespace isnet {

/// Σ |R|·(1 − M) / Σ |R| of one heatmap: 0, all relevance is inside the mask; 1, all is outside. Relevance of
/// either sign counts, channel by channel.
/// relevance: F×H×W; mask: H×W (used for every channel), F×H×W, values in [0, 1] (1: region of interest).
/// A heatmap without relevance (all zero, or no elements) has a share of 0; one with a NaN or an infinity
/// has NaN. Sums are in double. Errors: internal, if the mask's size does not divide the heatmap's.
double background_share(std::span<const float> relevance, std::span<const float> mask);
double background_share(std::span<const double> relevance, std::span<const double> mask);

}  // namespace isnet
