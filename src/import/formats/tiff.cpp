#include "import/formats/tiff.h"

#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "import/formats/orientation.h"
#include "import/formats/tiff_samples.h"

namespace isnet {
namespace {

constexpr int most_directories = 4096;  // looked at for further pages

// What libtiff reads from, and what it says.
struct Source {
  std::string_view bytes;
  std::size_t at = 0;
  std::string error = {};  // the first one
};

Source& source_of(thandle_t handle) {
  return *static_cast<Source*>(handle);
}

tmsize_t read_source(thandle_t handle, void* out, tmsize_t size) {
  auto& source = source_of(handle);
  const auto left = source.bytes.size() - std::min(source.at, source.bytes.size());
  const auto taken = std::min(left, static_cast<std::size_t>(size));
  std::memcpy(out, source.bytes.data() + source.bytes.size() - left, taken);
  source.at += taken;
  return static_cast<tmsize_t>(taken);
}

toff_t seek_source(thandle_t handle, toff_t offset, int whence) {
  auto& source = source_of(handle);
  const std::size_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? source.at : source.bytes.size();
  source.at = from + static_cast<std::size_t>(offset);
  return source.at;
}

int map_source(thandle_t handle, void** base, toff_t* size) {
  const auto& source = source_of(handle);
  *base = const_cast<char*>(source.bytes.data());
  *size = source.bytes.size();
  return 1;
}

int note_error(TIFF*, void* user, const char*, const char* format, va_list arguments) {
  auto& error = static_cast<Source*>(user)->error;
  if (error.empty()) {
    std::array<char, 300> text{};
    std::vsnprintf(text.data(), text.size(), format, arguments);
    error = text.data();
  }
  return 1;
}

// Warnings say what libtiff has mended; those of libjpeg say that pixels are lost.
int look_at_warning(TIFF* file, void* user, const char* module, const char* format, va_list arguments) {
  if (module && std::string_view(module) == "JPEGLib") note_error(file, user, module, format, arguments);
  return 1;
}

using File = std::unique_ptr<TIFF, decltype(&TIFFClose)>;

File opened(Source& source, const PictureLimits& limits) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                 &TIFFOpenOptionsFree);
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), limits.bytes);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), note_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), look_at_warning, &source);
  return {TIFFClientOpenExt(
              "", "r", &source, read_source, [](thandle_t, void*, tmsize_t) -> tmsize_t { return 0; },
              seek_source, [](thandle_t) { return 0; },
              [](thandle_t handle) -> toff_t { return source_of(handle).bytes.size(); }, map_source,
              [](thandle_t, void*, toff_t) {}, options.get()),
          &TIFFClose};
}

// One page as its tags describe it.
struct Page {
  std::uint32_t width = 0, height = 0;
  std::uint16_t bits = 1, samples = 1, format = SAMPLEFORMAT_UINT, photometric = PHOTOMETRIC_MINISBLACK;
  std::uint16_t planar = PLANARCONFIG_CONTIG, compression = COMPRESSION_NONE, orientation = 1;
  int associated_alpha = -1;  // which sample it is; −1: none
  bool in_planes() const { return planar == PLANARCONFIG_SEPARATE && samples > 1; }
  // Samples that tell the colour, before alpha and others.
  int colours() const {
    return photometric == PHOTOMETRIC_SEPARATED                                 ? 4
           : photometric == PHOTOMETRIC_RGB || photometric == PHOTOMETRIC_YCBCR ? 3
                                                                                : 1;
  }
};

class TiffReader {
 public:
  TiffReader(std::string_view bytes, const std::string& where, const PictureLimits& limits)
      : where_(where), limits_(limits), source_{bytes}, file_(opened(source_, limits)) {
    if (!file_) damaged();
  }

  Image read(std::int64_t page) {
    find(page);
    read_tags();
    check_limits(where_, size_of(page_.width, page_.height), static_cast<std::int64_t>(source_.bytes.size()),
                 limits_);
    Image image = needs_conversion() ? converted() : assembled();
    return turned(std::move(image), page_.orientation);
  }

 private:
  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::data, where_, ": ", parts...);
  }
  [[noreturn]] void damaged() const {
    refuse("a TIFF file that is damaged or cut short",
           source_.error.empty() ? std::string() : cat(" (", source_.error, ")"));
  }

  // Goes to a page.
  void find(std::int64_t page) {
    const std::int64_t wanted = std::max<std::int64_t>(page, 1);
    std::int64_t found = 1;
    for (int directory = 0; found < wanted; ++directory) {
      if (directory >= most_directories || !next_page())
        refuse("holds ", found, found == 1 ? " page" : " pages", "; --page ", page, " is not one of them");
      ++found;
    }
    if (page > 0) return;
    if (next_page()) refuse("holds several pages; --page N takes one of them");
    if (!source_.error.empty() || !TIFFSetDirectory(file_.get(), 0)) damaged();
  }

  // Goes to the next directory that is a page of its own.
  bool next_page() {
    for (int i = 0; i < most_directories && TIFFReadDirectory(file_.get()); ++i) {
      std::uint32_t type = 0;
      TIFFGetFieldDefaulted(file_.get(), TIFFTAG_SUBFILETYPE, &type);
      if (!(type & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK))) return true;
    }
    return false;
  }

  template <typename Value>
  bool get(std::uint32_t tag, Value& value) const {
    return TIFFGetFieldDefaulted(file_.get(), tag, &value) == 1;
  }

  void read_tags() {
    if (!get(TIFFTAG_IMAGEWIDTH, page_.width) || !get(TIFFTAG_IMAGELENGTH, page_.height)) damaged();
    get(TIFFTAG_BITSPERSAMPLE, page_.bits);
    get(TIFFTAG_SAMPLESPERPIXEL, page_.samples);
    get(TIFFTAG_SAMPLEFORMAT, page_.format);
    get(TIFFTAG_PLANARCONFIG, page_.planar);
    get(TIFFTAG_COMPRESSION, page_.compression);
    get(TIFFTAG_ORIENTATION, page_.orientation);
    if (!TIFFGetField(file_.get(), TIFFTAG_PHOTOMETRIC, &page_.photometric))
      page_.photometric = assumed_photometric();
    if (page_.photometric == PHOTOMETRIC_YCBCR && page_.compression == COMPRESSION_JPEG &&
        !page_.in_planes()) {
      TIFFSetField(file_.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      page_.photometric = PHOTOMETRIC_RGB;
    }
    std::uint16_t extra = 0, *types = nullptr;
    TIFFGetFieldDefaulted(file_.get(), TIFFTAG_EXTRASAMPLES, &extra, &types);
    for (int i = 0; i < extra && types && page_.associated_alpha < 0; ++i)
      if (types[i] == EXTRASAMPLE_ASSOCALPHA) page_.associated_alpha = page_.samples - extra + i;
    check_tags();
  }

  std::uint16_t assumed_photometric() const {
    if (page_.samples >= 3) return PHOTOMETRIC_RGB;
    const bool fax = page_.compression >= COMPRESSION_CCITTRLE && page_.compression <= COMPRESSION_CCITTFAX4;
    return fax ? PHOTOMETRIC_MINISWHITE : PHOTOMETRIC_MINISBLACK;
  }

  void check_tags() const {
    if (page_.format == SAMPLEFORMAT_INT)
      refuse("pixels of ", page_.bits,
             " bit with sign, whose black and white are not known; store them "
             "without sign");
    const bool real = page_.format == SAMPLEFORMAT_IEEEFP;
    if (!real && page_.format != SAMPLEFORMAT_UINT && page_.format != SAMPLEFORMAT_VOID)
      refuse("complex numbers for pixels; 8 and 16 bit without sign can be read");
    const bool good = real ? page_.bits == 16 || page_.bits == 32 || page_.bits == 64
                           : (page_.bits >= 1 && page_.bits <= 16) || page_.bits == 32;
    if (!good)
      refuse("pixels of ", page_.bits, " bit", real ? " in floating point" : "",
             "; 1 to 16 and 32 bit can be read");
    if (page_.samples < page_.colours() || page_.samples > 64)
      refuse(page_.samples, " samples a pixel of the colour kind ", page_.photometric,
             ", which cannot be read");
  }

  PictureSize size_of(std::int64_t width, std::int64_t height) const {
    return {height, width, std::int64_t{page_.samples} * ((page_.bits + 7) / 8), 1};
  }

  // Whether libtiff's own conversion to 8-bit colour is wanted.
  bool needs_conversion() const {
    switch (page_.photometric) {
      case PHOTOMETRIC_MINISWHITE:
      case PHOTOMETRIC_MINISBLACK:
      case PHOTOMETRIC_RGB:
      case PHOTOMETRIC_SEPARATED:
        return false;
      case PHOTOMETRIC_PALETTE:
        if (page_.bits > 16 || page_.format == SAMPLEFORMAT_IEEEFP) damaged();
        return false;
      case PHOTOMETRIC_YCBCR:
      case PHOTOMETRIC_CIELAB:
      case PHOTOMETRIC_ICCLAB:
      case PHOTOMETRIC_LOGL:
      case PHOTOMETRIC_LOGLUV:
        return true;
      default:
        refuse("pixels of the colour kind ", page_.photometric, ", which cannot be read");
    }
  }

  Image converted() {
    std::array<char, 1024> why{};
    if (!TIFFRGBAImageOK(file_.get(), why.data())) refuse("cannot be converted to colours: ", why.data());
    std::vector<std::uint32_t> raster(std::size_t{page_.width} * page_.height);
    // Asked for as they lie: nothing is flipped.
    if (!TIFFReadRGBAImageOriented(file_.get(), page_.width, page_.height, raster.data(), page_.orientation,
                                   1) ||
        !source_.error.empty())
      damaged();
    Image image{page_.height, page_.width, 3, 255, {}};
    image.values.reserve(raster.size() * 3);
    for (const auto pixel : raster)
      for (const auto value : {TIFFGetR(pixel), TIFFGetG(pixel), TIFFGetB(pixel)})
        image.values.push_back(static_cast<std::uint16_t>(value));
    return image;
  }

  Image assembled() {
    const TiffSampleType type{page_.bits, page_.format == SAMPLEFORMAT_IEEEFP,
                              page_.photometric == PHOTOMETRIC_PALETTE};
    const TiffSamples samples(type, [this](double value) {
      refuse("a floating-point pixel of ", value, "; expected 0 (black) to 1 (white)");
    });
    samples_.resize(std::size_t{page_.width} * page_.height * page_.samples);
    if (TIFFIsTiled(file_.get()))
      read_tiles(samples);
    else
      read_strips(samples);
    if (!source_.error.empty()) damaged();
    Image image{page_.height, page_.width, 0, type.white(), {}};
    add_colours(image);
    return image;
  }

  // Samples of a pixel that lie together, and bytes of a row of them.
  std::int64_t together() const { return page_.in_planes() ? 1 : page_.samples; }
  std::int64_t row_bytes(std::int64_t width) const { return (width * together() * page_.bits + 7) / 8; }

  void read_strips(const TiffSamples& samples) {
    std::uint32_t rows = page_.height;
    get(TIFFTAG_ROWSPERSTRIP, rows);
    rows = std::clamp<std::uint32_t>(rows, 1, page_.height);
    std::vector<unsigned char> buffer(static_cast<std::size_t>(row_bytes(page_.width) * rows));
    for (std::uint16_t plane = 0; plane < (page_.in_planes() ? page_.samples : 1); ++plane)
      for (std::uint32_t y = 0; y < page_.height; y += rows) {
        const auto count = std::min(rows, page_.height - y);
        const auto size = static_cast<tmsize_t>(row_bytes(page_.width) * count);
        const auto strip = TIFFComputeStrip(file_.get(), y, plane);
        if (TIFFReadEncodedStrip(file_.get(), strip, buffer.data(), size) != size) damaged();
        place(samples, buffer, row_bytes(page_.width), {0, y, page_.width, count}, plane);
      }
  }

  void read_tiles(const TiffSamples& samples) {
    std::uint32_t width = 0, height = 0;
    if (!get(TIFFTAG_TILEWIDTH, width) || !get(TIFFTAG_TILELENGTH, height)) damaged();
    check_limits(where_, size_of(width, height), static_cast<std::int64_t>(source_.bytes.size()), limits_);
    const auto size = static_cast<tmsize_t>(row_bytes(width) * height);
    if (TIFFTileSize(file_.get()) != size) damaged();
    std::vector<unsigned char> buffer(static_cast<std::size_t>(size));
    for (std::uint16_t plane = 0; plane < (page_.in_planes() ? page_.samples : 1); ++plane)
      for (std::uint32_t y = 0; y < page_.height; y += height)
        for (std::uint32_t x = 0; x < page_.width; x += width) {
          const auto tile = TIFFComputeTile(file_.get(), x, y, 0, plane);
          if (TIFFReadEncodedTile(file_.get(), tile, buffer.data(), size) != size) damaged();
          place(samples, buffer, row_bytes(width),
                {x, y, std::min(width, page_.width - x), std::min(height, page_.height - y)}, plane);
        }
  }

  struct Box {
    std::uint32_t x, y, width, height;
  };

  // Puts decoded rows where they belong.
  void place(const TiffSamples& samples, const std::vector<unsigned char>& buffer, std::int64_t stride,
             const Box& box, std::uint16_t plane) {
    for (std::uint32_t y = 0; y < box.height; ++y) {
      auto* out = samples_.data() + (std::size_t{box.y + y} * page_.width + box.x) * page_.samples + plane;
      const auto* row = buffer.data() + static_cast<std::size_t>(stride) * y;
      if (page_.in_planes())
        samples.unpack(row, box.width, page_.samples, out);
      else
        samples.unpack(row, std::int64_t{box.width} * page_.samples, 1, out);
    }
  }

  void add_colours(Image& image) {
    const auto palette = read_palette();
    const auto inks = page_.photometric == PHOTOMETRIC_SEPARATED;
    image.channels = palette.empty() && page_.colours() == 1 ? 1 : 3;
    image.values.reserve(static_cast<std::size_t>(image.pixels() * image.channels));
    if (!palette.empty()) image.white = 255;
    for (std::size_t at = 0; at < samples_.size(); at += page_.samples) {
      auto* pixel = samples_.data() + at;
      if (page_.associated_alpha >= 0) divide_by_alpha(pixel, image.white);
      if (!palette.empty()) {
        const auto& colour = palette[pixel[0]];
        image.values.insert(image.values.end(), colour.begin(), colour.end());
      } else if (inks) {
        for (int c = 0; c < 3; ++c)
          image.values.push_back(product(image.white - pixel[c], image.white - pixel[3], image.white));
      } else {
        for (int c = 0; c < image.channels; ++c)
          image.values.push_back(page_.photometric == PHOTOMETRIC_MINISWHITE
                                     ? static_cast<std::uint16_t>(image.white - pixel[c])
                                     : pixel[c]);
      }
    }
  }

  static std::uint16_t product(std::int64_t a, std::int64_t b, std::int64_t white) {
    return static_cast<std::uint16_t>((a * b * 2 + white) / (2 * white));
  }

  void divide_by_alpha(std::uint16_t* pixel, std::int64_t white) const {
    const std::int64_t alpha = pixel[page_.associated_alpha];
    if (alpha == 0 || page_.photometric == PHOTOMETRIC_PALETTE) return;
    for (int c = 0; c < page_.colours(); ++c)
      pixel[c] = static_cast<std::uint16_t>(std::min(white, (pixel[c] * white * 2 + alpha) / (2 * alpha)));
  }

  // The colours of a palette in 8 bit; none where there is no palette.
  std::vector<std::array<std::uint16_t, 3>> read_palette() const {
    if (page_.photometric != PHOTOMETRIC_PALETTE) return {};
    std::uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
    if (!TIFFGetField(file_.get(), TIFFTAG_COLORMAP, &red, &green, &blue)) damaged();
    const std::size_t count = std::size_t{1} << page_.bits;
    // Some programs write 8-bit numbers into a palette of 16-bit ones.
    std::uint16_t largest = 0;
    for (const auto* channel : {red, green, blue})
      largest = std::max(largest, *std::max_element(channel, channel + count));
    const int divisor = largest < 256 ? 1 : 257;
    std::vector<std::array<std::uint16_t, 3>> palette(count);
    const auto scaled = [&](int value) {
      return static_cast<std::uint16_t>((value + divisor / 2) / divisor);
    };
    for (std::size_t i = 0; i < count; ++i) palette[i] = {scaled(red[i]), scaled(green[i]), scaled(blue[i])};
    return palette;
  }

  const std::string& where_;
  const PictureLimits& limits_;
  Source source_;
  File file_;
  Page page_;
  std::vector<std::uint16_t> samples_;  // H×W×samples
};

}  // namespace

Image read_tiff(std::string_view bytes, const std::string& where, std::int64_t page,
                const PictureLimits& limits) {
  return TiffReader(bytes, where, limits).read(page);
}

}  // namespace isnet
