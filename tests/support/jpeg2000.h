// JPEG 2000 code streams for tests, written by OpenJPEG on the spot.
#pragma once

#include <openjpeg.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace isnet::testing {

struct Jpeg2000Image {
  int height = 16, width = 20;
  int components = 1;
  int bits = 8;
  bool with_sign = false;
  bool lossless = true;
  bool file = false;  ///< a JP2 file, else a bare code stream
  std::function<int(int y, int x, int component)> value = {};
};

inline std::string jpeg2000_bytes(const Jpeg2000Image& picture) {
  std::vector<opj_image_cmptparm_t> parts(static_cast<std::size_t>(picture.components));
  for (auto& part : parts) {
    part = {};
    part.dx = part.dy = 1;
    part.w = static_cast<OPJ_UINT32>(picture.width);
    part.h = static_cast<OPJ_UINT32>(picture.height);
    part.prec = static_cast<OPJ_UINT32>(picture.bits);
    part.sgnd = picture.with_sign;
  }
  opj_image_t* image = opj_image_create(static_cast<OPJ_UINT32>(picture.components), parts.data(),
                                        picture.components == 1 ? OPJ_CLRSPC_GRAY : OPJ_CLRSPC_SRGB);
  image->x1 = static_cast<OPJ_UINT32>(picture.width);
  image->y1 = static_cast<OPJ_UINT32>(picture.height);
  for (int c = 0; c < picture.components; ++c)
    for (int i = 0; i < picture.height * picture.width; ++i)
      image->comps[c].data[i] = picture.value(i / picture.width, i % picture.width, c);
  opj_cparameters_t parameters;
  opj_set_default_encoder_parameters(&parameters);
  parameters.irreversible = !picture.lossless;
  parameters.numresolution = 3;
  parameters.tcp_numlayers = 1;
  parameters.tcp_rates[0] = picture.lossless ? 0 : 3;
  parameters.cp_disto_alloc = 1;
  parameters.tcp_mct = picture.components == 3;
  struct Sink {
    std::string bytes;
    std::size_t at = 0;
  } sink;
  opj_codec_t* codec = opj_create_compress(picture.file ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  opj_stream_t* stream = opj_stream_create(1 << 16, OPJ_FALSE);
  opj_stream_set_user_data(stream, &sink, nullptr);
  opj_stream_set_write_function(stream, [](void* from, OPJ_SIZE_T size, void* user) -> OPJ_SIZE_T {
    auto& to = *static_cast<Sink*>(user);
    to.bytes.resize(std::max(to.bytes.size(), to.at + size));
    std::memcpy(to.bytes.data() + to.at, from, size);
    to.at += size;
    return size;
  });
  opj_stream_set_seek_function(stream, [](OPJ_OFF_T place, void* user) -> OPJ_BOOL {
    static_cast<Sink*>(user)->at = static_cast<std::size_t>(place);
    return OPJ_TRUE;
  });
  opj_stream_set_skip_function(stream, [](OPJ_OFF_T count, void* user) -> OPJ_OFF_T {
    static_cast<Sink*>(user)->at += static_cast<std::size_t>(count);
    return count;
  });
  const bool good = opj_setup_encoder(codec, &parameters, image) &&
                    opj_start_compress(codec, image, stream) && opj_encode(codec, stream) &&
                    opj_end_compress(codec, stream);
  opj_stream_destroy(stream);
  opj_destroy_codec(codec);
  opj_image_destroy(image);
  if (!good) throw std::runtime_error("OpenJPEG does not write");
  return sink.bytes;
}

}  // namespace isnet::testing
