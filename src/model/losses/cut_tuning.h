// Choosing C1 and C2 from the heatmaps of a plain classifier (--tune-cut).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace isnet {

/// Count, mean and sum of squared deviations of the numbers seen, without the cancellation of Σx² − (Σx)²/n
/// (Welford, Technometrics 1962).
struct Moments {
  double count = 0, mean = 0, squares = 0;

  void add(double value);
  /// As if this had seen the other's numbers too (Chan, Golub & LeVeque, COMPSTAT 1982).
  void merge(const Moments& other);
  /// Sample standard deviation (n − 1); 0 for fewer than two numbers.
  double deviation() const;
};

/// C1 and C2 (--cut, --cut2), in units of Σ|R| of a map.
struct Cuts {
  double c1, c2;
};

/// C1 = max(m/5, m − 3s), C2 = min(25·C1, m + 3s), of the totals Σ|R| of single maps. Errors: runtime, where
/// there were no maps, or all were zero.
Cuts cuts_of(const Moments& totals);

/// Gathers Σ|R| of heatmaps for several places at once: a place has cuts of its own (a supervised layer, and
/// in it a group of maps).
class CutTuning {
 public:
  explicit CutTuning(std::size_t places) : places_(places) {}

  /// heatmaps B×M×F×H×W, of which the first `samples` images count. Maps that are not finite are left out.
  void add(std::size_t place, const at::Tensor& heatmaps, std::int64_t samples);

  /// Three numbers for each place, which set_state() takes back bitwise.
  std::vector<double> state() const;
  void set_state(const std::vector<double>& state);

  const std::vector<Moments>& places() const { return places_; }

  /// The moments over ranks, merged in the order of the states given: whoever has the same states has the
  /// same result, bit by bit.
  static std::vector<Moments> merged(const std::vector<std::vector<double>>& states);

 private:
  std::vector<Moments> places_;
};

}  // namespace isnet
