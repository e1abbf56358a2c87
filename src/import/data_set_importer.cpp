// A data set of isnet's own, or one shard: to give it marks, another size, or other splits.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/error.h"
#include "data/data_set.h"
#include "import/layouts.h"

namespace isnet {
namespace {

// Values of [0, 1] as the whole numbers that they were read from.
std::uint16_t whole(double value, std::int64_t white) {
  return static_cast<std::uint16_t>(std::lround(value * static_cast<double>(white)));
}

class DataSetImporter : public Importer {
 public:
  DataSetImporter(const std::filesystem::path& path, const ShardLimits& limits) : data_(path, {}, limits) {
    for (const auto& name : data_.split_names()) splits_.push_back(data_.split(name));
    if (splits_.empty()) fail(ErrorKind::data, path.string(), ": has no splits");
    const auto& layout = splits_.front()->layout();
    for (const auto& split : splits_)
      if (split->layout() != layout)
        fail(ErrorKind::data, path.string(), ": split '", split->name(), "' has ",
             layout_text(split->layout()), ", but '", splits_.front()->name(), "' has ", layout_text(layout));
    const bool bytes = layout.image_type == hdf5::ElementType::uint8,
               words = layout.image_type == hdf5::ElementType::uint16;
    if ((!bytes && !words) || (layout.mask_channels > 0 && layout.mask_type != hdf5::ElementType::uint8))
      fail(ErrorKind::data, path.string(), ": ", layout_text(layout),
           "; images of 8 or 16 bit and masks of 8 bit can be packed again");
    white_ = bytes ? 255 : 65535;
  }

  Listing list() override {
    const auto& layout = splits_.front()->layout();
    Listing listing;
    listing.class_names = data_.description().class_names;
    listing.labels = layout.labels;
    listing.mask_channels = layout.mask_channels;
    listing.masks_per_class = layout.masks_per_class;
    listing.soft_masks =
        std::any_of(splits_.begin(), splits_.end(), [](const auto& split) { return split->soft_masks(); });
    places_.clear();
    for (const auto& split : splits_)
      for (std::int64_t i = 0; i < split->size(); ++i) {
        listing.items.push_back(item_of(*split, i));
        listing.items.back().place = places_.size();
        places_.push_back({split.get(), i});
      }
    return listing;
  }

  Image image(const ImportItem& item) const override {
    const auto& [split, index] = places_.at(item.place);
    const auto& layout = split->layout();
    const auto pixels = static_cast<std::size_t>(layout.pixels());
    std::vector<double> values(3 * pixels);
    split->read(index, values.data(), static_cast<double*>(nullptr));
    Image image{layout.height, layout.width, layout.channels, white_, {}};
    for (std::size_t p = 0; p < pixels; ++p)
      for (std::int64_t c = 0; c < layout.channels; ++c)
        image.values.push_back(whole(values[static_cast<std::size_t>(c) * pixels + p], white_));
    return image;
  }

  std::vector<Image> masks(const ImportItem& item) const override {
    const auto& [split, index] = places_.at(item.place);
    const auto& layout = split->layout();
    const auto pixels = static_cast<std::size_t>(layout.pixels());
    std::vector<double> image(3 * pixels), values(static_cast<std::size_t>(layout.mask_channels) * pixels);
    if (values.empty()) return {};
    split->read(index, image.data(), values.data());
    std::vector<Image> masks;
    for (auto first = values.begin(); first != values.end(); first += static_cast<std::ptrdiff_t>(pixels)) {
      Image mask{layout.height, layout.width, 1, 255, {}};
      std::transform(first, first + static_cast<std::ptrdiff_t>(pixels), std::back_inserter(mask.values),
                     [](double value) { return whole(value, 255); });
      masks.push_back(std::move(mask));
    }
    return masks;
  }

  std::int64_t channels() const override { return splits_.front()->layout().channels; }
  MaskValues mask_values() const override { return MaskValues::stored; }

 private:
  struct Place {
    const SplitReader* split;
    std::int64_t index;
  };

  ImportItem item_of(const SplitReader& split, std::int64_t index) const {
    ImportItem item;
    item.id = split.id(index);
    item.source = cat(data_.path().string(), ": split ", split.name(), ", sample ", index);
    item.files = {data_.is_single_shard() ? data_.path() : data_.path() / "dataset.json"};
    item.number = number_of(cat(split.name(), '/', item.id));
    if (split.layout().labels == LabelKind::single) item.label = split.label(index);
    if (split.layout().labels == LabelKind::multi) {
      std::vector<float> classes(static_cast<std::size_t>(split.layout().label_classes));
      split.multi_label(index, classes.data());
      item.classes.assign(classes.begin(), classes.end());
    }
    if (const auto group = split.group(index)) item.group = cat(*group);
    if (const double weight = split.weight(index); weight != 1) item.weight = weight;
    if (!data_.is_single_shard()) item.split = split.name();
    return item;
  }

  DataSet data_;
  std::vector<std::shared_ptr<const SplitReader>> splits_;
  std::vector<Place> places_;
  std::int64_t white_ = 255;
};

std::vector<OptionSpec> importer_options() {
  std::vector<OptionSpec> options{text_option("data", "", "PATH",
                                              "dataset: folder of a data set, or a shard")};
  for (auto& option : shard_limit_options()) options.push_back(std::move(option));
  return options;
}

const Registration<ImporterFactory> registration(
    importers(),
    {"dataset", "A data set of isnet's own, or a shard: for marks, another size, …; its splits stay",
     importer_options(), [](const OptionValues& options) {
       return data_set_importer(required(options, "data"), shard_limits(options));
     }});

}  // namespace

std::unique_ptr<Importer> data_set_importer(const std::filesystem::path& path, const ShardLimits& limits) {
  return std::make_unique<DataSetImporter>(path, limits);
}

}  // namespace isnet
