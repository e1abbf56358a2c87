// isnet segment: masks for a data set that has none, by a trained network that segments.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/command.h"
#include "commands/ranks.h"
#include "data/shard_copy.h"
#include "evaluation/overlay.h"
#include "evaluation/table.h"
#include "model/segmentation.h"
#include "run/inputs.h"
#include "run/model_options.h"
#include "run/trained_model.h"
#include "trainer/options.h"

namespace isnet::cli {
namespace {

std::vector<OptionGroup> segment_options() {
  return trained_model_groups({
      text_option("data", "", "DIR|FILE.h5", "Data set, or one shard (required); labels are not needed"),
      text_option("output", "", "DIR", "Folder of the new data set (required)"),
      text_option("split", "", "NAME,NAME", "Splits that it gets (default: all)"),
      flag_option("replace-masks", "Write masks also where the data has some, in their place"),
      flag_option("overwrite", "Replace the data set that --output holds"),
      text_option("pictures", "", "DIR", "Folder for PNG pictures of images with their masks' outlines"),
      integer_option("pictures-limit", "16", "Pictures of a split at most", 1),
      integer_option("batch-size", "16", "Samples of a batch", 1),
      integer_option("seed", "0", "Unused by networks that are not trained", 0)});
}

// What became of a split.
struct SplitMasks {
  std::int64_t samples = 0, empty = 0;  // empty: nothing of the image is in its mask
  double area = 0;                      // sum over samples of the masks' mean
};

std::vector<float> floats_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {host.data_ptr<float>(), host.data_ptr<float>() + host.numel()};
}

std::string shard_name(const std::string& split, std::size_t number) {
  const std::string digits = cat(number);
  return cat(split, "/shard-", std::string(5 - std::min<std::size_t>(5, digits.size()), '0'), digits, ".h5");
}

class MaskMaker {
 public:
  explicit MaskMaker(const OptionValues& given)
      : inputs_(given),
        device_(device_of(given, 0)),
        model_(load_trained_model(given, device_)),
        options_(model_.config.options()) {
    if (model_.network->mask_classes() == 0)
      fail(ErrorKind::usage, "segment needs a network that segments images, ", model_.source,
           " does not; allowed: ", segmenting_networks());
    form_ = mask_form(options_);
    output_ = options_.text("output");
    names_ = options_.has("split") ? options_.list("split") : model_.data->split_names();
  }

  int run() {
    const at::NoGradGuard no_grad;
    refuse_what_is_there();
    for (const auto& name : names_) check(*model_.data->split(name));
    if (options_.has("pictures")) create_folders(options_.text("pictures"));
    // Without its description the folder is no data set: half of one is never taken for a whole.
    remove_file(output_ / "dataset.json");
    DataSetDescription description = model_.data->description();
    description.splits.clear();
    Table table({"split", "samples", "mean area", "empty masks"});
    for (const auto& name : names_) {
      const SplitMasks masks = segment(*model_.data->split(name), description.splits[name]);
      table.add({name, cat(masks.samples),
                 fixed(masks.area / static_cast<double>(std::max<std::int64_t>(masks.samples, 1)), 4),
                 cat(masks.empty)});
    }
    write_description(output_, description);
    std::cout << table.text();
    log::info(cat("data set written to ", output_.string()));
    return 0;
  }

 private:
  void refuse_what_is_there() const {
    std::error_code none;
    if (std::filesystem::equivalent(output_, model_.data->path(), none))
      fail(ErrorKind::usage, "--output: '", output_.string(),
           "' is the data set that is read; allowed: another folder");
    if (std::filesystem::exists(output_ / "dataset.json") && !options_.flag("overwrite"))
      fail(ErrorKind::usage, "--output: '", output_.string(),
           "' holds a data set; allowed: another folder, or --overwrite");
    inputs_.refuse("output", output_ / "dataset.json");
    for (const auto& name : names_)
      for (std::size_t number = 0; number < model_.data->split(name)->shards().size(); ++number)
        inputs_.refuse("output", output_ / shard_name(name, number));
  }

  // What would fail in the middle is refused at the beginning.
  void check(const SplitReader& split) const {
    const auto& layout = split.layout();
    if (layout.mask_channels > 0 && !options_.flag("replace-masks"))
      fail(ErrorKind::usage, model_.data->path().string(), ": split ", split.name(),
           " has masks; --replace-masks writes others in their place");
    for (const std::int64_t side : {layout.height, layout.width})
      if (model_.network->output_side(model_.network->fitting_side(side)) < side)
        fail(ErrorKind::usage, model_.data->path().string(), ": images of ", layout.height, "×", layout.width,
             " pixels are too small for this network");
  }

  SampleLayout layout_of(const SampleLayout& from) const {
    SampleLayout layout = from;
    layout.mask_type = form_.soft ? hdf5::ElementType::float32 : hdf5::ElementType::uint8;
    layout.mask_channels = model_.network->mask_classes() - 1;
    layout.masks_per_class = layout.mask_channels > 1;
    return layout;
  }

  SplitMasks segment(const SplitReader& split, std::vector<ShardEntry>& entries) {
    SplitMasks masks;
    create_own_folder(output_, split.name());
    Progress progress("segmenting split " + split.name(), split.size(), "images");
    for (std::size_t number = 0; number < split.shards().size(); ++number) {
      const ShardReader shard(split.shards()[number], {}, model_.data->limits());
      const std::string file = shard_name(split.name(), number);
      write_shard(split, shard, output_ / file, masks, progress);
      entries.push_back({file, shard.size(), sha256_of_file(output_ / file)});
    }
    return masks;
  }

  // One batch of it in memory.
  void write_shard(const SplitReader& split, const ShardReader& shard, const std::filesystem::path& path,
                   SplitMasks& masks, Progress& progress) {
    ShardWriter writer(path, shard.size(), layout_of(shard.layout()));
    if (form_.soft) writer.declare_soft_masks();
    const std::int64_t step = options_.integer("batch-size");
    for (std::int64_t first = 0; first < shard.size(); first += step) {
      const std::int64_t count = std::min(step, shard.size() - first);
      const at::Tensor images = read(shard, first, count);
      const at::Tensor made = masks_for(images);
      copy_images(shard, writer, first, count);
      write_masks(writer, first, made);
      progress.advance(count);
      for (std::int64_t i = 0; i < count; ++i) {
        const at::Tensor region = made[i].amax(0);
        masks.area += region.mean().item<double>();
        masks.empty += region.max().item<double>() == 0 ? 1 : 0;
        if (options_.has("pictures") && masks.samples < options_.integer("pictures-limit"))
          draw(split, masks.samples, images[i], region);
        ++masks.samples;
      }
    }
    copy_columns(shard, writer);
    writer.commit();
  }

  at::Tensor read(const ShardReader& shard, std::int64_t first, std::int64_t count) const {
    const auto& layout = shard.layout();
    const bool exact = model_.dtype == at::kDouble;
    at::Tensor images = at::empty({count, 3, layout.height, layout.width}, exact ? at::kDouble : at::kFloat);
    for (std::int64_t i = 0; i < count; ++i)
      if (exact)
        shard.read_image(first + i, images[i].data_ptr<double>());
      else
        shard.read_image(first + i, images[i].data_ptr<float>());
    return images.to(device_, model_.dtype);
  }

  // B×1×H×W, or B×K×H×W of several classes, in host memory.
  at::Tensor masks_for(const at::Tensor& images) const {
    const at::Tensor probabilities = pixel_probabilities(*model_.network, images);
    const std::int64_t classes = probabilities.size(1) - 1;
    return masks_of(probabilities.narrow(1, 1, classes), form_).to(at::kCPU, at::kFloat).contiguous();
  }

  void write_masks(ShardWriter& writer, std::int64_t first, const at::Tensor& masks) const {
    if (form_.soft) {
      // Probabilities are sums of rounded exponentials: masks have to be in [0, 1].
      const at::Tensor values = masks.clamp(0, 1);
      return writer.write_masks(first, masks.size(0), values.data_ptr<float>());
    }
    const at::Tensor bytes = (masks * 255).to(at::kByte);
    writer.write_masks(first, masks.size(0), bytes.data_ptr<std::uint8_t>());
  }

  void draw(const SplitReader& split, std::int64_t index, const at::Tensor& image,
            const at::Tensor& region) const {
    const int height = static_cast<int>(image.size(1)), width = static_cast<int>(image.size(2));
    const int factor = std::max(1, 256 / std::max(height, width));
    Picture picture = picture_of_image(floats_of(image), height, width).enlarged(factor);
    draw_outline(picture, floats_of(region), width, height, factor, outline_on_image);
    const std::string digits = cat(index);
    const std::string number = std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits;
    const auto file = std::filesystem::path(options_.text("pictures")) /
                      safe_file_name(cat(split.name(), "-", number, "-", split.id(index)));
    inputs_.refuse("pictures", file);
    write_png(file, picture);
  }

  InputFiles inputs_;
  at::Device device_;
  TrainedModel model_;
  const OptionValues& options_;
  MaskForm form_;
  std::filesystem::path output_;
  std::vector<std::string> names_;
};

int run_segment(Invocation& invocation) {
  if (!invocation.options.has("output")) fail(ErrorKind::usage, "--output: is required");
  return run_alone(invocation, [&](World&) { return MaskMaker(invocation.options).run(); });
}

Command segment_command() {
  return {"segment",
          "Make masks for a data set, by a network that segments",
          "isnet segment --checkpoint RUN --data DIR --output DIR [options]",
          {},
          segment_options,
          run_segment,
          47,
          {{"isnet segment --checkpoint runs/unet --data data/photos --output data/with-masks"}, {}}};
}

const CommandRegistration registration(segment_command);

}  // namespace
}  // namespace isnet::cli
