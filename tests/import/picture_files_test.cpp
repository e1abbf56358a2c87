// Properties of files that decoders overlook: orientation, animation, size, a missing end.
#include <gmock/gmock.h>
#include <zlib.h>

#include "base/files.h"
#include "import/decode.h"
#include "import/formats/orientation.h"
#include "import/mask_decode.h"
#include "support/pictures.h"
#include "support/refusal.h"
#include "support/temporary_folder.h"

namespace isnet {
namespace {

using isnet::testing::data_refusal;
using isnet::testing::TemporaryFolder;
using isnet::testing::write_picture;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::string_literals;

std::string bytes_of(std::uint32_t value, int count, bool highest_first = false) {
  std::string bytes;
  for (int i = 0; i < count; ++i)
    bytes += static_cast<char>(value >> 8 * (highest_first ? count - 1 - i : i));
  return bytes;
}

std::string exif(int orientation, bool big) {
  const auto number = [&](int value, int count) {
    return bytes_of(static_cast<std::uint32_t>(value), count, big);
  };
  return (big ? "MM" : "II") + number(42, 2) + number(8, 4) + number(1, 2) + number(0x112, 2) + number(3, 2) +
         number(1, 4) + number(orientation, 2) + number(0, 2) + number(0, 4);
}

std::string chunk(const std::string& name, const std::string& content) {
  return name + bytes_of(static_cast<std::uint32_t>(content.size()), 4) + content +
         (content.size() % 2 ? "\0"s : "");
}

// A WebP file of 3×2 with these chunks behind its pixels.
std::string webp(const TemporaryFolder& folder, const std::string& more, int flags) {
  cv::Mat picture(2, 3, CV_8UC3);
  for (int i = 0; i < 6; ++i)
    picture.at<cv::Vec3b>(i / 3, i % 3) = cv::Vec3b::all(static_cast<unsigned char>(40 * i));
  cv::imwrite((folder / "plain.webp").string(), picture, {cv::IMWRITE_WEBP_QUALITY, 101});  // without loss
  const auto pixels = read_file(folder / "plain.webp").substr(12);
  const auto content =
      "WEBP" +
      chunk("VP8X", bytes_of(static_cast<std::uint32_t>(flags), 4) + bytes_of(2, 3) + bytes_of(1, 3)) +
      pixels + more;
  return "RIFF" + bytes_of(static_cast<std::uint32_t>(content.size()), 4) + content;
}

std::vector<int> grey_of(const Image& image) {
  std::vector<int> values;
  for (std::int64_t i = 0; i < image.pixels(); ++i)
    values.push_back(image.values[static_cast<std::size_t>(i * image.channels)] / 40);
  return values;
}

const std::vector<std::vector<int>> seen = {{0, 1, 2, 3, 4, 5}, {2, 1, 0, 5, 4, 3}, {5, 4, 3, 2, 1, 0},
                                            {3, 4, 5, 0, 1, 2}, {0, 3, 1, 4, 2, 5}, {3, 0, 4, 1, 5, 2},
                                            {5, 2, 4, 1, 3, 0}, {2, 5, 1, 4, 0, 3}};

TEST(PictureFiles, EveryOrientationOfWebpIsTurned) {
  TemporaryFolder folder;
  for (const bool big : {false, true})
    for (const bool named : {false, true})
      for (int orientation = 1; orientation <= 8; ++orientation) {
        const auto data = (named ? "Exif\0\0"s : "") + exif(orientation, big);
        write_file_atomically(folder / "a.webp", webp(folder, chunk("EXIF", data), 8));
        const Image image = decode_image(folder / "a.webp", {});
        EXPECT_EQ(image.width, orientation >= 5 ? 2 : 3) << orientation;
        EXPECT_EQ(grey_of(image), seen[static_cast<std::size_t>(orientation - 1)]) << orientation;
        EXPECT_EQ(grey_of(decode_mask(folder / "a.webp", {})), grey_of(image)) << orientation;
      }
}

TEST(PictureFiles, EveryOrientationOfPngAndJpegIsTurned) {
  TemporaryFolder folder;
  cv::Mat picture(2, 3, CV_8UC1);
  for (int i = 0; i < 6; ++i) picture.data[i] = static_cast<unsigned char>(40 * i);
  cv::imwrite((folder / "plain.png").string(), picture);
  const auto plain = read_file(folder / "plain.png");
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto named = "eXIf" + exif(orientation, true);
    const auto sum = crc32(0, reinterpret_cast<const Bytef*>(named.data()), static_cast<uInt>(named.size()));
    write_file_atomically(folder / "a.png",
                          plain.substr(0, 33) +
                              bytes_of(static_cast<std::uint32_t>(named.size() - 4), 4, true) + named +
                              bytes_of(static_cast<std::uint32_t>(sum), 4, true) + plain.substr(33));
    EXPECT_EQ(grey_of(decode_image(folder / "a.png", {})), seen[static_cast<std::size_t>(orientation - 1)])
        << orientation;
  }
  // Blocks of 16×16 survive JPEG.
  write_picture(folder / "plain.jpg", 32, 48, 1, 8,
                [](int y, int x, int) { return 40 * (y / 16 * 3 + x / 16) + 8; });
  const auto jpeg = read_file(folder / "plain.jpg");
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto data = "Exif\0\0"s + exif(orientation, false);
    write_file_atomically(folder / "a.jpg",
                          jpeg.substr(0, 2) + "\xFF\xE1" +
                              bytes_of(static_cast<std::uint32_t>(data.size() + 2), 2, true) + data +
                              jpeg.substr(2));
    const Image image = decode_image(folder / "a.jpg", {});
    std::vector<int> blocks;
    for (std::int64_t y = 8; y < image.height; y += 16)
      for (std::int64_t x = 8; x < image.width; x += 16)
        blocks.push_back(image.values[static_cast<std::size_t>(y * image.width + x)] / 40);
    EXPECT_EQ(blocks, seen[static_cast<std::size_t>(orientation - 1)]) << orientation;
  }
}

TEST(PictureFiles, DamagedExifDataTurnNothing) {
  for (const auto& data : {""s, "II"s, "II*\0"s, exif(0, false), exif(9, true), exif(6, false).substr(0, 18),
                           "II*\0\xFF\xFF\xFF\xFF"s, "II*\0\x08\0\0\0\xFF\xFF"s})
    EXPECT_EQ(exif_orientation(data), 1);
  EXPECT_EQ(exif_orientation(exif(6, true)), 6);
}

TEST(PictureFiles, AnimationsAreRefused) {
  TemporaryFolder folder;
  const auto frame = chunk("ANMF", std::string(24, '\0'));
  write_file_atomically(folder / "a.webp", webp(folder, frame + frame, 2));
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.webp", {}); }),
              HasSubstr("a.webp: an animation of 2 pictures"));
  write_picture(folder / "plain.png", 2, 3, 1, 8, [](int, int x, int) { return x; });
  const auto plain = read_file(folder / "plain.png");
  write_file_atomically(folder / "a.png", plain.substr(0, 33) + bytes_of(8, 4, true) + "acTL" +
                                              bytes_of(3, 4, true) + bytes_of(0, 8) + plain.substr(33));
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.png", {}); }),
              HasSubstr("a.png: an animation of 3 pictures"));
}

TEST(PictureFiles, KindsThatAreNotReadAreCalledByTheirNames) {
  TemporaryFolder folder;
  for (const auto& [name, bytes] : std::map<std::string, std::string>{{"GIF", "GIF89a......"},
                                                                      {"AVIF",
                                                                       "\0\0\0\x1C"
                                                                       "ftypavif........"s},
                                                                      {"HEIF",
                                                                       "\0\0\0\x1C"
                                                                       "ftypheic........"s},
                                                                      {"JPEG XL", "\xFF\x0A......"},
                                                                      {"PFM", "PF\n2 2\n-1.0\n"},
                                                                      {"PDF", "%PDF-1.4"}}) {
    write_file_atomically(folder / "a.png", bytes);
    EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.png", {}); }),
                HasSubstr("a.png: not an image that can be read: a " + name + " file; convert it to PNG"));
  }
}

TEST(PictureFiles, AJpegThatLacksItsEndMarkerAloneIsReadAndSaid) {
  TemporaryFolder folder;
  for (const bool progressive : {false, true})
    for (const int channels : {1, 3}) {
      cv::Mat picture(64, 64, CV_8UC(channels));
      cv::randu(picture, 0, 255);
      cv::imwrite((folder / "a.jpg").string(), picture, {cv::IMWRITE_JPEG_PROGRESSIVE, progressive});
      const Image expected = decode_image(folder / "a.jpg", {});
      EXPECT_THAT(expected.notes, IsEmpty());
      const auto whole = read_file(folder / "a.jpg");
      for (const std::size_t missing : {2, 1}) {
        write_file_atomically(folder / "a.jpg", whole.substr(0, whole.size() - missing));
        const Image image = decode_image(folder / "a.jpg", {});
        EXPECT_EQ(image.values, expected.values);
        EXPECT_THAT(image.notes, ElementsAre(HasSubstr("without its end marker")));
      }
      // What is cut further loses pixels, or in a progressive file all of a scan.
      for (std::size_t missing = 6; missing < whole.size(); missing += 1 + whole.size() / 60) {
        write_file_atomically(folder / "a.jpg", whole.substr(0, whole.size() - missing));
        EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.jpg", {}); }), HasSubstr("a.jpg: "))
            << missing << " bytes missing of " << whole.size() << ", progressive " << progressive;
      }
      for (std::size_t at = whole.find("\xFF\xDA"); at != std::string::npos;
           at = whole.find("\xFF\xDA", at + 2)) {
        write_file_atomically(folder / "a.jpg", whole.substr(0, at));
        EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.jpg", {}); }), HasSubstr("a.jpg: "))
            << "before a scan";
      }
    }
}

TEST(PictureFiles, LimitsAreCheckedByTheHeader) {
  TemporaryFolder folder;
  PictureOptions options;
  write_picture(folder / "a.png", 40, 50, 3, 8, [](int y, int x, int c) { return y * x + c; });
  write_picture(folder / "a.jpg", 40, 50, 3, 8, [](int y, int x, int c) { return y * x + c; });
  write_picture(folder / "a.bmp", 40, 50, 3, 8, [](int y, int x, int c) { return y * x + c; });
  write_picture(folder / "a.tif", 40, 50, 3, 8, [](int y, int x, int c) { return y * x + c; });
  write_picture(folder / "a.ppm", 40, 50, 3, 8, [](int y, int x, int c) { return y * x + c; });
  write_picture(folder / "a.webp", 40, 50, 3, 8, [](int y, int x, int c) { return y * x + c; });
  for (const char* name : {"a.png", "a.jpg", "a.bmp", "a.tif", "a.ppm", "a.webp"}) {
    options.limits.pixels = 2000;
    EXPECT_EQ(decode_image(folder / name, options).height, 40) << name;
    options.limits.pixels = 1999;
    EXPECT_THAT(data_refusal([&] { decode_image(folder / name, options); }),
                AllOf(HasSubstr(name),
                      HasSubstr("40×50 pixels are more than the limit of 1999; --max-pixels raises it")));
    EXPECT_THAT(data_refusal([&] { decode_mask(folder / name, options); }), HasSubstr("--max-pixels"));
  }
}

// Pixels of one value, as small as its format gets.
TEST(PictureFiles, SmallFilesOfHugePicturesAreRefused) {
  TemporaryFolder folder;
  std::string head = "IHDR" + bytes_of(30'000, 4, true) + bytes_of(30'000, 4, true) + "\x08\x02\0\0\0"s;
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(head.data()), static_cast<uInt>(head.size()));
  write_file_atomically(folder / "a.png", "\x89PNG\r\n\x1A\n" + bytes_of(13, 4, true) + head +
                                              bytes_of(static_cast<std::uint32_t>(sum), 4, true) +
                                              std::string(109'000, 'x'));
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.png", {}); }),
              HasSubstr("30000×30000 pixels are more than the limit of 100000000; --max-pixels raises it"));
  PictureOptions options;
  options.limits.pixels = 1 << 30;
  options.limits.bytes = std::int64_t{1} << 40;
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.png", options); }),
              HasSubstr("--max-expansion raises it"));
  options.limits.bytes = 1 << 30;
  EXPECT_THAT(data_refusal([&] { decode_image(folder / "a.png", options); }),
              HasSubstr("--max-picture-mb raises it"));
}

}  // namespace
}  // namespace isnet
