// Which kind of picture a file holds, by its first bytes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace isnet {

enum class PictureKind { unknown, png, jpeg, webp, bmp, netpbm, tiff, jpeg2000 };

PictureKind picture_kind(std::string_view bytes);

/// The first KiB of a file, enough to tell its kind; "" where it cannot be read.
std::string file_head(const std::filesystem::path& path);

/// The name of a kind that is known but not read ("GIF", "AVIF"); "" for all others.
const char* unread_kind(std::string_view bytes);

}  // namespace isnet
