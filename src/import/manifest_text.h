// The text of a manifest, whatever its encoding, and the character that separates its fields.
#pragma once

#include <string>
#include <vector>

namespace isnet {

/// The bytes of a file as UTF-8 without a byte order mark. `encoding`: "auto" (UTF-8, or what a byte order
/// mark says), or a name that iconv knows ("utf-16", "latin-1", "windows-1252", …). Line ends of CR alone
/// become LF. Errors: data (bytes that are not of this encoding; with "auto" it names the encodings that
/// fit), usage (an unknown encoding). `where`: for messages.
std::string manifest_text(const std::string& bytes, const std::string& encoding, const std::string& where);

/// ',', ';' or a tab: the one that splits the first line into the most of `known` names (in lower case; one
/// that ends with ':' is a prefix), else into the most fields. A first line "sep=;", as Excel writes it,
/// decides, and is removed from `text`.
char find_separator(std::string& text, const std::vector<std::string>& known);

}  // namespace isnet
