#include "import/png_values.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "import/formats/kind.h"

namespace isnet {
namespace {

constexpr std::size_t colour_type_place = 25;  // in the header chunk, which comes first

// What libpng's callbacks see.
struct Source {
  const std::string& bytes;
  std::size_t place = 0;
  char error[200] = "";
};

void take_bytes(png_structp png, png_bytep out, png_size_t count) {
  auto& source = *static_cast<Source*>(png_get_io_ptr(png));
  if (source.bytes.size() - source.place < count) png_error(png, "cut short");
  std::memcpy(out, source.bytes.data() + source.place, count);
  source.place += count;
}

void note_error(png_structp png, png_const_charp message) {
  auto& source = *static_cast<Source*>(png_get_error_ptr(png));
  std::snprintf(source.error, sizeof source.error, "%s", message);
  png_longjmp(png, 1);
}

// libpng's objects, and the room that they fill: made before setjmp(), so that a jump destroys nothing.
struct Reader {
  explicit Reader(Source& source) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, note_error,
                                 [](png_structp, png_const_charp) {});
    info = png == nullptr ? nullptr : png_create_info_struct(png);
    if (info == nullptr) fail(ErrorKind::runtime, "libpng: out of memory");
    png_set_read_fn(png, &source, take_bytes);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Each returns false after an error of libpng.
  bool read_header() {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_read_info(png, info);
    png_set_packing(png);
    png_set_swap(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return true;
  }
  bool read_rows() {
    if (setjmp(png_jmpbuf(png)) != 0) return false;
    png_read_image(png, rows.data());
    png_read_end(png, nullptr);
    return true;
  }

  png_structp png = nullptr;
  png_infop info = nullptr;
  std::vector<png_byte> pixels;
  std::vector<png_bytep> rows;
};

std::vector<std::uint32_t> palette_of(Reader& reader) {
  png_colorp colours = nullptr;
  int count = 0;
  std::vector<std::uint32_t> palette;
  if (png_get_PLTE(reader.png, reader.info, &colours, &count) == 0) return palette;
  for (int i = 0; i < count; ++i)
    palette.push_back(
        static_cast<std::uint32_t>(colours[i].red << 16 | colours[i].green << 8 | colours[i].blue));
  return palette;
}

}  // namespace

bool has_palette_or_opacity(const std::string& bytes) {
  if (picture_kind(bytes) != PictureKind::png || bytes.size() <= colour_type_place) return false;
  const auto type = static_cast<unsigned char>(bytes[colour_type_place]);
  return type == PNG_COLOR_TYPE_PALETTE || type == PNG_COLOR_TYPE_GRAY_ALPHA ||
         type == PNG_COLOR_TYPE_RGB_ALPHA;
}

PngValues read_png(const std::string& bytes, const std::string& where, const PictureLimits& limits) {
  Source source{.bytes = bytes};
  Reader reader(source);
  const auto refuse = [&] { fail(ErrorKind::data, where, ": a damaged PNG file (", source.error, ")"); };
  if (!reader.read_header()) refuse();
  PngValues result;
  result.height = png_get_image_height(reader.png, reader.info);
  result.width = png_get_image_width(reader.png, reader.info);
  result.channels = png_get_channels(reader.png, reader.info);
  const bool wide = png_get_bit_depth(reader.png, reader.info) == 16;
  result.white = wide ? 65535 : 255;
  const std::size_t row = png_get_rowbytes(reader.png, reader.info);
  check_limits(where, {result.height, result.width, result.channels * (wide ? 2 : 1), 1},
               static_cast<std::int64_t>(bytes.size()), limits);
  reader.pixels.resize(row * static_cast<std::size_t>(result.height));
  for (std::int64_t y = 0; y < result.height; ++y)
    reader.rows.push_back(reader.pixels.data() + row * static_cast<std::size_t>(y));
  if (!reader.read_rows()) refuse();
  const auto count = static_cast<std::size_t>(result.height * result.width * result.channels);
  if (wide) {
    result.values.resize(count);
    std::memcpy(result.values.data(), reader.pixels.data(), count * sizeof(std::uint16_t));
    return result;
  }
  result.values.assign(reader.pixels.begin(), reader.pixels.begin() + static_cast<std::ptrdiff_t>(count));
  if (png_get_color_type(reader.png, reader.info) != PNG_COLOR_TYPE_PALETTE) return result;
  result.palette = palette_of(reader);
  result.palette.resize(256, 0);  // a short one: what it leaves out is black
  return result;
}

}  // namespace isnet
