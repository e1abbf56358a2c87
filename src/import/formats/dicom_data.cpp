#include "import/formats/dicom_data.h"

#include <dcmtk/dcmdata/dcistrmb.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmimage/diregist.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <mutex>

namespace isnet {
namespace {

// Once, before the first file: codecs, and no messages of the library's own.
void prepare_library() {
  static std::once_flag done;
  std::call_once(done, [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    DcmRLEDecoderRegistration::registerCodecs();
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
  });
}

E_TransferSyntax syntax_of(const std::string& uid) {
  constexpr const char* high_throughput = "1.2.840.10008.1.2.4.20";  // … 1, 2, 3: newer than DCMTK
  if (uid.starts_with(high_throughput)) return EXS_JPEG2000;
  return DcmXfer(uid.c_str()).getXfer();
}

}  // namespace

DicomData::DicomData(const std::filesystem::path& path, bool with_pixels, const PictureLimits& limits)
    : where_(path.string()) {
  prepare_library();
  const auto bytes = read_dicom_bytes(path, with_pixels, limits);
  transfer_syntax_ = bytes.transfer_syntax;
  file_bytes_ = static_cast<std::int64_t>(bytes.storage.size());
  const auto syntax = syntax_of(transfer_syntax_);
  if (syntax == EXS_Unknown) refuse("its transfer syntax ", transfer_syntax_, " is not known");
  const auto content = bytes.data_set();
  if (content.empty()) refuse("cannot be read as DICOM: holds no data set");
  DcmInputBufferStream stream;
  stream.setBuffer(content.data(), static_cast<offile_off_t>(content.size()));
  stream.setEos();
  data_.transferInit();
  check(data_.read(stream, syntax, EGL_noChange), "cannot be read as DICOM");
  data_.transferEnd();
}

std::string DicomData::text(const DcmTagKey& tag) {
  OFString value;
  if (data_.findAndGetOFStringArray(tag, value).bad()) return "";
  std::string text = value.c_str();
  text.erase(text.find_last_not_of(' ') + 1);
  return text.substr(std::min(text.find_first_not_of(' '), text.size()));
}

std::int64_t DicomData::whole(const DcmTagKey& tag, const char* name) {
  Uint16 value = 0;
  if (data_.findAndGetUint16(tag, value).bad()) refuse("has no ", name, ": it holds no image");
  return value;
}

std::optional<double> DicomData::real(const DcmTagKey& tag) {
  Float64 value = 0;
  if (data_.findAndGetFloat64(tag, value).bad()) return std::nullopt;
  if (!std::isfinite(value)) refuse("a number of its header is not finite");
  return value;
}

std::int64_t DicomData::frames() {
  Sint32 frames = 1;
  if (data_.findAndGetSint32(DCM_NumberOfFrames, frames).bad() || frames == 0) return 1;
  constexpr Sint32 most = 100'000;
  if (frames < 0 || frames > most)
    refuse("holds ", frames, " frames by its header; at most ", most, " can be read");
  return frames;
}

}  // namespace isnet
