#include "import/pack_samples.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace isnet {
namespace {

// Adds what the sample is called, where the message does not begin with one of its files.
std::string told(const ImportItem& item, const std::string& message) {
  for (const auto& file : item.files)
    if (message.starts_with(file.string())) return message;
  return cat(item.source, ": ", message);
}

std::string content_of(const Image& image) {
  return sha256(std::vector<std::string_view>{
      cat(image.height, ' ', image.width, ' ', image.channels, ' ', image.white, '\n'),
      {reinterpret_cast<const char*>(image.values.data()), image.values.size() * sizeof(image.values[0])}});
}

}  // namespace

SampleMaker::SampleMaker(const Importer& importer, const Listing& listing, const PackOptions& options)
    : importer_(importer), listing_(listing), options_(options) {
  const auto& transform = options.transform;
  const bool own_masks = transform.mask_source == MaskSource::own;
  if (own_masks && listing.mask_channels == 0)
    fail(ErrorKind::usage, "--mask files: there are no mask files in what is packed; allowed: object, none");
  layout_.image_type = transform.white == 255 ? hdf5::ElementType::uint8 : hdf5::ElementType::uint16;
  layout_.channels = transform.channels;
  layout_.mask_channels =
      own_masks ? listing.mask_channels : (transform.mask_source == MaskSource::object ? 1 : 0);
  layout_.masks_per_class = own_masks && listing.masks_per_class;
  layout_.labels = listing.labels;
  if (listing.labels == LabelKind::multi)
    layout_.label_classes = static_cast<std::int64_t>(listing.class_names.size());
  find_shape();
  make_marks();
}

bool SampleMaker::soft_masks() const {
  const auto& reading = options_.transform.mask_reading;
  return options_.transform.mask_source == MaskSource::own && reading.classes.empty() &&
         (reading.values == MaskValues::soft ||
          (reading.values == MaskValues::stored && listing_.soft_masks));
}

PackSample SampleMaker::sample(std::size_t number, const PlannedSplit& split) const {
  const auto& item = listing_.items[number];
  PackSample result;
  try {
    result = read(item);
    if (result.pixels.height != layout_.height || result.pixels.width != layout_.width)
      fail(ErrorKind::data, "is of ", result.pixels.height, "×", result.pixels.width,
           " pixels, and the first picture of ", layout_.height, "×", layout_.width,
           ": --size makes all alike");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
    result.error = told(item, error.what());
    return result;
  }
  put_mark_of(item, split, result);
  return result;
}

PackSample SampleMaker::read(const ImportItem& item) const {
  if (!item.problem.empty()) fail(ErrorKind::data, item.problem);
  PackSample result;
  const auto note = [&](const std::string& text) {
    if (std::find(result.notes.begin(), result.notes.end(), text) == result.notes.end())
      result.notes.push_back(text);
  };
  const Image image = importer_.image(item);
  result.content = content_of(image);
  for (const auto& text : image.notes) note(text);
  const bool own_masks = options_.transform.mask_source == MaskSource::own;
  const auto masks = own_masks ? importer_.masks(item) : std::vector<Image>();
  for (const auto& mask : masks)
    for (const auto& text : mask.notes) note("its mask: " + text);
  result.pixels = transformed(image, masks, options_.transform);
  for (const auto& text : result.pixels.notes) note(text);
  return result;
}

void SampleMaker::find_shape() {
  layout_.height = options_.transform.pad_to > 0 ? options_.transform.pad_to : options_.transform.height;
  layout_.width = options_.transform.pad_to > 0 ? options_.transform.pad_to : options_.transform.width;
  for (const auto& item : listing_.items) {
    try {
      const PackSample first = read(item);
      layout_.height = first.pixels.height;
      layout_.width = first.pixels.width;
      return;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::data) throw;
      if (!options_.skip_bad) fail(ErrorKind::data, told(item, error.what()));
    }
  }
  fail(ErrorKind::data, listing_.items.front().source, ": neither it nor any other picture can be read");
}

void SampleMaker::make_marks() {
  if (options_.mark == "none") return;
  const auto classes = static_cast<std::int64_t>(listing_.class_names.size());
  if (classes < 2) fail(ErrorKind::usage, "--mark: needs at least two classes");
  for (std::int64_t label = 0; label < classes; ++label)
    marks_.push_back(
        marks().at(options_.mark).make(label, classes, layout_.height, layout_.width, options_.mark_options));
}

void SampleMaker::put_mark_of(const ImportItem& item, const PlannedSplit& split, PackSample& result) const {
  if (split.mark == MarkUse::none) return;
  std::int64_t label = item.label;
  if (split.mark == MarkUse::confounding)
    label = confounding_class(label, static_cast<std::int64_t>(marks_.size()), options_.seed, split.number,
                              item.number);
  else if (!gets_mark(options_.mark_correlation, options_.seed, split.number, item.number))
    return;
  const std::int64_t pixels = layout_.pixels();
  std::vector<std::uint8_t> region(static_cast<std::size_t>(pixels), 0);  // where any mask is
  for (std::size_t i = 0; i < result.pixels.masks.size(); ++i) {
    auto& there = region[i % static_cast<std::size_t>(pixels)];
    there = std::max(there, result.pixels.masks[i]);
  }
  const auto& shape = marks_[static_cast<std::size_t>(label)];
  const auto& look = options_.mark_options;
  const auto value = static_cast<std::uint16_t>(look.value * (options_.transform.white / 255));
  result.marked = true;
  result.mark_pixels = static_cast<std::int64_t>(shape.pixels.size());
  result.kept_out = put_mark(shape, value, look.strength, region, result.pixels.image, pixels);
}

}  // namespace isnet
