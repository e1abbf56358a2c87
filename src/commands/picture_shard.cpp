#include "commands/picture_shard.h"

#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "data/shard_writer.h"
#include "import/decode.h"
#include "import/picture_options.h"
#include "import/transform.h"
#include "trainer/checkpoint.h"
#include "trainer/checkpoint_choice.h"

namespace isnet::cli {
namespace {

// Everything that reading a picture looks at.
std::vector<OptionSpec> all_picture_options() {
  std::vector<OptionSpec> specs = image_options();
  for (auto& more : reading_options()) specs.push_back(std::move(more));
  return specs;
}

// The user's settings, the others at their defaults.
OptionValues settings(const OptionValues& options, const std::optional<TrainedShape>& shape) {
  OptionValues values(all_picture_options());
  for (const auto& spec : values.specs())
    if (options.known(spec.name) && options.given(spec.name)) values.set(spec.name, options.text(spec.name));
  if (shape && !values.given("size") && !values.given("pad-to"))
    values.set("size", cat(shape->height, ",", shape->width));
  return values;
}

std::filesystem::path temporary_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "isnet-pictures-XXXXXX").string();
  if (!::mkdtemp(name.data()))
    fail(ErrorKind::runtime, name, ": cannot be made: ", std::strerror(errno),
         "; TMPDIR names another folder for temporary files");
  return name;
}

Pixels read_picture(const std::string& file, const PictureOptions& reading,
                    const TransformOptions& transform) {
  const Image image = decode_image(file, reading);
  for (const auto& note : image.notes) log::info(cat(file, ": ", note));
  return transformed(image, {}, transform);
}

}  // namespace

std::optional<TrainedShape> trained_shape(const OptionValues& options) {
  if (!options.has("checkpoint")) return {};
  const StoredCheckpoint checkpoint = load_checkpoint(checkpoint_file(options.text("checkpoint")));
  const auto data = checkpoint.state.value("data", nlohmann::json());
  const auto shape = data.is_object() ? data.value("image_shape", nlohmann::json()) : nlohmann::json();
  if (!shape.is_array() || shape.size() != 3 ||
      !std::all_of(shape.begin(), shape.end(), [](const auto& side) { return side.is_number_integer(); }))
    return {};
  return TrainedShape{shape[0].get<std::int64_t>(), shape[1].get<std::int64_t>(),
                      shape[2].get<std::int64_t>()};
}

std::vector<OptionSpec> picture_shard_options() {
  static const std::set<std::string> of_masks{"mask",           "mask-object", "mask-dilation",
                                              "mask-threshold", "mask-values", "mask-classes",
                                              "mask-ignore",    "depth"};
  std::vector<OptionSpec> specs = all_picture_options();
  specs.erase(std::remove_if(specs.begin(), specs.end(),
                             [](const OptionSpec& spec) { return of_masks.contains(spec.name); }),
              specs.end());
  return specs;
}

PictureShard::PictureShard(const std::vector<std::string>& files, const OptionValues& options,
                           const std::optional<TrainedShape>& shape)
    : folder_(temporary_folder()) {
  try {
    const OptionValues values = settings(options, shape);
    const PictureOptions reading = picture_options(values);
    const TransformOptions transform =
        transform_options(values, shape ? shape->channels : 3, MaskSource::none);
    SampleLayout layout;
    layout.channels = transform.channels;
    std::vector<std::uint8_t> images;
    for (const auto& file : files) {
      const Pixels pixels = read_picture(file, reading, transform);
      if (images.empty()) {
        layout.height = pixels.height;
        layout.width = pixels.width;
      }
      if (pixels.height != layout.height || pixels.width != layout.width)
        fail(ErrorKind::data, file, ": is of ", pixels.height, "×", pixels.width,
             " pixels, and the first of ", layout.height, "×", layout.width, ": --size makes all alike");
      for (const auto value : pixels.image) images.push_back(static_cast<std::uint8_t>(value));
    }
    if (!shape && !values.given("size") && !values.given("pad-to"))
      log::info(cat("pictures stay at ", layout.height, "×", layout.width,
                    " pixels: nothing says of which size the model's images were (--size)"));
    const auto count = static_cast<std::int64_t>(files.size());
    ShardWriter writer(path(), count, layout);
    writer.write_images(0, count, images.data());
    writer.write_ids(files);
    writer.commit();
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    throw;
  }
}

PictureShard::~PictureShard() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace isnet::cli
