#include "evaluation/background_share.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace isnet {
namespace {

template <typename Real>
double share(std::span<const Real> relevance, std::span<const Real> mask) {
  if (relevance.empty()) return 0;
  if (mask.empty() || relevance.size() % mask.size() != 0)
    fail(ErrorKind::internal, "a mask of ", mask.size(), " pixels for a heatmap of ", relevance.size());
  double outside = 0, total = 0;
  for (std::size_t i = 0; i < relevance.size(); ++i) {
    const double magnitude = std::abs(static_cast<double>(relevance[i]));
    total += magnitude;
    outside += magnitude * (1 - static_cast<double>(mask[i % mask.size()]));
  }
  if (!std::isfinite(total)) return std::numeric_limits<double>::quiet_NaN();
  return total > 0 ? outside / total : 0;
}

}  // namespace

double background_share(std::span<const float> relevance, std::span<const float> mask) {
  return share(relevance, mask);
}

double background_share(std::span<const double> relevance, std::span<const double> mask) {
  return share(relevance, mask);
}

}  // namespace isnet
