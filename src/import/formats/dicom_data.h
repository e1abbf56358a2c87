// A DICOM data set in memory, through DCMTK.
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/error.h"
#include "import/formats/dicom_bytes.h"

namespace isnet {

class DicomData {
 public:
  /// Errors: as read_dicom_bytes(), and data where DCMTK cannot read it.
  DicomData(const std::filesystem::path& path, bool with_pixels, const PictureLimits& limits);

  DcmDataset& set() { return data_; }
  /// UID of the transfer syntax.
  const std::string& transfer_syntax() const { return transfer_syntax_; }
  std::int64_t file_bytes() const { return file_bytes_; }
  const std::string& where() const { return where_; }

  template <typename... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::data, where_, ": ", parts...);
  }
  void check(const OFCondition& condition, const char* what) const {
    if (condition.bad()) refuse(what, ": ", condition.text());
  }

  /// Without blanks at its ends; "" where there is none.
  std::string text(const DcmTagKey& tag);
  /// An element that an image must have.
  std::int64_t whole(const DcmTagKey& tag, const char* name);
  std::optional<double> real(const DcmTagKey& tag);
  /// Images in it: 1 where NumberOfFrames is missing, empty or 0. Errors: data (more than any file has).
  std::int64_t frames();

 private:
  std::string where_;
  std::string transfer_syntax_;
  std::int64_t file_bytes_ = 0;
  DcmDataset data_;
};

}  // namespace isnet
