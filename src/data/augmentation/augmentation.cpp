#include "data/augmentation/augmentation.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"

namespace isnet {
namespace {

struct Preset {
  const char* name;
  std::vector<std::pair<const char*, const char*>> values;
};

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all{
      {"none", {}},
      // The ISNet papers' radiographs: shifts of up to 28 of 224 pixels.
      {"papers",
       {{"augment-rotation", "40"}, {"augment-translation", "0.125"}, {"augment-flip", "horizontal"}}},
      // torchvision's RandomResizedCrop and RandomHorizontalFlip with their defaults.
      {"imagenet", {{"augment-crop", "0.08,1"}, {"augment-flip", "horizontal"}}}};
  return all;
}

// FNV-1a: an operation's own seed, whatever else is registered.
std::uint64_t with_name(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return seed ^ hash;
}

template <typename Real>
bool is_binary(const Real* values, std::int64_t count) {
  bool other = false;
  for (std::int64_t i = 0; i < count; ++i) other |= (values[i] != Real(0)) & (values[i] != Real(1));
  return !other;
}

template <typename Real>
ImageView<Real> view_of(Real* image, const SampleLayout& layout) {
  ImageView<Real> view{image, layout.channels, layout.height, layout.width, 0, 1};
  if (!hdf5::is_integer(layout.image_type))
    for (std::int64_t i = 0; i < view.values(); ++i) {
      view.lowest = std::min(view.lowest, image[i]);
      view.highest = std::max(view.highest, image[i]);
    }
  return view;
}

}  // namespace

std::vector<OptionSpec> Augmentation::options() {
  std::vector<std::string> names;
  for (const auto& preset : presets()) names.emplace_back(preset.name);
  std::vector<OptionSpec> specs{
      choice_option(
          "augment", "none",
          "Augmentation of training samples: a set of operations. "
          "The options below add operations, or replace values of the set",
          names),
      choice_option("augment-fill", "zero",
                    "What fills the area that a transformation brings in from outside the picture, "
                    "in images and masks",
                    {"zero", "edge", "reflect"})};
  for (const auto& more : {geometric_augmentations().options(), intensity_augmentations().options()})
    specs.insert(specs.end(), more.begin(), more.end());
  return specs;
}

std::shared_ptr<const Augmentation> Augmentation::from(const OptionValues& given, std::uint64_t seed) {
  OptionValues values = given;
  for (const auto& preset : presets())
    if (preset.name == given.text("augment"))
      for (const auto& [name, value] : preset.values)
        if (!given.has(name)) values.set(name, value);

  auto result = std::make_shared<Augmentation>();
  const std::string& fill = values.text("augment-fill");
  result->fill_ = fill == "edge" ? Fill::edge : fill == "reflect" ? Fill::reflect : Fill::zero;
  for (const auto& name : geometric_augmentations().names())
    if (auto operation = geometric_augmentations().at(name).make(values))
      result->geometric_.emplace_back(Streams{with_name(seed, name)}, std::move(operation));
  for (const auto& name : intensity_augmentations().names())
    if (auto operation = intensity_augmentations().at(name).make(values))
      result->intensity_.emplace_back(Streams{with_name(seed, name)}, std::move(*operation));
  std::stable_sort(result->intensity_.begin(), result->intensity_.end(),
                   [](const auto& a, const auto& b) { return a.second.stage < b.second.stage; });
  if (result->geometric_.empty() && result->intensity_.empty()) return nullptr;
  return result;
}

Affine Augmentation::map(const ImageSize& size, std::uint64_t epoch, std::int64_t sample) const {
  // The first operation's result is the second's source: maps go from result to source.
  Affine map;
  for (const auto& [streams, operation] : geometric_) {
    SampleRandom random = streams.of(epoch, sample);
    map = map * operation(random, size);
  }
  return map;
}

template <typename Real>
void Augmentation::apply(Real* image, Real* mask, const SampleLayout& layout, std::uint64_t epoch,
                         std::int64_t sample) const {
  const Affine whole = map({layout.height, layout.width}, epoch, sample);
  if (whole != Affine()) {
    const std::int64_t mask_values = mask ? layout.mask_channels * layout.pixels() : 0;
    const auto for_mask = is_binary(mask, mask_values) ? Interpolation::nearest : Interpolation::bilinear;
    const std::array<WarpPlanes<Real>, 2> planes{
        WarpPlanes<Real>{image, layout.channels, Interpolation::bilinear},
        WarpPlanes<Real>{mask, mask ? layout.mask_channels : 0, for_mask}};
    thread_local WarpBuffer<Real> buffer;
    warp<Real>(planes, layout.height, layout.width, whole, fill_, buffer);
  }
  if (!intensity_.empty()) {
    const AnyImage view = view_of(image, layout);
    for (const auto& [streams, operation] : intensity_) {
      SampleRandom random = streams.of(epoch, sample);
      operation.apply(view, random);
    }
  }
  for (std::int64_t c = layout.channels; c < 3; ++c)
    std::copy(image, image + layout.pixels(), image + c * layout.pixels());
}

template void Augmentation::apply<float>(float*, float*, const SampleLayout&, std::uint64_t,
                                         std::int64_t) const;
template void Augmentation::apply<double>(double*, double*, const SampleLayout&, std::uint64_t,
                                          std::int64_t) const;

}  // namespace isnet
