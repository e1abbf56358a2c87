#include "import/picture_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

#include "import/formats/dicom_bytes.h"
#include "import/formats/kind.h"
#include "import/names.h"

namespace isnet {
namespace {

using namespace std::string_view_literals;

std::string lower_extension(const std::filesystem::path& path) {
  return lower_case(path.extension().string());
}

bool is_in(const auto& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool has_dicom_name(const std::filesystem::path& path) {
  const auto extension = lower_extension(path);
  return extension == ".dcm" || extension == ".dicom";
}

bool has_image_name(const std::filesystem::path& path) {
  static constexpr std::array known{".png"sv, ".jpg"sv,  ".jpeg"sv, ".jpe"sv, ".jfif"sv, ".tif"sv, ".tiff"sv,
                                    ".btf"sv, ".bmp"sv,  ".dib"sv,  ".pbm"sv, ".pgm"sv,  ".ppm"sv, ".pnm"sv,
                                    ".pam"sv, ".webp"sv, ".jp2"sv,  ".j2k"sv, ".j2c"sv,  ".jpc"sv};
  return has_dicom_name(path) || is_in(known, lower_extension(path));
}

std::filesystem::path picture_stem(const std::filesystem::path& path) {
  const auto extension = path.extension().string();
  const bool number =
      extension.size() > 1 && std::all_of(extension.begin() + 1, extension.end(),
                                          [](unsigned char c) { return std::isdigit(c) != 0; });
  return number ? path : std::filesystem::path(path).replace_extension();
}

bool is_companion_name(const std::filesystem::path& path) {
  static constexpr std::array endings{".txt"sv, ".csv"sv, ".tsv"sv,  ".json"sv, ".xml"sv,    ".md"sv,
                                      ".rst"sv, ".htm"sv, ".html"sv, ".pdf"sv,  ".log"sv,    ".ini"sv,
                                      ".db"sv,  ".xls"sv, ".xlsx"sv, ".doc"sv,  ".docx"sv,   ".yaml"sv,
                                      ".yml"sv, ".zip"sv, ".gz"sv,   ".tgz"sv,  ".tar"sv,    ".7z"sv,
                                      ".py"sv,  ".sh"sv,  ".md5"sv,  ".sha1"sv, ".sha256"sv, ".lnk"sv};
  static constexpr std::array names{"dicomdir"sv, "readme"sv,  "license"sv,    "licence"sv,
                                    "copying"sv,  "md5sums"sv, "sha256sums"sv, "lockfile"sv};
  return is_in(endings, lower_extension(path)) || is_in(names, lower_case(path.filename().string()));
}

bool has_picture_content(const std::filesystem::path& path) {
  const auto head = file_head(path);
  return picture_kind(head) != PictureKind::unknown || begins_as_dicom(head);
}

}  // namespace isnet
