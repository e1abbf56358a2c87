#include "run/sample_rows.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace isnet {
namespace {

// Doubles of one exchange between ranks.
constexpr std::size_t exchanged_numbers = 1 << 20;

}  // namespace

void SampleRows::add(std::int64_t sample, std::span<const double> row) {
  if (row.size() != width_)
    fail(ErrorKind::internal, "a row of ", row.size(), " numbers among rows of ", width_);
  samples_.push_back(sample);
  rows_.insert(rows_.end(), row.begin(), row.end());
}

// In pieces, so that an exchange takes little memory: each sample's numbers come from the rank that has it,
// and zeros from the others.
void SampleRows::gather(std::int64_t samples, const Communicator& communicator,
                        const std::function<void(std::int64_t, std::span<const double>)>& each) const {
  std::vector<std::size_t> order(samples_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return samples_[a] < samples_[b]; });
  const std::size_t width = width_ + 1, step = std::max<std::size_t>(1, exchanged_numbers / width);
  const auto all = static_cast<std::size_t>(samples);
  std::size_t next = 0;
  for (std::size_t begin = 0; begin < all; begin += step) {
    const std::size_t end = std::min(begin + step, all);
    std::vector<double> piece((end - begin) * width, 0.0);
    for (; next < order.size() && static_cast<std::size_t>(samples_[order[next]]) < end; ++next) {
      double* row = &piece[(static_cast<std::size_t>(samples_[order[next]]) - begin) * width];
      row[0] += 1;
      std::copy_n(&rows_[order[next] * width_], width_, row + 1);
    }
    communicator.all_reduce_sum(piece);
    for (std::size_t i = begin; i < end; ++i) {
      const double* row = &piece[(i - begin) * width];
      if (row[0] == 0) continue;  // left out by a limit
      if (row[0] != 1) fail(ErrorKind::internal, "sample ", i, " was scored ", row[0], " times");
      each(static_cast<std::int64_t>(i), {row + 1, width_});
    }
  }
}

}  // namespace isnet
