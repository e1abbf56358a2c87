#include "base/names.h"

#include "base/printable.h"

namespace isnet {
namespace {

std::size_t longest(NameKind kind) {
  switch (kind) {
    case NameKind::text:
      return 1'000'000;
    case NameKind::bare:
      return 255;
    case NameKind::split:
      return 200;
    case NameKind::label:
    case NameKind::path:
      return 1000;
  }
  return 0;
}

std::string character_refusal(std::string_view name) {
  while (!name.empty()) {
    const auto character = first_character(name);
    if (!character) return "it is not valid UTF-8";
    if (is_control(character->code)) return "it holds a control character";
    name.remove_prefix(character->bytes);
  }
  return "";
}

std::string path_refusal(std::string_view path) {
  if (path.front() == '/') return "it is an absolute path";
  for (;;) {
    const auto end = path.find('/');
    const auto part = path.substr(0, end);
    if (part.empty()) return "a part of it is empty";
    if (part == "." || part == "..") return cat("it holds '", part, "'");
    if (part.size() > longest(NameKind::bare)) return "a part of it is longer than 255 bytes";
    if (end == std::string_view::npos) return "";
    path.remove_prefix(end + 1);
  }
}

}  // namespace

std::string name_refusal(NameKind kind, std::string_view name) {
  if (name.empty()) return "it is empty";
  if (name.size() > longest(kind)) return cat("it is longer than ", longest(kind), " bytes");
  const bool shown_only = kind == NameKind::text || kind == NameKind::label;
  if (const auto refusal = character_refusal(name); !refusal.empty() || shown_only) return refusal;
  if (name.find('\\') != std::string_view::npos) return "it holds a backslash";
  if (kind == NameKind::path) return path_refusal(name);
  if (name.find('/') != std::string_view::npos) return "it holds '/'";
  if (name == "." || name == "..") return cat("it is '", name, "'");
  if (kind == NameKind::split && name.front() == '.') return "it begins with a dot";
  return "";
}

void check_stored_name(NameKind kind, const char* what, std::string_view name, const std::string& where,
                       ErrorKind error) {
  if (const auto refusal = name_refusal(kind, name); !refusal.empty())
    fail(error, where, ": the ", what, " ", quoted_name(name), " is not allowed: ", refusal);
}

}  // namespace isnet
