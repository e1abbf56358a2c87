#include "import/formats/jpeg2000.h"

#include <openjpeg.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "import/formats/samples.h"

namespace isnet {
namespace {

using namespace std::string_view_literals;

struct Source {
  std::string_view bytes;
  std::size_t at = 0;
};

OPJ_SIZE_T read_source(void* out, OPJ_SIZE_T size, void* user) {
  auto& source = *static_cast<Source*>(user);
  const auto taken = std::min<std::size_t>(size, source.bytes.size() - source.at);
  if (taken == 0) return static_cast<OPJ_SIZE_T>(-1);
  std::memcpy(out, source.bytes.data() + source.at, taken);
  source.at += taken;
  return taken;
}

OPJ_OFF_T skip_source(OPJ_OFF_T count, void* user) {
  auto& source = *static_cast<Source*>(user);
  const auto left = static_cast<OPJ_OFF_T>(source.bytes.size() - source.at);
  if (count < 0 || left == 0) return -1;
  source.at += static_cast<std::size_t>(std::min(count, left));
  return std::min(count, left);
}

OPJ_BOOL seek_source(OPJ_OFF_T place, void* user) {
  auto& source = *static_cast<Source*>(user);
  if (place < 0 || static_cast<std::size_t>(place) > source.bytes.size()) return OPJ_FALSE;
  source.at = static_cast<std::size_t>(place);
  return OPJ_TRUE;
}

void note_error(const char* message, void* user) {
  auto& text = *static_cast<std::string*>(user);
  if (!text.empty()) return;
  text = message;
  while (!text.empty() && text.back() == '\n') text.pop_back();
}

struct ImageRelease {
  void operator()(opj_image_t* image) const { opj_image_destroy(image); }
};
struct CodecRelease {
  void operator()(opj_codec_t* codec) const { opj_destroy_codec(codec); }
};
struct StreamRelease {
  void operator()(opj_stream_t* stream) const { opj_stream_destroy(stream); }
};

class Decoder {
 public:
  Decoder(std::string_view bytes, const std::string& where) : where_(where), source_{bytes} {
    const bool bare = bytes.starts_with("\xFF\x4F\xFF\x51"sv);
    codec_.reset(opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2));
    stream_.reset(opj_stream_create(1 << 20, OPJ_TRUE));
    if (!codec_ || !stream_) throw std::bad_alloc();
    opj_set_error_handler(codec_.get(), note_error, &error_);
    opj_stream_set_user_data(stream_.get(), &source_, nullptr);
    opj_stream_set_user_data_length(stream_.get(), bytes.size());
    opj_stream_set_read_function(stream_.get(), read_source);
    opj_stream_set_skip_function(stream_.get(), skip_source);
    opj_stream_set_seek_function(stream_.get(), seek_source);
    opj_dparameters_t parameters;
    opj_set_default_decoder_parameters(&parameters);
    if (!opj_setup_decoder(codec_.get(), &parameters)) damaged();
  }

  const opj_image_t& decoded(const PictureLimits& limits) {
    opj_image_t* image = nullptr;
    const bool good = opj_read_header(stream_.get(), codec_.get(), &image);
    image_.reset(image);
    if (!good || !image_ || image_->numcomps < 1 || image_->numcomps > 16) damaged();
    check_header(limits);
    if (!opj_decode(codec_.get(), stream_.get(), image_.get()) ||
        !opj_end_decompress(codec_.get(), stream_.get()) || !error_.empty())
      damaged();
    for (OPJ_UINT32 i = 0; i < image_->numcomps; ++i)
      if (!image_->comps[i].data) damaged();
    return *image_;
  }

  [[noreturn]] void damaged() const {
    fail(ErrorKind::data, where_, ": JPEG 2000 data that are damaged or cut short",
         error_.empty() ? std::string() : cat(" (", error_, ")"));
  }

 private:
  void check_header(const PictureLimits& limits) const {
    // Components are decoded as numbers of four bytes.
    check_limits(where_,
                 {std::int64_t{image_->y1} - image_->y0, std::int64_t{image_->x1} - image_->x0,
                  std::int64_t{4} * image_->numcomps, 1},
                 static_cast<std::int64_t>(source_.bytes.size()), limits);
    opj_codestream_info_v2_t* info = opj_get_cstr_info(codec_.get());
    const auto tiles = info ? std::uint64_t{info->tw} * info->th : 1;
    opj_destroy_cstr_info(&info);
    if (tiles > source_.bytes.size() / 12) damaged();  // each has a header of twelve bytes
  }

  const std::string& where_;
  Source source_;
  std::string error_;
  std::unique_ptr<opj_codec_t, CodecRelease> codec_;
  std::unique_ptr<opj_stream_t, StreamRelease> stream_;
  std::unique_ptr<opj_image_t, ImageRelease> image_;
};

// Enlarged to the size of the picture, where it was stored smaller.
std::vector<std::int32_t> at_full_size(const opj_image_comp_t& component, std::int64_t height,
                                       std::int64_t width) {
  std::vector<std::int32_t> values;
  values.reserve(static_cast<std::size_t>(height * width));
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      const auto row = std::min<std::int64_t>(y / component.dy, component.h - 1);
      const auto column = std::min<std::int64_t>(x / component.dx, component.w - 1);
      values.push_back(component.data[row * component.w + column]);
    }
  return values;
}

std::array<std::uint16_t, 3> to_colours(double y, double blue, double red, double white) {
  const auto rounded = [&](double value) {
    return static_cast<std::uint16_t>(std::lround(std::clamp(value, 0.0, white)));
  };
  const double middle = std::floor(white / 2) + 1;  // of ITU-R BT.601, as JPEG has it
  return {rounded(y + 1.402 * (red - middle)),
          rounded(y - 0.344136 * (blue - middle) - 0.714136 * (red - middle)),
          rounded(y + 1.772 * (blue - middle))};
}

}  // namespace

Jpeg2000Picture decode_jpeg2000(std::string_view bytes, const std::string& where,
                                const PictureLimits& limits) {
  Decoder decoder(bytes, where);
  const auto& image = decoder.decoded(limits);
  Jpeg2000Picture picture;
  picture.height = std::int64_t{image.y1} - image.y0;
  picture.width = std::int64_t{image.x1} - image.x0;
  picture.luminance_and_chroma = image.color_space == OPJ_CLRSPC_SYCC;
  picture.other_colours = image.color_space == OPJ_CLRSPC_CMYK || image.color_space == OPJ_CLRSPC_EYCC;
  for (OPJ_UINT32 i = 0; i < image.numcomps; ++i) {
    const auto& component = image.comps[i];
    if (component.w < 1 || component.h < 1 || component.dx < 1 || component.dy < 1) decoder.damaged();
    picture.components.push_back({static_cast<int>(component.prec), component.sgnd != 0, component.alpha != 0,
                                  at_full_size(component, picture.height, picture.width)});
  }
  return picture;
}

Image read_jpeg2000(std::string_view bytes, const std::string& where, const PictureLimits& limits) {
  auto picture = decode_jpeg2000(bytes, where, limits);
  if (picture.other_colours)
    fail(ErrorKind::data, where, ": a JPEG 2000 file in CMYK or e-sYCC, which cannot be read");
  auto& components = picture.components;
  std::erase_if(components, [](const auto& component) { return component.alpha; });
  if (components.size() == 2 || components.size() == 4) components.pop_back();  // alpha that is not called so
  if (components.size() != 1 && components.size() != 3)
    fail(ErrorKind::data, where, ": ", components.size(), " components; grey and colour can be read");
  const auto& first = components.front();
  for (const auto& component : components)
    if (component.with_sign || component.bits > 16 || component.bits != first.bits)
      fail(ErrorKind::data, where,
           ": pixels with sign, of more than 16 bit or of different depths, which cannot be read");
  const auto largest = (std::uint64_t{1} << first.bits) - 1;
  Image image{
      picture.height, picture.width, static_cast<std::int64_t>(components.size()), white_of(largest), {}};
  image.values.reserve(static_cast<std::size_t>(image.pixels() * image.channels));
  for (std::size_t i = 0; i < first.values.size(); ++i) {
    const auto at = image.values.size();
    for (const auto& component : components)
      image.values.push_back(
          scaled_sample(static_cast<std::uint64_t>(std::max(component.values[i], 0)), largest, image.white));
    if (!picture.luminance_and_chroma || components.size() < 3) continue;
    const auto colours = to_colours(image.values[at], image.values[at + 1], image.values[at + 2],
                                    static_cast<double>(image.white));
    std::copy(colours.begin(), colours.end(), image.values.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return image;
}

}  // namespace isnet
