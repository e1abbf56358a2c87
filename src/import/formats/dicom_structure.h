// The structure of a DICOM data set (PS3.5, 7), followed without recursion beyond a limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace isnet {

/// How elements are written.
struct DicomEncoding {
  bool is_explicit = true;  ///< with the kinds of their values
  bool big_endian = false;
};

/// The head of an element.
struct DicomElement {
  std::uint32_t tag = 0;   ///< group · 65536 + element
  char kind[2] = {0, 0};   ///< "SQ", "OW", …; zeros where it is implicit
  bool undefined = false;  ///< without a length
  std::uint32_t length = 0;
  std::size_t value = 0;  ///< where its value begins
};

/// The element that begins at a place; nothing where the bytes end before.
std::optional<DicomElement> dicom_element(std::string_view bytes, std::size_t at, DicomEncoding encoding);

/// Whether a data set in this encoding may begin with these bytes.
bool may_begin_data_set(std::string_view head, DicomEncoding encoding);
/// The encoding of a data set that does not say it.
std::optional<DicomEncoding> guessed_encoding(std::string_view head);

/// How far a data set could be followed.
enum class DicomEnd {
  pixels,    ///< to its pixel data
  complete,  ///< to its end
  cut,       ///< to the end of the bytes, within an element
  broken,    ///< to something that is not understood
  deep,      ///< to a sequence within too many others
};
struct DicomWalk {
  DicomEnd end = DicomEnd::complete;
  std::size_t at = 0;
};
/// Follows elements and the sequences in them up to the pixel data.
DicomWalk follow_data_set(std::string_view bytes, DicomEncoding encoding);

}  // namespace isnet
