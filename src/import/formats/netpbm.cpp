#include "import/formats/netpbm.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "import/formats/bytes.h"
#include "import/formats/samples.h"

namespace isnet {
namespace {

struct NetpbmHeader {
  int kind = 0;  // 1 … 7, of P1 … P7
  std::int64_t width = 0, height = 0;
  std::int64_t depth = 1;    // samples of a pixel
  std::int64_t colours = 1;  // those of them that are not alpha
  std::uint64_t largest = 1;
  bool text() const { return kind <= 3; }
  bool black_is_one() const { return kind == 1 || kind == 4; }
};

class NetpbmReader {
 public:
  NetpbmReader(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  Image read(const PictureLimits& limits) {
    header_.kind = bytes_[1] - '0';
    at_ = 2;
    if (header_.kind == 7)
      read_pam_header();
    else
      read_header();
    check_limits(where_,
                 {header_.height, header_.width, header_.colours * (header_.largest > 255 ? 2 : 1), 1},
                 static_cast<std::int64_t>(bytes_.size()), limits);
    check_length();
    Image image{header_.height, header_.width, header_.colours, white_of(header_.largest), {}};
    image.values.reserve(static_cast<std::size_t>(image.pixels() * image.channels));
    for (std::int64_t y = 0; y < header_.height; ++y) add_row(image);
    check_end();
    return image;
  }

 private:
  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::data, where_, ": ", parts...);
  }

  void skip_blanks() {
    while (at_ < bytes_.size()) {
      if (bytes_[at_] == '#') {  // a comment, up to the end of the line
        while (at_ < bytes_.size() && bytes_[at_] != '\n' && bytes_[at_] != '\r') ++at_;
      } else if (std::isspace(static_cast<unsigned char>(bytes_[at_]))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::int64_t number() {
    skip_blanks();
    std::int64_t value = 0;
    const auto begin = at_;
    while (at_ < bytes_.size() && std::isdigit(static_cast<unsigned char>(bytes_[at_]))) {
      value = value * 10 + (bytes_[at_++] - '0');
      if (value > 0x7FFFFFFF) refuse("a damaged PNM file (a number of ten digits or more)");
    }
    if (at_ == begin)
      refuse(at_ >= bytes_.size() ? "a PNM file that is cut short"
                                  : cat("a damaged PNM file (no number at byte ", at_, ")"));
    return value;
  }

  void read_header() {
    header_.width = number();
    header_.height = number();
    header_.depth = header_.colours = header_.kind % 3 == 0 ? 3 : 1;
    if (!header_.black_is_one()) set_largest(number());
    if (!header_.text()) ++at_;  // one blank
  }

  void read_pam_header() {
    while (true) {
      skip_blanks();
      const auto begin = at_;
      while (at_ < bytes_.size() && std::isupper(static_cast<unsigned char>(bytes_[at_]))) ++at_;
      const auto word = bytes_.substr(begin, at_ - begin);
      if (word == "WIDTH")
        header_.width = number();
      else if (word == "HEIGHT")
        header_.height = number();
      else if (word == "DEPTH")
        header_.depth = number();
      else if (word == "MAXVAL")
        set_largest(number());
      else if (word == "TUPLTYPE")
        at_ = std::min(bytes_.find('\n', at_), bytes_.size());
      else if (word == "ENDHDR")
        break;
      else
        refuse("a damaged PAM file (byte ", begin, " of its header)");
    }
    at_ = std::min(bytes_.find('\n', at_), bytes_.size() - 1) + 1;
    if (header_.depth < 1 || header_.depth > 4)
      refuse("a PAM file of depth ", header_.depth, "; 1 to 4 can be read");
    header_.colours = header_.depth >= 3 ? 3 : 1;
  }

  void set_largest(std::int64_t value) {
    if (value < 1 || value > 65535) refuse("a largest value of ", value, "; allowed: 1 to 65535");
    header_.largest = static_cast<std::uint64_t>(value);
  }

  std::int64_t row_bytes() const {
    const auto samples = header_.width * header_.depth;
    if (header_.kind == 4) return (samples + 7) / 8;
    return header_.text() ? samples : samples * (header_.largest > 255 ? 2 : 1);
  }

  // Memory is taken for what is in the file only.
  void check_length() const {
    const auto left = at_ < bytes_.size() ? static_cast<std::int64_t>(bytes_.size() - at_) : 0;
    if (left < row_bytes() * header_.height)
      refuse("a PNM file that is cut short (", left, " bytes for ", header_.height, "×", header_.width,
             " pixels)");
  }

  std::uint64_t sample(std::size_t row, std::int64_t i) {
    const auto place = static_cast<std::size_t>(i);
    if (header_.kind == 1) {  // digits may follow each other without blanks
      skip_blanks();
      if (at_ >= bytes_.size()) refuse("a PNM file that is cut short");
      const char digit = bytes_[at_++];
      if (digit != '0' && digit != '1') refuse("a damaged PNM file (byte ", at_ - 1, " is neither 0 nor 1)");
      return digit == '1';
    }
    if (header_.text()) return static_cast<std::uint64_t>(number());
    if (header_.kind == 4) return (bytes_[row + place / 8] >> (7 - place % 8)) & 1;
    return header_.largest > 255 ? big_endian(bytes_, row + 2 * place, 2)
                                 : big_endian(bytes_, row + place, 1);
  }

  void add_row(Image& image) {
    const auto row = at_;
    for (std::int64_t i = 0; i < header_.width * header_.depth; ++i) {
      auto value = sample(row, i);
      if (value > header_.largest)
        refuse("a damaged PNM file (a value of ", value, ", and its largest value is ", header_.largest, ")");
      if (i % header_.depth >= header_.colours) continue;
      if (header_.black_is_one()) value = 1 - value;
      image.values.push_back(scaled_sample(value, header_.largest, image.white));
    }
    if (!header_.text()) at_ += static_cast<std::size_t>(row_bytes());
  }

  void check_end() {
    if (header_.text()) skip_blanks();
    const auto rest = bytes_.substr(std::min(at_, bytes_.size()));
    if (rest.size() > 8 && rest[0] == 'P' && rest[1] == bytes_[1] &&
        std::isspace(static_cast<unsigned char>(rest[2])))
      refuse("holds several pictures; split it into files of one");
  }

  std::string_view bytes_;
  const std::string& where_;
  std::size_t at_ = 0;
  NetpbmHeader header_;
};

}  // namespace

Image read_netpbm(std::string_view bytes, const std::string& where, const PictureLimits& limits) {
  return NetpbmReader(bytes, where).read(limits);
}

}  // namespace isnet
