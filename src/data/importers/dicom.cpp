#include "data/importers/dicom.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcdeftag.h>
#include <dcmtk/dcmdata/dcfilefo.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmdata/dcsequen.h>
#include <dcmtk/dcmdata/dcxfer.h>
#include <dcmtk/dcmimage/diregist.h>
#include <dcmtk/dcmimgle/dcmimage.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/error.h"

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

// A table of PS3.3 C.11.1 or C.11.2: value → entry.
struct LookUpTable {
  std::int64_t first = 0;
  std::int64_t largest = 0;  // what its bits can hold
  std::vector<std::uint16_t> entries;

  double operator()(double value) const {
    const auto place = static_cast<std::int64_t>(std::floor(value)) - first;
    const auto last = static_cast<std::int64_t>(entries.size()) - 1;
    return entries[static_cast<std::size_t>(std::clamp<std::int64_t>(place, 0, last))];
  }
};

class DicomFile {
 public:
  DicomFile(const std::filesystem::path& path, bool with_pixels) : where_(path.string()) {
    prepare_library();
    check(with_pixels ? file_.loadFile(path.c_str())
                      : file_.loadFileUntilTag(path.c_str(), EXS_Unknown, EGL_noChange, DCM_MaxReadLength,
                                               ERM_autoDetect, DCM_PixelData),
          "cannot be read as DICOM");
    data_ = file_.getDataset();
  }

  Image image(const DicomOptions& options) {
    unpack();
    read_format();
    if (samples_ == 1 && photometric_.rfind("MONOCHROME", 0) == 0) return monochrome(options);
    return colour();
  }

  std::string text(const DcmTagKey& tag) {
    OFString value;
    if (data_->findAndGetOFStringArray(tag, value).bad()) return "";
    return value.c_str();
  }

 private:
  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::data, where_, ": ", parts...);
  }
  void check(const OFCondition& condition, const char* what) const {
    if (condition.bad()) refuse(what, ": ", condition.text());
  }

  // Numbers of the header.
  std::int64_t whole(const DcmTagKey& tag, const char* name) {
    Uint16 value = 0;
    if (data_->findAndGetUint16(tag, value).bad()) refuse("has no ", name, ": it holds no image");
    return value;
  }
  std::optional<double> real(const DcmTagKey& tag) {
    Float64 value = 0;
    if (data_->findAndGetFloat64(tag, value).bad()) return std::nullopt;
    if (!std::isfinite(value)) refuse("a number of its header is not finite");
    return value;
  }

  void unpack() {
    const DcmXfer syntax(data_->getOriginalXfer());
    if (!syntax.isEncapsulated()) return;
    const auto condition = data_->chooseRepresentation(EXS_LittleEndianExplicit, nullptr);
    if (condition.bad() || !data_->canWriteXfer(EXS_LittleEndianExplicit))
      refuse("its compression (", syntax.getXferName(),
             ") cannot be undone: ", condition.bad() ? condition.text() : "no decoder",
             "; write it without compression, or as PNG");
  }

  void read_format() {
    height_ = whole(DCM_Rows, "Rows");
    width_ = whole(DCM_Columns, "Columns");
    allocated_ = whole(DCM_BitsAllocated, "BitsAllocated");
    stored_ = whole(DCM_BitsStored, "BitsStored");
    const std::int64_t high = whole(DCM_HighBit, "HighBit");
    shift_ = high + 1 - stored_;
    signed_ = whole(DCM_PixelRepresentation, "PixelRepresentation") == 1;
    samples_ = whole(DCM_SamplesPerPixel, "SamplesPerPixel");
    photometric_ = text(DCM_PhotometricInterpretation);
    Sint32 frames = 1;
    if (data_->findAndGetSint32(DCM_NumberOfFrames, frames).good() && frames != 1)
      refuse("holds ", frames, " frames; expected one image");
    if (height_ < 1 || width_ < 1) refuse("an image of ", height_, "×", width_, " pixels");
    if (stored_ < 1 || shift_ < 0 || high >= allocated_)
      refuse(stored_, " bits stored below bit ", high, " of ", allocated_, " do not make sense");
  }

  Image monochrome(const DicomOptions& options) {
    const auto stored = stored_values();
    std::vector<double> values(stored.begin(), stored.end());
    const auto modality = modality_table();
    const double slope = real(DCM_RescaleSlope).value_or(1),
                 intercept = real(DCM_RescaleIntercept).value_or(0);
    const auto rescaled = [&](double value) {
      return modality ? (*modality)(value) : value * slope + intercept;
    };
    for (auto& value : values) value = rescaled(value);

    Image image{height_, width_, 1, options.white, {}};
    image.values.reserve(values.size());
    const auto white = static_cast<double>(options.white);
    const bool inverted = photometric_ == "MONOCHROME1";
    const auto share = shown(options, stored, values, rescaled);
    for (const auto value : values) {
      const double grey = std::clamp(share(value), 0.0, 1.0) * white;
      image.values.push_back(static_cast<std::uint16_t>(std::lround(inverted ? white - grey : grey)));
    }
    return image;
  }

  // The values as numbers, sign and place of the bits accounted for.
  std::vector<std::int32_t> stored_values() {
    if (allocated_ != 8 && allocated_ != 16)
      refuse(allocated_, " bits allocated for a value; 8 and 16 can be read");
    const auto count = static_cast<std::size_t>(height_ * width_);
    std::vector<std::int32_t> values;
    unsigned long present = 0;
    const auto take = [&](const auto* pixels, unsigned long available) {
      if (!pixels || available < count)
        refuse("cut short: ", available, " pixels instead of ", height_, "×", width_);
      values.resize(count);  // not before: a header can ask for anything
      const auto mask = (std::int32_t{1} << stored_) - 1, sign = std::int32_t{1} << (stored_ - 1);
      for (std::size_t i = 0; i < count; ++i) {
        values[i] = (static_cast<std::int32_t>(pixels[i]) >> shift_) & mask;
        if (signed_ && (values[i] & sign)) values[i] -= mask + 1;
      }
    };
    if (allocated_ == 8) {
      const Uint8* pixels = nullptr;
      check(data_->findAndGetUint8Array(DCM_PixelData, pixels, &present), "has no pixels of 8 bit");
      take(pixels, present);
    } else {
      const Uint16* pixels = nullptr;
      check(data_->findAndGetUint16Array(DCM_PixelData, pixels, &present), "has no pixels of 16 bit");
      take(pixels, present);
    }
    return values;
  }

  std::optional<LookUpTable> modality_table() { return table(DCM_ModalityLUTSequence, signed_); }

  // The first table of a sequence. Its first value is signed where the values that it is for are.
  std::optional<LookUpTable> table(const DcmTagKey& sequence, bool signed_values) {
    DcmItem* item = nullptr;
    if (data_->findAndGetSequenceItem(sequence, item, 0).bad() || !item) return std::nullopt;
    std::array<std::int64_t, 3> described{};
    DcmElement* descriptor = nullptr;
    if (item->findAndGetElement(DCM_LUTDescriptor, descriptor).bad())
      refuse("a look-up table without descriptor");
    for (unsigned long i = 0; i < 3; ++i) {
      Uint16 word = 0;
      Sint16 signed_word = 0;
      if (descriptor->getUint16(word, i).good())
        described[i] = i == 1 && signed_values ? static_cast<std::int16_t>(word) : std::int64_t{word};
      else if (descriptor->getSint16(signed_word, i).good())
        described[i] = i == 1 ? std::int64_t{signed_word} : static_cast<std::uint16_t>(signed_word);
      else
        refuse("a look-up table without descriptor");
    }
    const std::int64_t entries = described[0] == 0 ? 65536 : described[0];
    if (described[2] < 1 || described[2] > 16) refuse("a look-up table of ", described[2], " bits");
    const Uint16* words = nullptr;
    unsigned long count = 0;
    if (item->findAndGetUint16Array(DCM_LUTData, words, &count).bad() || !words ||
        static_cast<std::int64_t>(count) < entries)
      refuse("a look-up table is cut short");
    return LookUpTable{described[1], (std::int64_t{1} << described[2]) - 1, {words, words + entries}};
  }

  using Share = std::function<double(double)>;

  // From rescaled values to 0 (black) … 1 (white), not yet cut off at the ends.
  template <typename Rescale>
  Share shown(const DicomOptions& options, const std::vector<std::int32_t>& stored,
              const std::vector<double>& values, const Rescale& rescaled) {
    if (options.window == DicomWindow::given) return windowed(options.center, options.width, "LINEAR");
    if (options.window == DicomWindow::full) {
      const double least = signed_ ? -std::ldexp(1.0, static_cast<int>(stored_) - 1) : 0;
      const double a = rescaled(least), b = rescaled(least + std::ldexp(1.0, static_cast<int>(stored_)) - 1);
      return between(std::min(a, b), std::max(a, b));
    }
    if (options.window == DicomWindow::file) {
      const auto center = real(DCM_WindowCenter), width = real(DCM_WindowWidth);
      if (center && width) {
        const std::string function = text(DCM_VOILUTFunction);
        return windowed(*center, *width, function.empty() ? "LINEAR" : function);
      }
      const bool negative = std::any_of(values.begin(), values.end(), [](double v) { return v < 0; });
      if (const auto voi = table(DCM_VOILUTSequence, negative))
        return [voi](double value) { return (*voi)(value) / static_cast<double>(voi->largest); };
    }
    return image_range(stored, values);
  }

  Share image_range(const std::vector<std::int32_t>& stored, const std::vector<double>& values) {
    const auto padding = padding_value();
    double least = INFINITY, largest = -INFINITY;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (padding && stored[i] == *padding) continue;
      least = std::min(least, values[i]);
      largest = std::max(largest, values[i]);
    }
    return between(least, largest);
  }

  std::optional<std::int32_t> padding_value() {
    Uint16 word = 0;
    Sint16 signed_word = 0;
    if (data_->findAndGetSint16(DCM_PixelPaddingValue, signed_word).good()) return signed_word;
    if (data_->findAndGetUint16(DCM_PixelPaddingValue, word).good())
      return signed_ ? static_cast<std::int16_t>(word) : std::int32_t{word};
    return std::nullopt;
  }

  static Share between(double least, double largest) {
    if (!(largest > least)) return [](double) { return 0.0; };
    return [=](double value) { return (value - least) / (largest - least); };
  }

  Share windowed(double center, double width, const std::string& function) const {
    if (function == "SIGMOID" && width > 0)
      return [=](double value) { return 1 / (1 + std::exp(-4 * (value - center) / width)); };
    if (function == "LINEAR_EXACT" && width > 0)
      return [=](double value) { return (value - center) / width + 0.5; };
    if (function != "LINEAR") refuse("a window of width ", width, " by the function '", function, "'");
    if (width < 1) refuse("a window of width ", width, "; at least 1 makes sense");
    if (width == 1) return [=](double value) { return value > center - 0.5 ? 1.0 : 0.0; };
    return [=](double value) { return (value - (center - 0.5)) / (width - 1) + 0.5; };
  }

  Image colour() {
    const DicomImage decoded(data_, data_->getCurrentXfer());
    if (decoded.getStatus() != EIS_Normal)
      refuse("cannot be shown (", photometric_, "): ", DicomImage::getString(decoded.getStatus()));
    const void* pixels = const_cast<DicomImage&>(decoded).getOutputData(8);
    if (!pixels) refuse("cannot be shown (", photometric_, ")");
    const std::int64_t channels = decoded.isMonochrome() ? 1 : 3;
    Image image{static_cast<std::int64_t>(decoded.getHeight()),
                static_cast<std::int64_t>(decoded.getWidth()),
                channels,
                255,
                {}};
    const auto* bytes = static_cast<const std::uint8_t*>(pixels);
    image.values.assign(bytes, bytes + image.pixels() * channels);
    return image;
  }

  std::string where_;
  DcmFileFormat file_;
  DcmDataset* data_ = nullptr;
  std::int64_t height_ = 0, width_ = 0, allocated_ = 0, stored_ = 0, shift_ = 0, samples_ = 0;
  bool signed_ = false;
  std::string photometric_;
};

}  // namespace

OptionSpec dicom_window_option() {
  auto spec =
      text_option("window", "file", "file|image|full|C,W",
                  "DICOM: what becomes black and white: the file's window (else the image's range), "
                  "the image's range, all that its bits can hold, or a window of this centre and width");
  spec.refusal = [](const std::string& text) -> std::string {
    if (text == "file" || text == "image" || text == "full") return "";
    char* end = nullptr;
    const double center = std::strtod(text.c_str(), &end);
    const bool comma = end != text.c_str() && *end == ',';
    const char* second = comma ? end + 1 : end;
    const double width = comma ? std::strtod(second, &end) : 0;
    const bool good =
        comma && end != second && *end == '\0' && std::isfinite(center) && width >= 1 && std::isfinite(width);
    return good ? "" : "file|image|full, or centre and width (at least 1) separated by a comma";
  };
  return spec;
}

DicomOptions dicom_options(const OptionValues& options) {
  DicomOptions result;
  result.white = options.integer("depth") == 16 ? 65535 : 255;
  const std::string& window = options.text("window");
  if (window == "image") result.window = DicomWindow::image;
  if (window == "full") result.window = DicomWindow::full;
  if (window.find(',') != std::string::npos) {
    const auto numbers = options.reals("window");
    result.window = DicomWindow::given;
    result.center = numbers.at(0);
    result.width = numbers.at(1);
  }
  return result;
}

Image read_dicom(const std::filesystem::path& path, const DicomOptions& options, const PictureLimits&) {
  return DicomFile(path, true).image(options);
}

std::string dicom_patient(const std::filesystem::path& path) {
  return DicomFile(path, false).text(DCM_PatientID);
}

bool is_dicom(const std::filesystem::path& path) {
  std::array<char, 132> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  return file.gcount() == static_cast<std::streamsize>(head.size()) &&
         std::equal(head.begin() + 128, head.end(), "DICM");
}

}  // namespace isnet
