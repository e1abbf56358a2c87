#include "import/formats/dicom_structure.h"

#include <algorithm>
#include <array>

#include "import/formats/bytes.h"

namespace isnet {
namespace {

using namespace std::string_view_literals;

constexpr int deepest = 64;  // sequences within each other; real files have a few
constexpr std::uint32_t pixel_data = 0x7FE00010, item = 0xFFFEE000, item_end = 0xFFFEE00D,
                        sequence_end = 0xFFFEE0DD, undefined_length = 0xFFFFFFFF;

constexpr std::array long_kinds{"OB"sv, "OD"sv, "OF"sv, "OL"sv, "OV"sv, "OW"sv, "SQ"sv,
                                "SV"sv, "UC"sv, "UN"sv, "UR"sv, "UT"sv, "UV"sv};
constexpr std::array short_kinds{"AE"sv, "AS"sv, "AT"sv, "CS"sv, "DA"sv, "DS"sv, "DT"sv,
                                 "FD"sv, "FL"sv, "IS"sv, "LO"sv, "LT"sv, "PN"sv, "SH"sv,
                                 "SL"sv, "SS"sv, "ST"sv, "TM"sv, "UI"sv, "UL"sv, "US"sv};

std::string_view kind_of(const DicomElement& element) {
  return {element.kind, 2};
}
bool is_in(const auto& kinds, std::string_view kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}
bool known(const DicomElement& element) {
  return is_in(long_kinds, kind_of(element)) || is_in(short_kinds, kind_of(element));
}

bool is_capital(char c) {
  return c >= 'A' && c <= 'Z';
}

// What DCMTK takes for a length of four bytes: also kinds that are to come, of two capital letters.
bool has_long_form(std::string_view kind) {
  return is_in(long_kinds, kind) || (is_capital(kind[0]) && is_capital(kind[1]) && !is_in(short_kinds, kind));
}

class Follower {
 public:
  explicit Follower(std::string_view bytes) : bytes_(bytes) {}

  DicomWalk follow(DicomEncoding encoding) {
    const auto end = elements(bytes_.size(), encoding, 0);
    return {end, at_};
  }

 private:
  // Elements up to `end`, or to the end of the item that they are in.
  DicomEnd elements(std::size_t end, DicomEncoding encoding, int depth) {
    while (at_ < end) {
      const auto element = dicom_element(bytes_.substr(0, end), at_, encoding);
      if (!element) return DicomEnd::cut;
      if (depth == 0 && element->tag >= pixel_data && element->tag < item) return DicomEnd::pixels;
      if (element->tag == item_end || element->tag == sequence_end) {
        at_ = element->value;
        return depth > 0 ? DicomEnd::complete : DicomEnd::broken;
      }
      if (const auto result = value(*element, end, encoding, depth); result != DicomEnd::complete)
        return result;
    }
    return DicomEnd::complete;
  }

  DicomEnd value(const DicomElement& element, std::size_t end, DicomEncoding encoding, int depth) {
    if (encoding.is_explicit && !known(element)) return DicomEnd::broken;
    at_ = element.value;
    const bool unknown = kind_of(element) == "UN"sv;
    // What is in a sequence of unknown kind is implicit (PS3.5, 6.2.2).
    const DicomEncoding within = unknown ? DicomEncoding{false, false} : encoding;
    if (element.undefined)
      return element.tag == pixel_data ? fragments(end, encoding) : sequence(end, true, within, depth + 1);
    if (element.length > end - at_) return DicomEnd::cut;
    const auto after = at_ + element.length;
    if (kind_of(element) == "SQ"sv) {
      const auto result = sequence(after, false, encoding, depth + 1);
      if (result != DicomEnd::complete) return result;
    } else if ((unknown || !encoding.is_explicit) && begins_item(after, within)) {
      // It may be a sequence, or look like one.
      if (sequence(after, false, within, depth + 1) == DicomEnd::deep) return DicomEnd::deep;
    }
    at_ = after;
    return DicomEnd::complete;
  }

  bool begins_item(std::size_t end, DicomEncoding encoding) const {
    const auto element = dicom_element(bytes_.substr(0, end), at_, encoding);
    return element && element->tag == item;
  }

  DicomEnd sequence(std::size_t end, bool until_mark, DicomEncoding encoding, int depth) {
    if (depth > deepest) return DicomEnd::deep;
    while (at_ < end) {
      const auto element = dicom_element(bytes_.substr(0, end), at_, encoding);
      if (!element) return DicomEnd::cut;
      at_ = element->value;
      if (element->tag == sequence_end) return DicomEnd::complete;
      if (element->tag != item) return DicomEnd::broken;
      if (!element->undefined && element->length > end - at_) return DicomEnd::cut;
      const auto item_at_end = element->undefined ? end : at_ + element->length;
      if (const auto result = elements(item_at_end, encoding, depth); result != DicomEnd::complete)
        return result;
      if (!element->undefined) at_ = item_at_end;
    }
    return until_mark ? DicomEnd::cut : DicomEnd::complete;
  }

  // Compressed pixels of an icon: items without elements.
  DicomEnd fragments(std::size_t end, DicomEncoding encoding) {
    while (at_ < end) {
      const auto element = dicom_element(bytes_.substr(0, end), at_, encoding);
      if (!element || element->undefined || element->length > end - element->value) return DicomEnd::cut;
      at_ = element->value + element->length;
      if (element->tag == sequence_end) return DicomEnd::complete;
      if (element->tag != item) return DicomEnd::broken;
    }
    return DicomEnd::cut;
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<DicomElement> dicom_element(std::string_view bytes, std::size_t at, DicomEncoding encoding) {
  const auto number = [&](std::size_t place, int count) {
    return encoding.big_endian ? big_endian(bytes, place, count) : little_endian(bytes, place, count);
  };
  if (at + 8 > bytes.size()) return std::nullopt;
  DicomElement element;
  element.tag = number(at, 2) << 16 | number(at + 2, 2);
  element.value = at + 8;
  if (!encoding.is_explicit || element.tag >> 16 == 0xFFFE) {  // items have no kind
    element.length = number(at + 4, 4);
  } else {
    element.kind[0] = bytes[at + 4];
    element.kind[1] = bytes[at + 5];
    if (has_long_form(kind_of(element))) {
      if (at + 12 > bytes.size()) return std::nullopt;
      element.length = number(at + 8, 4);
      element.value = at + 12;
    } else {
      element.length = number(at + 6, 2);
      return element;
    }
  }
  element.undefined = element.length == undefined_length;
  return element;
}

bool may_begin_data_set(std::string_view head, DicomEncoding encoding) {
  constexpr std::uint32_t largest_at_the_head = 1 << 16;
  std::uint32_t last = 0;
  std::size_t at = 0;
  for (int i = 0; i < 4; ++i) {
    const auto element = dicom_element(head, at, encoding);
    if (!element) return i > 0;
    if ((i == 0 && element->tag >> 16 != 8) || element->tag <= last) return false;
    if (encoding.is_explicit && !known(*element)) return false;
    if (!encoding.is_explicit && is_capital(head[at + 4]) && is_capital(head[at + 5])) return false;
    if (element->undefined) return i > 0 || element->tag == 0x00081140;
    if (element->length > largest_at_the_head) return false;
    last = element->tag;
    at = element->value + element->length;
  }
  return true;
}

std::optional<DicomEncoding> guessed_encoding(std::string_view head) {
  for (const DicomEncoding encoding :
       {DicomEncoding{true, false}, DicomEncoding{false, false}, DicomEncoding{true, true}})
    if (may_begin_data_set(head, encoding)) return encoding;
  return std::nullopt;
}

DicomWalk follow_data_set(std::string_view bytes, DicomEncoding encoding) {
  return Follower(bytes).follow(encoding);
}

}  // namespace isnet
