#include "import/formats/dicom_grey.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

namespace isnet {
namespace {

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

// From rescaled values to 0 (black) … 1 (white), not yet cut off at the ends.
using Share = std::function<double(double)>;

class GreyValues {
 public:
  GreyValues(DicomData& data, const DicomPixelFormat& format, const DicomOptions& options)
      : data_(data), format_(format), options_(options) {
    if (format_.allocated != 8 && format_.allocated != 16)
      data_.refuse(format_.allocated, " bits allocated for a value; 8 and 16 can be read");
  }

  Image image(bool inverted) {
    const auto bytes = frame_bytes(data_, format_);
    const auto greys = grey_of_words(bytes, inverted);
    Image image{format_.height, format_.width, 1, options_.white, {}};
    image.values.resize(static_cast<std::size_t>(image.pixels()));
    for (std::size_t i = 0; i < image.values.size(); ++i) image.values[i] = greys[word(bytes, i)];
    return image;
  }

 private:
  std::uint16_t word(std::string_view bytes, std::size_t i) const {
    if (format_.allocated == 8) return static_cast<unsigned char>(bytes[i]);
    std::uint16_t value = 0;
    std::memcpy(&value, bytes.data() + 2 * i, 2);
    return value;
  }

  // The number that a stored word means, sign and place of the bits accounted for.
  std::int32_t number(std::uint16_t word) const {
    const auto mask = (std::int32_t{1} << format_.stored) - 1, sign = std::int32_t{1} << (format_.stored - 1);
    const std::int32_t value = (std::int32_t{word} >> format_.shift) & mask;
    return format_.with_sign && (value & sign) ? value - mask - 1 : value;
  }

  // The grey value of each word that occurs.
  std::vector<std::uint16_t> grey_of_words(std::string_view bytes, bool inverted) {
    std::vector<char> occurs(std::size_t{1} << format_.allocated, 0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(format_.height * format_.width); ++i)
      occurs[word(bytes, i)] = 1;
    const auto modality = table(DCM_ModalityLUTSequence, format_.with_sign);
    const double slope = data_.real(DCM_RescaleSlope).value_or(1),
                 intercept = data_.real(DCM_RescaleIntercept).value_or(0);
    const auto rescaled = [&](double value) {
      return modality ? (*modality)(value) : value * slope + intercept;
    };
    const auto padding = padding_range();
    std::vector<double> values;  // those of the image, padding left aside
    for (std::size_t w = 0; w < occurs.size(); ++w)
      if (const auto stored = number(static_cast<std::uint16_t>(w)); occurs[w] && !padding(stored))
        values.push_back(rescaled(stored));
    std::vector<std::uint16_t> greys(occurs.size(), 0);
    if (values.empty()) return greys;  // nothing but padding
    const auto share = shown(values, rescaled);
    const auto white = static_cast<double>(options_.white);
    for (std::size_t w = 0; w < occurs.size(); ++w) {
      const auto stored = number(static_cast<std::uint16_t>(w));
      if (!occurs[w] || padding(stored)) continue;
      const double grey = std::clamp(share(rescaled(stored)), 0.0, 1.0) * white;
      greys[w] = static_cast<std::uint16_t>(std::lround(inverted ? white - grey : grey));
    }
    return greys;
  }

  // Whether a stored value is padding, which is no part of the image (PS3.3 C.7.5.1.1.2): black.
  std::function<bool(std::int32_t)> padding_range() {
    const auto value = padding(DCM_PixelPaddingValue);
    if (!value) return [](std::int32_t) { return false; };
    const auto limit = padding(DCM_PixelPaddingRangeLimit).value_or(*value);
    const auto least = std::min(*value, limit), largest = std::max(*value, limit);
    return [least, largest](std::int32_t stored) { return stored >= least && stored <= largest; };
  }

  std::optional<std::int32_t> padding(const DcmTagKey& tag) {
    Uint16 word = 0;
    Sint16 signed_word = 0;
    if (data_.set().findAndGetSint16(tag, signed_word).good())
      return format_.with_sign ? std::int32_t{signed_word}
                               : std::int32_t{static_cast<std::uint16_t>(signed_word)};
    if (data_.set().findAndGetUint16(tag, word).good())
      return format_.with_sign ? static_cast<std::int16_t>(word) : std::int32_t{word};
    return std::nullopt;
  }

  // The first table of a sequence. Its first value is signed where the values that it is for are.
  std::optional<LookUpTable> table(const DcmTagKey& sequence, bool signed_values) {
    DcmItem* item = nullptr;
    if (data_.set().findAndGetSequenceItem(sequence, item, 0).bad() || !item) return std::nullopt;
    std::array<std::int64_t, 3> described{};
    DcmElement* descriptor = nullptr;
    if (item->findAndGetElement(DCM_LUTDescriptor, descriptor).bad())
      data_.refuse("a look-up table without descriptor");
    for (unsigned long i = 0; i < 3; ++i) {
      Uint16 word = 0;
      Sint16 signed_word = 0;
      if (descriptor->getUint16(word, i).good())
        described[i] = i == 1 && signed_values ? static_cast<std::int16_t>(word) : std::int64_t{word};
      else if (descriptor->getSint16(signed_word, i).good())
        described[i] = i == 1 ? std::int64_t{signed_word} : static_cast<std::uint16_t>(signed_word);
      else
        data_.refuse("a look-up table without descriptor");
    }
    const auto count = static_cast<std::size_t>(described[0] == 0 ? 65536 : described[0]);
    if (described[2] < 1 || described[2] > 16) data_.refuse("a look-up table of ", described[2], " bits");
    return LookUpTable{described[1], (std::int64_t{1} << described[2]) - 1,
                       entries(*item, count, described[2] <= 8)};
  }

  // Words; or bytes, two in a word, the first one below (CP-522).
  std::vector<std::uint16_t> entries(DcmItem& item, std::size_t count, bool may_be_bytes) const {
    const Uint16* words = nullptr;
    const Uint8* bytes = nullptr;
    unsigned long present = 0;
    if (item.findAndGetUint16Array(DCM_LUTData, words, &present).good() && words) {
      if (present >= count) return {words, words + count};
      if (!may_be_bytes || 2 * present < count) data_.refuse("a look-up table is cut short");
      std::vector<std::uint16_t> result;
      for (std::size_t i = 0; i < count; ++i)
        result.push_back(static_cast<std::uint16_t>(i % 2 ? words[i / 2] >> 8 : words[i / 2] & 0xFF));
      return result;
    }
    if (item.findAndGetUint8Array(DCM_LUTData, bytes, &present).bad() || !bytes)
      data_.refuse("a look-up table without data");
    if (present >= 2 * count) {
      std::vector<std::uint16_t> result;
      for (std::size_t i = 0; i < count; ++i)
        result.push_back(static_cast<std::uint16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8));
      return result;
    }
    if (!may_be_bytes || present < count) data_.refuse("a look-up table is cut short");
    return {bytes, bytes + count};
  }

  template <typename Rescale>
  Share shown(const std::vector<double>& values, const Rescale& rescaled) {
    if (options_.window == DicomWindow::given) return windowed(options_.center, options_.width, "LINEAR");
    if (options_.window == DicomWindow::full) {
      const double least = format_.with_sign ? -std::ldexp(1.0, static_cast<int>(format_.stored) - 1) : 0;
      const double a = rescaled(least),
                   b = rescaled(least + std::ldexp(1.0, static_cast<int>(format_.stored)) - 1);
      return between(std::min(a, b), std::max(a, b));
    }
    const auto [least, largest] = std::minmax_element(values.begin(), values.end());
    if (options_.window == DicomWindow::file) {
      const auto center = data_.real(DCM_WindowCenter), width = data_.real(DCM_WindowWidth);
      if (center && width) {
        const std::string function = data_.text(DCM_VOILUTFunction);
        return windowed(*center, *width, function.empty() ? "LINEAR" : function);
      }
      if (const auto voi = table(DCM_VOILUTSequence, *least < 0))
        return [voi](double value) { return (*voi)(value) / static_cast<double>(voi->largest); };
    }
    return between(*least, *largest);
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
    if (function != "LINEAR") data_.refuse("a window of width ", width, " by the function '", function, "'");
    if (width < 1) data_.refuse("a window of width ", width, "; allowed: at least 1");
    if (width == 1) return [=](double value) { return value > center - 0.5 ? 1.0 : 0.0; };
    return [=](double value) { return (value - (center - 0.5)) / (width - 1) + 0.5; };
  }

  DicomData& data_;
  const DicomPixelFormat& format_;
  const DicomOptions& options_;
};

}  // namespace

Image grey_image(DicomData& data, const DicomPixelFormat& format, const std::string& photometric,
                 const DicomOptions& options) {
  return GreyValues(data, format, options).image(photometric == "MONOCHROME1");
}

}  // namespace isnet
