#include "model/background_exchange.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace isnet {
namespace {

constexpr double unknown_grey = 0.5;  // where nothing is known of a background

std::size_t place_of(const std::string& name, const std::vector<std::string>& names, const char* option) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  std::string allowed;
  for (const auto& one : names) allowed += (allowed.empty() ? "" : ", ") + one;
  fail(ErrorKind::usage, "--", option, ": '", name, "' is not allowed; allowed: ", allowed);
}

// Sums over known pixels, and the share of pixels that are known.
struct Level {
  at::Tensor sums, known;
};

Level halved(const Level& level) {
  const auto halve = [](const at::Tensor& x) {
    return at::avg_pool2d(x, {2, 2}, {2, 2}, {0, 0}, /*ceil_mode=*/true, /*count_include_pad=*/false);
  };
  return {halve(level.sums), halve(level.known)};
}

at::Tensor inpainted(const at::Tensor& images, const at::Tensor& foreground) {
  std::vector<Level> levels{{images * (1 - foreground), 1 - foreground}};
  while (levels.back().sums.size(2) > 1 || levels.back().sums.size(3) > 1)
    levels.push_back(halved(levels.back()));
  const Level& top = levels.back();
  at::Tensor estimate = at::where(top.known > 0, top.sums / top.known.clamp_min(1e-12), unknown_grey);
  for (std::size_t i = levels.size() - 1; i-- > 0;) {
    const auto& [sums, known] = levels[i];
    const at::Tensor above =
        at::upsample_bilinear2d(estimate, {sums.size(2), sums.size(3)}, /*align_corners=*/false);
    estimate = sums + (1 - known) * above;
  }
  return estimate;
}

// Rows (or columns) from the first to behind the last that hold something; empty where none does.
struct Range {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

Range range_of(const at::Tensor& flags) {
  const at::Tensor places = flags.nonzero();
  if (places.size(0) == 0) return {};
  return {places[0][0].item<std::int64_t>(), places[-1][0].item<std::int64_t>() + 1};
}

// Indices that repeat `strip` over so many places.
at::Tensor repeated(const Range& strip, std::int64_t places) {
  return at::arange(places, at::kLong).remainder(strip.size()) + strip.begin;
}

// image: C×H×W; object: H×W, whether it is there.
at::Tensor tiled(const at::Tensor& image, const at::Tensor& foreground, const at::Tensor& object) {
  const Range rows = range_of(object.any(1)), columns = range_of(object.any(0));
  if (rows.size() == 0) return image;
  const std::int64_t height = image.size(1), width = image.size(2);
  const Range beside =
      columns.begin >= width - columns.end ? Range{0, columns.begin} : Range{columns.end, width};
  const Range over = rows.begin >= height - rows.end ? Range{0, rows.begin} : Range{rows.end, height};
  if (beside.size() == 0 && over.size() == 0)
    return inpainted(image.unsqueeze(0), foreground.unsqueeze(0)).squeeze(0);
  at::Tensor filled = image.clone();
  at::Tensor box = filled.slice(1, rows.begin, rows.end).slice(2, columns.begin, columns.end);
  if (beside.size() * height >= over.size() * width) {
    const at::Tensor from = repeated(beside, columns.size()).to(image.device());
    box.copy_(image.slice(1, rows.begin, rows.end).index_select(2, from));
  } else {
    const at::Tensor from = repeated(over, rows.size()).to(image.device());
    box.copy_(image.slice(2, columns.begin, columns.end).index_select(1, from));
  }
  return filled;
}

// Rows are Gaussians that are cut off at the ends and sum to 1.
at::Tensor gaussian_matrix(std::int64_t size, double sigma, const at::TensorOptions& like) {
  const at::Tensor place = at::arange(size, at::kDouble);
  const at::Tensor distance = (place.unsqueeze(1) - place.unsqueeze(0)) / sigma;
  const at::Tensor weights = (-0.5 * distance * distance).exp();
  return (weights / weights.sum(1, /*keepdim=*/true)).to(like);
}

SampleRandom random_of(const at::Tensor& ids, std::int64_t place, const BackgroundOptions& options) {
  return {options.seed, Purpose::background, options.draw,
          static_cast<std::uint64_t>(ids.const_data_ptr<std::int64_t>()[place])};
}

at::Tensor noise(const at::Tensor& images, const at::Tensor& ids, const BackgroundOptions& options) {
  const std::int64_t channels = images.size(1);
  const at::Tensor first = images.detach().narrow(1, 0, 1);
  const at::Tensor grey = images.detach().eq(first).flatten(1).all(1).cpu().contiguous();
  at::Tensor values = at::empty(images.sizes(), at::kFloat);  // draws of 24 bits are exact in it
  for (std::int64_t b = 0; b < images.size(0); ++b) {
    SampleRandom random = random_of(ids, b, options);
    const bool one = grey.const_data_ptr<bool>()[b];
    at::Tensor drawn = at::empty({one ? 1 : channels, images.size(2), images.size(3)}, at::kFloat);
    std::generate_n(drawn.data_ptr<float>(), drawn.numel(),
                    [&] { return static_cast<float>(random.uniform()); });
    values[b].copy_(drawn.expand_as(values[b]));
  }
  return values.to(images.options());
}

// Pixels of the background change places with each other.
at::Tensor shuffled(const at::Tensor& images, const at::Tensor& foreground, const at::Tensor& ids,
                    const BackgroundOptions& options) {
  const std::int64_t pixels = images.size(2) * images.size(3);
  const at::Tensor background = foreground.detach().le(0.5).flatten(1).cpu().contiguous();
  at::Tensor sources = at::arange(pixels, at::kLong).repeat({images.size(0), 1});
  for (std::int64_t b = 0; b < images.size(0); ++b) {
    const bool* is_background = background.const_data_ptr<bool>() + b * pixels;
    std::vector<std::int64_t> places;
    for (std::int64_t i = 0; i < pixels; ++i)
      if (is_background[i]) places.push_back(i);
    std::vector<std::int64_t> from = places;
    SampleRandom random = random_of(ids, b, options);
    for (std::size_t left = from.size(); left > 1; --left)  // Fisher and Yates
      std::swap(from[left - 1], from[random.below(static_cast<std::uint32_t>(left))]);
    auto* row = sources.data_ptr<std::int64_t>() + b * pixels;
    for (std::size_t i = 0; i < places.size(); ++i) row[places[i]] = from[i];
  }
  const at::Tensor index =
      sources.to(images.device()).unsqueeze(1).expand({images.size(0), images.size(1), pixels});
  return images.flatten(2).gather(2, index).view(images.sizes());
}

}  // namespace

const std::vector<std::string>& background_kinds() {
  static const std::vector<std::string> names{"swap", "noise", "blur", "constant", "shuffle"};
  return names;
}

const std::vector<std::string>& background_fills() {
  static const std::vector<std::string> names{"inpaint", "tile"};
  return names;
}

BackgroundKind background_kind(const std::string& name, const char* option) {
  return static_cast<BackgroundKind>(place_of(name, background_kinds(), option));
}

BackgroundFill background_fill(const std::string& name, const char* option) {
  return static_cast<BackgroundFill>(place_of(name, background_fills(), option));
}

at::Tensor joint_foreground(const at::Tensor& masks) {
  return masks.dim() == 5 ? masks.amax(1) : masks;
}

at::Tensor filled_background(const at::Tensor& images, const at::Tensor& foreground, BackgroundFill fill) {
  if (fill == BackgroundFill::inpaint) return inpainted(images, foreground);
  const at::Tensor objects = foreground.detach().gt(0.5).cpu();
  std::vector<at::Tensor> filled;
  for (std::int64_t b = 0; b < images.size(0); ++b)
    filled.push_back(tiled(images[b], foreground[b], objects[b][0]));
  return filled.empty() ? images : at::stack(filled);
}

at::Tensor blurred_images(const at::Tensor& images, double sigma_share) {
  const std::int64_t height = images.size(2), width = images.size(3);
  const double sigma = sigma_share * static_cast<double>(std::min(height, width));
  return gaussian_matrix(height, sigma, images.options())
      .matmul(images)
      .matmul(gaussian_matrix(width, sigma, images.options()).t());
}

at::Tensor on_background(const at::Tensor& images, const at::Tensor& foreground,
                         const at::Tensor& backgrounds) {
  return images * foreground + backgrounds * (1 - foreground);
}

at::Tensor exchange_backgrounds(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& donors,
                                const at::Tensor& donor_masks, BackgroundFill fill) {
  return on_background(images, joint_foreground(masks),
                       filled_background(donors, joint_foreground(donor_masks), fill));
}

at::Tensor change_backgrounds(const at::Tensor& images, const at::Tensor& masks, const at::Tensor& ids,
                              BackgroundKind kind, const BackgroundOptions& options) {
  const at::Tensor foreground = joint_foreground(masks);
  switch (kind) {
    case BackgroundKind::noise:
      return on_background(images, foreground, noise(images, ids, options));
    case BackgroundKind::blur:
      return on_background(
          images, foreground,
          blurred_images(filled_background(images, foreground, options.fill), options.blur_sigma));
    case BackgroundKind::constant:
      return on_background(images, foreground, at::full({1}, options.constant, images.options()));
    case BackgroundKind::shuffle:
      return on_background(images, foreground, shuffled(images, foreground, ids, options));
    case BackgroundKind::swap:
      break;
  }
  fail(ErrorKind::internal, "an exchange of backgrounds needs donors");
}

at::Tensor donors_in_batch(const at::Tensor& ids, const BackgroundOptions& options) {
  const std::int64_t size = ids.size(0);
  at::Tensor donors = at::arange(size, at::kLong);
  for (std::int64_t b = 0; size > 1 && b < size; ++b) {
    const std::int64_t other = random_of(ids, b, options).below(static_cast<std::uint32_t>(size - 1));
    donors.data_ptr<std::int64_t>()[b] = other < b ? other : other + 1;
  }
  return donors;
}

at::Tensor with_other_backgrounds(const Batch& batch, BackgroundKind kind, const BackgroundOptions& options) {
  if (!batch.masks.defined() || !batch.ids.defined())
    fail(ErrorKind::internal, "other backgrounds need masks and ids");
  const at::Tensor ids = batch.ids.cpu().contiguous();
  if (kind != BackgroundKind::swap) return change_backgrounds(batch.images, batch.masks, ids, kind, options);
  const at::Tensor donors = donors_in_batch(ids, options).to(batch.images.device());
  return exchange_backgrounds(batch.images, batch.masks, batch.images.index_select(0, donors),
                              batch.masks.index_select(0, donors), options.fill);
}

}  // namespace isnet
