// What a name that is stored in a file may be. Every reader and every writer of such names asks here: a name
// from a stranger must not lead out of its folder, nor change what a terminal shows.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace isnet {

/// Kinds of stored names, all of them UTF-8 without control characters.
enum class NameKind {
  text,   ///< an option's value: shown to people, never a path; up to 1 000 000 bytes
  label,  ///< a class, a metric: the same, up to 1000 bytes
  bare,   ///< a file in a folder that is known: no separators, up to 255 bytes
  split,  ///< a split, which is a folder of its data set: as `bare`, up to 200 bytes, no dot at the beginning
  path,   ///< a file inside a folder that is known, with '/' between its parts; up to 1000 bytes
};

/// Why this cannot be such a name ("it is empty", "it holds a control character"); "" where it can.
std::string name_refusal(NameKind kind, std::string_view name);

/// Throws an error of this kind where it cannot: `where`: the file; `what`: "class name".
void check_stored_name(NameKind kind, const char* what, std::string_view name, const std::string& where,
                       ErrorKind error);

}  // namespace isnet
