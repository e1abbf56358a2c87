// What the names and first bytes of files say about pictures.
#pragma once

#include <filesystem>

namespace isnet {

/// Whether the name ends like that of an image ("photo.PNG").
bool has_image_name(const std::filesystem::path& path);
/// Whether the name ends like that of a DICOM file.
bool has_dicom_name(const std::filesystem::path& path);

/// The path without its ending. What is behind the last point of a DICOM file named by its UID is none:
/// "1.2.840.17" stays, "1.2.840.17.png" becomes "1.2.840.17".
std::filesystem::path picture_stem(const std::filesystem::path& path);

/// Whether the name is one of those that lie beside pictures and are none: "README.txt", "Thumbs.db",
/// "DICOMDIR".
bool is_companion_name(const std::filesystem::path& path);

/// Whether the first bytes of a file are those of a picture. Errors: none (a file that cannot be read: no).
bool has_picture_content(const std::filesystem::path& path);

}  // namespace isnet
