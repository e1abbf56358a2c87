// DICOM files for tests, written by DCMTK on the spot.
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcpxitem.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace isnet::testing {

struct DicomPicture {
  int rows = 2, columns = 3;
  int allocated = 16, stored = 12;
  bool with_sign = false;
  std::string photometric = "MONOCHROME2";
  std::string patient = "P1";
  std::vector<std::uint16_t> values = {};                ///< as stored
  std::function<void(DcmDataset&)> more = [](auto&) {};  ///< further elements
  E_TransferSyntax syntax = EXS_LittleEndianExplicit;
};

inline void write_dicom(const std::filesystem::path& path, const DicomPicture& picture) {
  const auto check = [&](const OFCondition& condition) {
    if (condition.bad()) throw std::runtime_error(path.string() + ": " + condition.text());
  };
  DcmFileFormat file;
  DcmDataset& data = *file.getDataset();
  char uid[100];
  check(data.putAndInsertString(DCM_SOPClassUID, UID_SecondaryCaptureImageStorage));
  check(data.putAndInsertString(DCM_SOPInstanceUID, dcmGenerateUniqueIdentifier(uid)));
  check(data.putAndInsertString(DCM_PatientID, picture.patient.c_str()));
  check(data.putAndInsertString(DCM_PhotometricInterpretation, picture.photometric.c_str()));
  check(data.putAndInsertUint16(DCM_Rows, static_cast<Uint16>(picture.rows)));
  check(data.putAndInsertUint16(DCM_Columns, static_cast<Uint16>(picture.columns)));
  check(data.putAndInsertUint16(DCM_SamplesPerPixel, 1));
  check(data.putAndInsertUint16(DCM_BitsAllocated, static_cast<Uint16>(picture.allocated)));
  check(data.putAndInsertUint16(DCM_BitsStored, static_cast<Uint16>(picture.stored)));
  check(data.putAndInsertUint16(DCM_HighBit, static_cast<Uint16>(picture.stored - 1)));
  check(data.putAndInsertUint16(DCM_PixelRepresentation, picture.with_sign ? 1 : 0));
  if (picture.allocated == 8) {
    const std::vector<Uint8> bytes(picture.values.begin(), picture.values.end());
    check(data.putAndInsertUint8Array(DCM_PixelData, bytes.data(), bytes.size()));
  } else {
    check(data.putAndInsertUint16Array(DCM_PixelData, picture.values.data(), picture.values.size()));
  }
  picture.more(data);
  std::filesystem::create_directories(path.parent_path());
  check(file.saveFile(path.c_str(), picture.syntax));
}

}  // namespace isnet::testing
