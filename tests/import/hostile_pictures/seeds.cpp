#include "hostile_pictures/seeds.h"

#include <zlib.h>

#include <dcmtk/dcmjpeg/djencode.h>
#include <dcmtk/dcmjpeg/djrploss.h>

#include "base/error.h"
#include "base/files.h"
#include "support/dicom.h"
#include "support/jpeg2000.h"
#include "support/pictures.h"
#include "support/tiff.h"

namespace isnet::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

constexpr int height = 24, width = 40;

int value_at(int y, int x, int c) {
  return (y * y * 7 + x * x * 3 + c * 50 + x * y) % 256;
}

void add_common(const fs::path& folder, std::vector<fs::path>& all) {
  for (const char* name : {"a.png", "a.jpg", "a.bmp", "a.webp"}) {
    write_picture(folder / name, height, width, 3, 8, value_at);
    all.push_back(folder / name);
  }
  write_picture(folder / "deep.png", height, width, 1, 16, [](int y, int x, int) { return 700 * y + 9 * x; });
  cv::Mat picture(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        picture.at<cv::Vec3b>(y, x)[c] = static_cast<unsigned char>(value_at(y, x, c));
  cv::imwrite((folder / "progressive.jpg").string(), picture, {cv::IMWRITE_JPEG_PROGRESSIVE, 1});
  cv::imwrite((folder / "lossless.webp").string(), picture, {cv::IMWRITE_WEBP_QUALITY, 101});
  write_picture(folder / "a.ppm", height, width, 3, 8, value_at);
  std::string text = "P2\n# text\n40 24\n4095\n";
  for (int i = 0; i < height * width; ++i) text += std::to_string(4 * i) + (i % 10 == 9 ? "\n" : " ");
  write_file_atomically(folder / "text.pgm", text);
  write_file_atomically(folder / "a.pam",
                        "P7\nWIDTH 40\nHEIGHT 24\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" +
                            std::string(height * width * 4, 'x'));
  for (const char* name : {"deep.png", "progressive.jpg", "lossless.webp", "a.ppm", "text.pgm", "a.pam"})
    all.push_back(folder / name);
}

void add_tiffs(const fs::path& folder, std::vector<fs::path>& all) {
  const auto add = [&](const std::string& name, TiffPage page, const char* mode = "w") {
    page.height = height;
    page.width = width;
    page.rows_per_strip = page.compression == COMPRESSION_JPEG ? 16 : 8;
    page.value = [&](auto y, auto x, int s) {
      return static_cast<std::uint64_t>(value_at(static_cast<int>(y), static_cast<int>(x), s)) &
             ((std::uint64_t{1} << page.bits) - 1);
    };
    write_tiff(folder / name, {page}, mode);
    all.push_back(folder / name);
  };
  add("grey.tif", {.bits = 16, .photometric = PHOTOMETRIC_MINISWHITE});
  add("lzw.tif",
      {.samples = 3, .photometric = PHOTOMETRIC_RGB, .compression = COMPRESSION_LZW, .predictor = 2}, "wb");
  add("tiles.tif",
      {.samples = 4,
       .photometric = PHOTOMETRIC_RGB,
       .compression = COMPRESSION_ADOBE_DEFLATE,
       .tile = 16,
       .extra = {EXTRASAMPLE_ASSOCALPHA}},
      "w8");
  add("planes.tif",
      {.bits = 16, .samples = 3, .photometric = PHOTOMETRIC_RGB, .planar = PLANARCONFIG_SEPARATE});
  add("bits.tif", {.bits = 1, .compression = COMPRESSION_CCITTFAX4});
  add("packed.tif", {.bits = 4, .compression = COMPRESSION_PACKBITS});
  add("jpeg.tif", {.samples = 3,
                   .photometric = PHOTOMETRIC_YCBCR,
                   .compression = COMPRESSION_JPEG,
                   .more = [](TIFF* tiff) { TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB); }});
}

void add_jpeg2000(const fs::path& folder, std::vector<fs::path>& all) {
  for (const bool file : {false, true}) {
    const auto path = folder / (file ? "a.jp2" : "a.j2k");
    write_file_atomically(
        path,
        jpeg2000_bytes({.height = height, .width = width, .components = 3, .file = file, .value = value_at}));
    all.push_back(path);
  }
}

void add_sequences(DcmDataset& data) {
  DcmItem *item = nullptr, *inner = nullptr;
  data.findOrCreateSequenceItem(DCM_VOILUTSequence, item, -2);
  const Uint16 descriptor[] = {256, 0, 16};
  const std::vector<Uint16> entries(256, 77);
  item->putAndInsertUint16Array(DCM_LUTDescriptor, descriptor, 3);
  item->putAndInsertUint16Array(DCM_LUTData, entries.data(), 256);
  data.findOrCreateSequenceItem(DCM_ReferencedImageSequence, item, -2);
  item->findOrCreateSequenceItem(DCM_PurposeOfReferenceCodeSequence, inner, -2);
  inner->putAndInsertString(DCM_CodeMeaning, "nothing");
  data.putAndInsertUint16(DCM_PixelPaddingValue, 0);
}

void add_dicoms(const fs::path& folder, std::vector<fs::path>& all) {
  DicomPicture picture{.rows = height, .columns = width, .allocated = 8, .stored = 8, .more = add_sequences};
  for (int i = 0; i < height * width; ++i) picture.values.push_back(static_cast<std::uint16_t>(i % 251));
  const auto add = [&](const std::string& name, E_TransferSyntax syntax) {
    picture.syntax = syntax;
    write_dicom(folder / name, picture);
    all.push_back(folder / name);
  };
  add("explicit.dcm", EXS_LittleEndianExplicit);
  add("implicit.dcm", EXS_LittleEndianImplicit);
  add("big.dcm", EXS_BigEndianExplicit);
  add("deflated.dcm", EXS_DeflatedLittleEndianExplicit);
  // Without preamble and meta header.
  DcmFileFormat format;
  format.loadFile((folder / "implicit.dcm").c_str());
  const auto meta = format.getMetaInfo()->calcElementLength(EXS_LittleEndianExplicit, EET_ExplicitLength);
  write_file_atomically(folder / "bare.dcm", read_file(folder / "implicit.dcm").substr(meta));
  all.push_back(folder / "bare.dcm");
  DJEncoderRegistration::registerCodecs();
  format.loadFile((folder / "explicit.dcm").c_str());
  const DJ_RPLossy quality(90);
  if (format.getDataset()->chooseRepresentation(EXS_JPEGProcess1, &quality).good() &&
      format.saveFile((folder / "jpeg.dcm").c_str(), EXS_JPEGProcess1).good())
    all.push_back(folder / "jpeg.dcm");
  DJEncoderRegistration::cleanup();
  const auto more = picture.more;
  picture.more = [&](DcmDataset& data) {
    more(data);
    auto stream = jpeg2000_bytes({.height = height, .width = width, .value = value_at});
    if (stream.size() % 2) stream += '\0';
    auto* sequence = new DcmPixelSequence(DCM_PixelSequenceTag);
    sequence->insert(new DcmPixelItem(DCM_PixelItemTag));
    auto* item = new DcmPixelItem(DCM_PixelItemTag);
    item->putUint8Array(reinterpret_cast<const Uint8*>(stream.data()),
                        static_cast<unsigned long>(stream.size()));
    sequence->insert(item);
    auto* pixels = new DcmPixelData(DCM_PixelData);
    pixels->putOriginalRepresentation(EXS_JPEG2000, nullptr, sequence);
    data.insert(pixels, true);
  };
  add("jpeg2000.dcm", EXS_JPEG2000);
}

std::string number(std::uint64_t value, int count, bool highest_first = true) {
  std::string bytes;
  for (int i = 0; i < count; ++i)
    bytes += static_cast<char>(value >> 8 * (highest_first ? count - 1 - i : i));
  return bytes;
}

// Zeros, deflated.
std::string deflated_zeros(std::size_t count, int window) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY);
  const std::string block(1 << 20, '\0');
  std::string result, piece(1 << 16, '\0');
  for (std::size_t done = 0; done <= count; done += block.size()) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(block.data()));
    stream.avail_in = static_cast<uInt>(std::min(block.size(), count - done));
    do {
      stream.next_out = reinterpret_cast<Bytef*>(piece.data());
      stream.avail_out = static_cast<uInt>(piece.size());
      deflate(&stream, done + block.size() > count ? Z_FINISH : Z_NO_FLUSH);
      result.append(piece, 0, piece.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  }
  deflateEnd(&stream);
  return result;
}

std::string png_chunk(const std::string& name, const std::string& content) {
  const auto named = name + content;
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(named.data()), static_cast<uInt>(named.size()));
  return number(content.size(), 4) + named + number(sum, 4);
}

std::string png_bomb(std::uint32_t side) {
  return "\x89PNG\r\n\x1A\n" + png_chunk("IHDR", number(side, 4) + number(side, 4) + "\x08\0\0\0\0"s) +
         png_chunk("IDAT", deflated_zeros(std::size_t{100} << 20, MAX_WBITS)) + png_chunk("IEND", "");
}

// Tags of an uncompressed picture whose strips are not in the file, or all the same.
std::string tiff_bomb(std::uint32_t rows, std::uint32_t columns) {
  const auto entry = [](int tag, int type, std::uint64_t value) {
    return number(static_cast<std::uint64_t>(tag), 2) + number(static_cast<std::uint64_t>(type), 2) +
           number(1, 4) + (type == 3 ? number(value, 2) + number(0, 2) : number(value, 4));
  };
  return "MM\0*"s + number(8, 4) + number(8, 2) + entry(256, 4, columns) + entry(257, 4, rows) +
         entry(258, 3, 8) + entry(259, 3, 32773) + entry(262, 3, 1) + entry(273, 4, 200) +
         entry(278, 4, rows) + entry(279, 4, 100) + number(0, 4) + std::string(300, '\x81');
}

std::string webp_bomb() {  // without loss, of 16384×16384
  const std::string content =
      "WEBPVP8L" + number(12, 4, false) + "\x2F" + number(0x0FFFFFFF, 4, false) + std::string(7, '\0');
  return "RIFF" + number(content.size(), 4, false) + content;
}

std::string dicom_nested(std::size_t depth) {
  std::string bytes =
      std::string(128, '\0') + "DICM" + std::string("\x02\0\x10\0UI\x14\0", 8) + "1.2.840.10008.1.2.1\0"s;
  for (std::size_t i = 0; i < depth; ++i)
    bytes += std::string("\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF", 20);
  return bytes;
}

}  // namespace

std::vector<fs::path> write_seed_pictures(const fs::path& folder) {
  std::vector<fs::path> all;
  add_common(folder, all);
  add_tiffs(folder, all);
  add_jpeg2000(folder, all);
  add_dicoms(folder, all);
  return all;
}

std::vector<fs::path> write_bombs(const fs::path& folder) {
  std::vector<fs::path> all;
  const auto add = [&](const std::string& name, const std::string& bytes) {
    write_file_atomically(folder / name, bytes);
    all.push_back(folder / name);
  };
  add("bomb.png", png_bomb(30'000));
  add("bomb.tif", tiff_bomb(30'000, 30'000));
  add("sparse.tif", tiff_bomb(9'000, 9'000));
  add("bomb.webp", webp_bomb());
  add("bomb.pgm", "P5 65535 65535 255\n");
  add("bomb.bmp", "BM" + number(1000, 4, false) + number(0, 4) + number(54, 4, false) + number(40, 4, false) +
                      number(60'000, 4, false) + number(60'000, 4, false) + number(1, 2, false) +
                      number(24, 2, false) + std::string(900, '\0'));
  auto jpeg = read_file(folder / "a.jpg");
  const auto frame = jpeg.find("\xFF\xC0");
  jpeg.replace(frame + 5, 4, "\xFF\xFF\xFF\xFF");
  add("bomb.jpg", jpeg);
  auto stream = read_file(folder / "a.j2k");
  stream.replace(8, 8, number(60'000, 4) + number(60'000, 4));
  stream.replace(24, 8, number(60'000, 4) + number(60'000, 4));
  add("bomb.j2k", stream);
  stream = read_file(folder / "a.j2k");
  stream.replace(24, 8, number(1, 4) + number(1, 4));  // tiles of one pixel
  add("tiles.j2k", stream);
  for (const std::size_t depth : {1000u, 10'000u, 1'000'000u})
    add(cat("nested", depth, ".dcm"), dicom_nested(depth));
  const auto plain =
      std::string(128, '\0') + "DICM" + std::string("\x02\0\x10\0UI\x16\0", 8) + "1.2.840.10008.1.2.1.99";
  add("inflated.dcm", plain + deflated_zeros(std::size_t{300} << 20, -MAX_WBITS));
  return all;
}

}  // namespace isnet::testing
