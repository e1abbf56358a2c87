#include "model/losses/cut_tuning.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace isnet {

void Moments::add(double value) {
  count += 1;
  const double before = value - mean;
  mean += before / count;
  squares += before * (value - mean);
}

void Moments::merge(const Moments& other) {
  if (other.count == 0) return;
  const double total = count + other.count, distance = other.mean - mean;
  mean += distance * (other.count / total);
  squares += other.squares + distance * distance * (count * other.count / total);
  count = total;
}

double Moments::deviation() const {
  return count < 2 ? 0 : std::sqrt(squares / (count - 1));
}

Cuts cuts_of(const Moments& totals) {
  const double m = totals.mean, s = totals.deviation();
  if (!(m > 0))
    fail(ErrorKind::runtime,
         "--tune-cut: ", totals.count == 0 ? "there were no heatmaps" : "all heatmaps were 0", " (",
         totals.count, " of finite relevance): give --cut and --cut2");
  const double c1 = std::max(m / 5, m - 3 * s);
  return {c1, std::min(25 * c1, m + 3 * s)};
}

void CutTuning::add(std::size_t place, const at::Tensor& heatmaps, std::int64_t samples) {
  const at::Tensor totals =
      heatmaps.detach().narrow(0, 0, samples).to(at::kDouble).abs().sum({2, 3, 4}).cpu().contiguous();
  for (std::int64_t i = 0; i < totals.numel(); ++i)
    if (const double total = totals.const_data_ptr<double>()[i]; std::isfinite(total))
      places_[place].add(total);
}

std::vector<double> CutTuning::state() const {
  std::vector<double> state;
  for (const auto& place : places_) state.insert(state.end(), {place.count, place.mean, place.squares});
  return state;
}

void CutTuning::set_state(const std::vector<double>& state) {
  if (state.size() != 3 * places_.size())
    fail(ErrorKind::checkpoint, "the checkpoint has statistics of ", state.size() / 3,
         " kinds of heatmaps, this run has ", places_.size(),
         ": resume with the same --heatmaps and --supervised-layers");
  for (std::size_t i = 0; i < places_.size(); ++i)
    places_[i] = {state[3 * i], state[3 * i + 1], state[3 * i + 2]};
}

std::vector<Moments> CutTuning::merged(const std::vector<std::vector<double>>& states) {
  CutTuning total(states.empty() ? 0 : states.front().size() / 3);
  for (const auto& state : states) {
    CutTuning one(total.places_.size());
    one.set_state(state);
    for (std::size_t i = 0; i < one.places_.size(); ++i) total.places_[i].merge(one.places_[i]);
  }
  return total.places_;
}

}  // namespace isnet
