// Damage of JPEG files that decoders gloss over.
#pragma once

#include <string>
#include <string_view>

namespace isnet {

/// Describes damage to the compressed data of a JPEG file, in libjpeg's words: cut short, bad codes, lost
/// synchronisation. Decoders fill what is missing with grey and are content. "" if nothing is wrong, or the
/// bytes are no JPEG file. Bytes too many are no damage. Thread-safe.
std::string jpeg_damage(std::string_view bytes);

/// The file with an end marker, if that is all that it lacks: each of its components, coefficients and bits
/// is there. Else "".
std::string with_end_marker(std::string_view bytes);

}  // namespace isnet
