// What a shard that cannot be believed is answered with: file, dataset, sample, what is wrong, remedy.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "base/files.h"
#include "data/shard.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

using Bytes = std::vector<std::uint8_t>;
using Numbers = std::vector<std::int64_t>;

// A good shard of 4 samples of 2×2 and 3 classes, each of whose parts a test can replace.
struct ShardParts {
  std::function<void(hdf5::File&)> header = [](hdf5::File& file) {
    file.set_attribute<std::string>("format", "isnet-shard");
    file.set_attribute<std::int64_t>("version", 1);
  };
  std::function<void(hdf5::File&)> images = [](hdf5::File& file) {
    file.write("images", Bytes(16, 9), {4, 1, 2, 2});
  };
  std::function<void(hdf5::File&)> masks = [](hdf5::File& file) {
    file.write("masks", Bytes(16, 255), {4, 1, 2, 2});
  };
  std::function<void(hdf5::File&)> labels = [](hdf5::File& file) {
    file.write("labels", Numbers{0, 1, 2, 0}, {4});
  };
  std::function<void(hdf5::File&)> extras = [](hdf5::File&) {};
};

class BadShard : public ::testing::Test {
 protected:
  void write(const ShardParts& parts) {
    auto file = hdf5::File::create(path);
    for (const auto& part : {parts.header, parts.images, parts.masks, parts.labels, parts.extras}) part(file);
    file.close();
  }
  // What opening it, and reading every sample, is answered with.
  std::string answer(const ShardParts& parts, std::optional<std::int64_t> classes = 3) {
    write(parts);
    return answer_of_file(classes);
  }
  std::string answer_of_file(std::optional<std::int64_t> classes = 3) {
    return data_refusal([&] {
      const ShardReader reader(path, classes);
      const auto& layout = reader.layout();
      std::vector<float> image(static_cast<std::size_t>(3 * layout.pixels()));
      std::vector<float> mask(static_cast<std::size_t>(layout.mask_channels * layout.pixels()));
      for (std::int64_t i = 0; i < reader.size(); ++i) {
        reader.read_image(i, image.data());
        reader.read_mask(i, mask.data());
      }
    });
  }

  TemporaryFolder folder;
  std::filesystem::path path = folder / "s.h5";
};

TEST_F(BadShard, AGoodOneIsAccepted) {
  EXPECT_EQ(answer({}), "accepted");
}

TEST_F(BadShard, CutAtAnyLength) {
  write({});
  const std::string content = read_file(path);
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{100}, content.size() / 4,
        content.size() / 2, content.size() - 64, content.size() - 1}) {
    write_file_atomically(path, std::string_view(content).substr(0, length));
    EXPECT_THAT(answer_of_file(), HasSubstr("s.h5: cannot open as HDF5 (is the file complete?)")) << length;
  }
}

TEST_F(BadShard, FormatAndVersion) {
  ShardParts parts;
  parts.header = [](auto&) {};
  EXPECT_THAT(answer(parts),
              AllOf(HasSubstr("s.h5: /: attribute 'format' is missing"), HasSubstr("isnet pack")));
  parts.header = [](auto& file) { file.template set_attribute<std::string>("format", "other"); };
  EXPECT_THAT(answer(parts), HasSubstr("attribute 'format' is 'other' instead of 'isnet-shard'"));
  parts.header = [](auto& file) { file.template set_attribute<std::string>("format", "isnet-shard"); };
  EXPECT_THAT(answer(parts), HasSubstr("attribute 'version' is missing"));
  parts.header = [](auto& file) {
    file.template set_attribute<std::string>("format", "isnet-shard");
    file.template set_attribute<std::int64_t>("version", 2);
  };
  EXPECT_THAT(answer(parts), HasSubstr("shard version 2; this program reads version 1"));
}

TEST_F(BadShard, Images) {
  ShardParts parts;
  parts.images = [](auto&) {};
  EXPECT_THAT(answer(parts), HasSubstr("dataset 'images' is missing"));
  parts.images = [](auto& file) { file.write("images", Bytes(16), {4, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("/images: of shape 4×2×2; expected N×Ch×H×W"));
  parts.images = [](auto& file) { file.write("images", Bytes(64), {4, 4, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("4 channels; allowed: 1 (grey) or 3 (colour)"));
  parts.images = [](auto& file) { file.write("images", Bytes(0), {0, 1, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("holds no pixels"));
  parts.images = [](auto& file) { file.write("images", Numbers(16), {4, 1, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("/images: stored as int64; allowed: uint8, uint16, float16, float32, float64"));
  parts.images = [](auto& file) { file.template create_dataset<std::uint8_t>("images", {4, 1, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("/images: declared, but never written"));
  parts.images = [](auto& file) {
    std::vector<float> values(16);
    values[9] = NAN;
    file.write("images", values, {4, 1, 2, 2});
  };
  EXPECT_THAT(answer(parts), HasSubstr("/images: sample 2: a pixel is not finite"));
}

TEST_F(BadShard, MaskShapes) {
  ShardParts parts;
  parts.masks = [](auto& file) { file.write("masks", Bytes(36, 255), {4, 1, 3, 3}); };
  EXPECT_THAT(answer(parts),
              HasSubstr("/masks: masks of 3×3 for images of 2×2: resize them to the size of the images"));
  parts.masks = [](auto& file) { file.write("masks", Bytes(12, 255), {3, 1, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("/masks: of shape 3×1×2×2, but /images has 4 samples"));
  parts.masks = [](auto& file) { file.write("masks", Bytes(48, 255), {4, 3, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("expected N×1×H×W, or N×K×1×H×W"));
  parts.masks = [](auto& file) { file.write("masks", Bytes(16, 255), {4, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("of shape 4×2×2; expected N×1×H×W"));
  parts.masks = [](auto& file) { file.write("masks", Bytes(32, 255), {4, 2, 1, 2, 2}); };
  EXPECT_THAT(answer(parts), HasSubstr("has 2 masks for each sample, but there are 3 classes"));
}

TEST_F(BadShard, MasksCodedZeroAndOneAreAnsweredWithTheRemedy) {
  ShardParts parts;
  parts.masks = [](auto& file) { file.write("masks", Bytes(16, 1), {4, 1, 2, 2}); };
  EXPECT_THAT(answer(parts), AllOf(HasSubstr("/masks: no uint8 mask value is above 1"),
                                   HasSubstr("multiply the masks by 255")));
}

TEST_F(BadShard, AFaintMaskAmongStrongOnesIsNotTakenForThatMistake) {
  ShardParts parts;
  Bytes masks(16, 0);
  masks[0] = 1;
  masks[15] = 255;
  parts.masks = [&](auto& file) { file.write("masks", masks, {4, 1, 2, 2}); };
  EXPECT_EQ(answer(parts), "accepted");
  parts.masks = [](auto& file) { file.write("masks", Bytes(16, 0), {4, 1, 2, 2}); };
  EXPECT_EQ(answer(parts), "accepted");
}

TEST_F(BadShard, MasksCodedZeroAndOneAreFoundWhenManyEmptyOnesComeFirst) {
  constexpr std::int64_t samples = 100;
  ShardParts parts;
  parts.images = [](auto& file) { file.write("images", Bytes(samples), {samples, 1, 1, 1}); };
  parts.labels = [](auto& file) { file.write("labels", Numbers(samples), {samples}); };
  Bytes masks(samples, 0);
  masks.back() = 1;
  parts.masks = [&](auto& file) { file.write("masks", masks, {samples, 1, 1, 1}); };
  EXPECT_THAT(answer(parts), HasSubstr("multiply the masks by 255"));
}

// Shards of 10 samples of 12×12 whose masks hold `values` in squares of 4×4, as class maps do.
template <typename Value>
ShardParts with_patches(const std::vector<Value>& values) {
  constexpr std::int64_t samples = 10, side = 12;
  ShardParts parts;
  parts.images = [](auto& file) {
    file.write("images", Bytes(samples * side * side, 9), {samples, 1, side, side});
  };
  parts.labels = [](auto& file) { file.write("labels", Numbers(samples, 1), {samples}); };
  parts.masks = [values](auto& file) {
    std::vector<Value> masks;
    for (std::int64_t i = 0; i < samples * side * side; ++i) {
      const auto patch = static_cast<std::size_t>(i / side / 4 * 5 + i % side / 4 * 3 + i / side / side);
      masks.push_back(values[patch % values.size()]);
    }
    file.write("masks", masks, {samples, 1, side, side});
  };
  return parts;
}

TEST_F(BadShard, MasksOfClassCodesAreAnsweredWithTheRemedies) {
  using List = std::vector<std::uint8_t>;
  for (const auto& codes : {List{0, 1, 2}, List{1, 2, 3}, List{0, 128}, List{0, 38, 220, 255},
                            List{0, 1, 15, 255}, List{0, 128, 255}, List{0, 50, 100, 150, 200, 250}})
    EXPECT_THAT(answer(with_patches(codes)),
                AllOf(HasSubstr("s.h5: /masks: masks of values "), HasSubstr("class codes"),
                      HasSubstr("--mask-values binary"), HasSubstr("mask_values = \"soft\"")))
        << ::testing::PrintToString(codes);
  EXPECT_THAT(answer(with_patches<float>({0, 1 / 255.0f, 2 / 255.0f})), HasSubstr("class codes"));
  EXPECT_THAT(answer(with_patches<float>({0, 1, 2})), HasSubstr("mask value 2 is outside 0 … 1"));
}

TEST_F(BadShard, MasksOfARegionAndSoftMasksAreNotTakenForClassCodes) {
  EXPECT_EQ(answer(with_patches<std::uint8_t>({0, 255})), "accepted");
  EXPECT_EQ(answer(with_patches<std::uint8_t>({0})), "accepted");
  EXPECT_EQ(answer(with_patches<std::uint8_t>({255})), "accepted");
  EXPECT_EQ(answer(with_patches<float>({0, 1})), "accepted");
  EXPECT_EQ(answer(with_patches<float>({0, 0.5f, 1})), "accepted");
  EXPECT_EQ(answer(with_patches<float>({0, 0.1f, 0.25f})), "accepted");
  auto parts = with_patches<std::uint8_t>({0, 128});
  parts.extras = [](auto& file) { file.template set_attribute<std::string>("mask_values", "soft"); };
  EXPECT_EQ(answer(parts), "accepted");
  parts.extras = [](auto& file) { file.template set_attribute<std::string>("mask_values", "hard"); };
  EXPECT_THAT(answer(parts), HasSubstr("attribute 'mask_values' is 'hard'; allowed: soft"));
}

TEST_F(BadShard, FloatMasksOutsideZeroToOne) {
  for (const float value : {1.5f, -0.25f, NAN}) {
    ShardParts parts;
    parts.masks = [=](auto& file) {
      std::vector<float> masks(16, 1.0f);
      masks[13] = value;
      file.write("masks", masks, {4, 1, 2, 2});
    };
    EXPECT_THAT(answer(parts), AllOf(HasSubstr("/masks: sample 3: mask value "), HasSubstr("outside 0 … 1")));
  }
}

TEST_F(BadShard, Labels) {
  ShardParts parts;
  parts.labels = [](auto& file) { file.write("labels", Numbers{0, 1, 3, 0}, {4}); };
  EXPECT_THAT(answer(parts), HasSubstr("/labels: sample 2: label 3 is out of range 0 … 2 (3 classes)"));
  EXPECT_EQ(answer(parts, std::nullopt), "accepted");
  parts.labels = [](auto& file) { file.write("labels", Numbers{0, -1, 2, 0}, {4}); };
  EXPECT_THAT(answer(parts, std::nullopt), HasSubstr("/labels: sample 1: label -1 is out of range"));
  parts.labels = [](auto& file) { file.write("labels", Numbers{0, 1}, {2}); };
  EXPECT_THAT(answer(parts), HasSubstr("/labels: of shape 2, but /images has 4 samples"));
  parts.labels = [](auto& file) { file.write("labels", std::vector<float>(4), {4}); };
  EXPECT_THAT(answer(parts), HasSubstr("/labels: stored as float32; classes are integers"));
  parts.labels = [](auto& file) { file.write("labels", Bytes(16), {4, 4}); };
  EXPECT_THAT(answer(parts), HasSubstr("/labels: of shape 4×4: 4 classes instead of 3"));
  parts.labels = [](auto& file) { file.write("labels", Bytes{0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}, {4, 3}); };
  EXPECT_THAT(answer(parts), HasSubstr("/labels: sample 2, class 2: 2; allowed: 0 (no) and 1 (yes)"));
}

TEST_F(BadShard, OptionalColumns) {
  ShardParts parts;
  parts.extras = [](auto& file) { file.template write<std::string>("ids", {"a"}, {1}); };
  EXPECT_THAT(answer(parts), HasSubstr("/ids: of shape 1, but /images has 4 samples"));
  parts.extras = [](auto& file) { file.write("ids", std::vector<float>(4), {4}); };
  EXPECT_THAT(answer(parts), HasSubstr("/ids: stored as float32; expected text, or integers"));
  parts.extras = [](auto& file) { file.write("ids", Numbers(4), {4}); };
  EXPECT_EQ(answer(parts), "accepted");
  parts.extras = [](auto& file) { file.write("groups", std::vector<float>(4), {4}); };
  EXPECT_THAT(answer(parts), HasSubstr("/groups: not stored as integers"));
  parts.extras = [](auto& file) { file.write("weights", std::vector<float>{1, 1, 1, -2}, {4}); };
  EXPECT_THAT(answer(parts), HasSubstr("/weights: sample 3: weight -2"));
}

}  // namespace
}  // namespace isnet
