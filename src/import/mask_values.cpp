#include "import/mask_values.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>
#include <utility>

#include "base/error.h"
#include "import/names.h"

namespace isnet {
namespace {

constexpr std::size_t most_classes = 64;  // with more values than that a mask is probably soft

// The values of a mask, each pixel's as one number: grey, an index, or a colour 0xRRGGBB.
struct Codes {
  std::vector<std::uint32_t> pixels;
  std::set<std::uint32_t> present;
  bool colours = false;
  bool indices = false;
};

std::uint32_t eight_bit(std::uint32_t value, std::int64_t white) {
  return white == 255 ? value : (value + 128) / 257;
}

Codes codes_of(const Image& mask) {
  Codes codes;
  codes.colours = mask.channels == 3;
  codes.indices = !mask.palette.empty();
  const auto& values = mask.values;
  codes.pixels.reserve(static_cast<std::size_t>(mask.pixels()));
  if (!codes.colours) {
    codes.pixels.assign(values.begin(), values.end());
  } else {
    for (std::size_t i = 0; i < values.size(); i += 3)
      codes.pixels.push_back(eight_bit(values[i], mask.white) << 16 |
                             eight_bit(values[i + 1], mask.white) << 8 |
                             eight_bit(values[i + 2], mask.white));
  }
  std::uint32_t last = codes.pixels.front() + 1;
  for (const auto code : codes.pixels)
    if (code != last) codes.present.insert(last = code);
  return codes;
}

std::string colour_text(std::uint32_t colour) {
  char text[8];
  std::snprintf(text, sizeof text, "#%06x", colour);
  return text;
}

// "0, 1, 2", "#000000, #ff0000"; the first eight.
std::string values_text(const Codes& codes) {
  std::string text;
  std::size_t count = 0;
  for (const auto code : codes.present) {
    if (count++ == 8) return cat(text, ", … (", codes.present.size(), " values)");
    text += (text.empty() ? "" : ", ") + (codes.colours ? colour_text(code) : cat(code));
  }
  return text;
}

bool is_among(std::uint32_t code, bool colour, const std::vector<MaskClass>& classes) {
  return std::any_of(classes.begin(), classes.end(),
                     [&](const auto& one) { return one.is_colour == colour && one.value == code; });
}

// The grey values of the mask's colours, in one channel and without a palette.
Image grey_mask(Image mask) {
  const auto grey = [](std::uint32_t red, std::uint32_t green, std::uint32_t blue) {
    return static_cast<std::uint16_t>((299u * red + 587u * green + 114u * blue + 500u) / 1000u);
  };
  for (auto& value : mask.values) {
    if (mask.palette.empty()) break;
    const auto colour = mask.palette[value];
    value = grey(colour >> 16, colour >> 8 & 255, colour & 255);
  }
  mask.palette.clear();
  if (mask.channels == 1) return mask;
  std::vector<std::uint16_t> values;
  for (std::size_t i = 0; i < mask.values.size(); i += 3)
    values.push_back(grey(mask.values[i], mask.values[i + 1], mask.values[i + 2]));
  mask.values = std::move(values);
  mask.channels = 1;
  return mask;
}

// A palette of nothing but black and white, where it is used, is a way to store 0 and 255.
bool is_black_and_white(const Image& mask) {
  return std::all_of(mask.values.begin(), mask.values.end(),
                     [&](auto value) { return mask.palette[value] == 0 || mask.palette[value] == 0xFFFFFF; });
}

class MaskReader {
 public:
  MaskReader(const Image& mask, const MaskReading& reading, std::vector<std::string>& notes)
      : mask_(mask), reading_(reading), notes_(notes) {}

  Image region() {
    const bool by_code = !reading_.classes.empty() || !reading_.ignored.empty();
    if (!mask_.palette.empty() && !by_code &&
        (reading_.values == MaskValues::soft || is_black_and_white(mask_))) {
      Image grey = grey_mask(mask_);
      grey.source = mask_.source;
      return MaskReader(grey, reading_, notes_).region();
    }
    codes_ = codes_of(mask_);
    if (by_code && mask_.lossy)
      refuse("in a lossy file (JPEG), which does not preserve classes: store masks as PNG");
    check_kind(reading_.classes, "--mask-classes");
    check_kind(reading_.ignored, "--mask-ignore");
    if (!reading_.classes.empty()) return chosen_classes();
    if (reading_.values == MaskValues::binary) return above_threshold();
    return as_shares();
  }

 private:
  template <typename Function>
  Image made_of(const Function& value) const {
    Image region{mask_.height, mask_.width, 1, 255, {}};
    region.values.reserve(codes_.pixels.size());
    for (const auto code : codes_.pixels)
      region.values.push_back(is_ignored(code) ? std::uint16_t{0} : static_cast<std::uint16_t>(value(code)));
    return region;
  }

  bool is_ignored(std::uint32_t code) const { return is_among(code, codes_.colours, reading_.ignored); }

  [[noreturn]] void refuse(const std::string& what) const {
    fail(ErrorKind::data, mask_.source.empty() ? "" : mask_.source + ": ", "a mask ", what);
  }

  std::string origin() const {
    return codes_.indices                            ? " (indices of its palette)"
           : mask_.white == 65535 && !codes_.colours ? " of 65535"
                                                     : "";
  }

  // Numbers say nothing of colours, and the other way round.
  void check_kind(const std::vector<MaskClass>& classes, const char* option) const {
    if (classes.empty() || std::any_of(classes.begin(), classes.end(),
                                       [&](const auto& one) { return one.is_colour == codes_.colours; }))
      return;
    refuse(codes_.colours ? cat("of the colours ", values_text(codes_), ": give colours as ", option, " ",
                                colour_text(*codes_.present.rbegin()))
                          : cat("of the values ", values_text(codes_), origin(), ": ", option,
                                " names colours; give numbers"));
  }

  Image chosen_classes() {
    const auto chosen = [&](auto code) { return is_among(code, codes_.colours, reading_.classes); };
    if (std::none_of(codes_.present.begin(), codes_.present.end(), chosen))
      note("its mask holds none of the values of --mask-classes, and is empty");
    return made_of([&](auto code) { return chosen(code) ? 255 : 0; });
  }

  // The largest channel of a colour.
  std::uint32_t height_of(std::uint32_t code) const {
    return codes_.colours ? std::max({code >> 16, code >> 8 & 255, code & 255}) : code;
  }

  Image above_threshold() {
    // Where index 0 is no black, the black entries of a palette are the background.
    const auto& palette = mask_.palette;
    const bool black_elsewhere = codes_.indices && palette[0] != 0 &&
                                 std::any_of(codes_.present.begin(), codes_.present.end(),
                                             [&](auto code) { return palette[code] == 0; });
    if (black_elsewhere) return made_of([&](auto code) { return palette[code] == 0 ? 0 : 255; });
    const auto scale = codes_.colours ? 1u : static_cast<std::uint32_t>(mask_.white / 255);
    const std::uint32_t threshold = threshold_of(scale);
    std::size_t above = 0;
    for (const auto code : codes_.present) above += height_of(code) > threshold && !is_ignored(code) ? 1 : 0;
    if (above == codes_.present.size() && above > 1 && !reading_.threshold)
      refuse(cat("of the values ", values_text(codes_), origin(),
                 ", all above 0: nothing would be background: --mask-classes A,B says which of them are of "
                 "interest"));
    const auto largest = *codes_.present.rbegin();
    if (!codes_.colours && largest == 255 && mask_.white == 255 && above > 1 && above <= most_classes &&
        !mask_.lossy)
      note(
          "its mask has classes and the value 255, which counts as object; if 255 is void, give "
          "--mask-ignore 255");
    if (!codes_.colours && above > most_classes && !mask_.lossy && !reading_.threshold)
      note(
          "its mask has many values, and all above 0 count as object; --mask-threshold 127 cuts in the "
          "middle");
    return made_of([&](auto code) { return height_of(code) > threshold ? 255 : 0; });
  }

  std::uint32_t threshold_of(std::uint32_t scale) {
    if (reading_.threshold) return static_cast<std::uint32_t>(*reading_.threshold) * scale;
    if (!mask_.lossy) return 0;
    std::uint32_t largest = 0;
    for (const auto code : codes_.present) largest = std::max(largest, height_of(code) / scale);
    if (largest > 0 && largest < 32)
      refuse(cat("in a lossy file (JPEG) whose largest value is ", largest,
                 ": its values cannot be distinguished: store masks as PNG"));
    note("its mask is in a lossy file (JPEG), and is cut in the middle; --mask-threshold N cuts elsewhere");
    return largest / 2 * scale;
  }

  void note(const std::string& text) { notes_.push_back(text); }

  Image as_shares() {
    const bool checked = reading_.values == MaskValues::checked;
    if (codes_.colours && checked) refuse_values();
    if (codes_.colours) return MaskReader(grey_mask(mask_), reading_, notes_).region();
    std::set<std::uint32_t> counting;
    for (const auto code : codes_.present)
      if (!is_ignored(code)) counting.insert(code);
    const std::uint32_t largest = counting.empty() ? 0 : *counting.rbegin();
    if (largest == 1 && reading_.values != MaskValues::stored)
      refuse(cat("whose largest value is 1 (coded 0/1)", origin(), ": give --mask-values binary"));
    const auto white = static_cast<std::uint32_t>(mask_.white);
    const bool two_values =
        std::all_of(counting.begin(), counting.end(), [&](auto code) { return code == 0 || code == white; });
    if (checked && !two_values) refuse_values();
    const auto scale = white / 255;
    return made_of([&](auto code) { return (code + scale / 2) / scale; });
  }

  [[noreturn]] void refuse_values() const {
    refuse(cat("of the ", codes_.colours ? "colours " : "values ", values_text(codes_), origin(),
               ", not 0 and ", mask_.white, mask_.lossy ? ", in a lossy file (JPEG)" : "",
               ": give --mask-values binary (all above ", mask_.lossy ? "the middle" : "0",
               " is of interest), --mask-classes A,B (those alone), --mask-ignore V "
               "(V is void, all else above 0 is of interest), or --mask-values soft (shares of ",
               mask_.white, ")"));
  }

  const Image& mask_;
  const MaskReading& reading_;
  std::vector<std::string>& notes_;
  Codes codes_;
};

std::optional<MaskClass> parse_class(const std::string& text) {
  const bool colour = text.starts_with('#');
  MaskClass result{colour, 0};
  const char* first = text.data() + (colour ? 1 : 0);
  const char* last = text.data() + text.size();
  const auto end = std::from_chars(first, last, result.value, colour ? 16 : 10);
  if (end.ec != std::errc() || end.ptr != last || (colour ? text.size() != 7 : result.value > 65535))
    return std::nullopt;
  return result;
}

std::vector<MaskClass> classes_of(const OptionValues& options, const std::string& name) {
  std::vector<MaskClass> classes;
  for (const auto& text : options.list(name)) {
    const auto one = parse_class(trimmed(text));
    if (!one)
      fail(ErrorKind::usage, "--", name, ": '", text,
           "' is not allowed; allowed: values from 0 to 65535, or colours such as #ff0000, separated by commas");
    classes.push_back(*one);
  }
  return classes;
}

}  // namespace

Image mask_region(const Image& mask, const MaskReading& reading, std::vector<std::string>& notes) {
  return MaskReader(mask, reading, notes).region();
}

std::vector<OptionSpec> mask_value_options() {
  return {
      choice_option(
          "mask-values", "auto",
          "Meaning of values in mask files: 0 and 255 only (checked); shares of 255 (soft); "
          "255 above the threshold, else 0 (binary). auto: checked, or binary with --mask-ignore; "
          "keep: as soft",
          {"auto", "checked", "soft", "binary", "keep"}),
      text_option(
          "mask-classes", "", "A,B",
          "Class-coded masks: values (palette indices) or colours (#ff0000) of the region of interest"),
      text_option("mask-ignore", "", "V",
                  "Class-coded masks: values or colours that are void and count as background"),
      integer_option(
          "mask-threshold", "0",
          "Largest value that is background in binary masks, "
          "from 0 to 255 (default in JPEG files: half of the largest value)",
          0, 255)};
}

MaskReading mask_reading(const OptionValues& options, MaskValues usual) {
  MaskReading reading;
  const std::string& values = options.text("mask-values");
  reading.classes = classes_of(options, "mask-classes");
  reading.ignored = classes_of(options, "mask-ignore");
  if (!reading.classes.empty() && values != "auto")
    fail(ErrorKind::usage, "--mask-classes and --mask-values exclude each other");
  reading.values = values == "checked"                    ? MaskValues::checked
                   : values == "soft" || values == "keep" ? MaskValues::soft
                   : values == "binary"                   ? MaskValues::binary
                   : !reading.ignored.empty()             ? MaskValues::binary
                                                          : usual;
  if (options.given("mask-threshold")) reading.threshold = options.integer("mask-threshold");
  return reading;
}

}  // namespace isnet
