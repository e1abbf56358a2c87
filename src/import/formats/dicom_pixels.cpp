#include "import/formats/dicom_pixels.h"

#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "import/formats/bytes.h"
#include "import/formats/jpeg2000.h"
#include "import/formats/jpeg_markers.h"

namespace isnet {
namespace {

using namespace std::string_view_literals;

DicomPixelFormat read_format(DicomData& data) {
  DicomPixelFormat format;
  format.height = data.whole(DCM_Rows, "Rows");
  format.width = data.whole(DCM_Columns, "Columns");
  format.samples = data.whole(DCM_SamplesPerPixel, "SamplesPerPixel");
  format.allocated = data.whole(DCM_BitsAllocated, "BitsAllocated");
  format.stored = data.whole(DCM_BitsStored, "BitsStored");
  const auto high = data.whole(DCM_HighBit, "HighBit");
  format.shift = high + 1 - format.stored;
  format.with_sign = data.whole(DCM_PixelRepresentation, "PixelRepresentation") == 1;
  if (format.samples < 1 || format.samples > 4)
    data.refuse(format.samples, " samples a pixel; 1 to 4 can be read");
  const auto photometric = data.text(DCM_PhotometricInterpretation);
  format.halves = photometric.ends_with("_422") ? 4 : photometric.ends_with("_420") ? 3 : 2 * format.samples;
  if (format.stored < 1 || format.shift < 0 || high >= format.allocated)
    data.refuse(format.stored, " bits stored below bit ", high, " of ", format.allocated,
                " do not make sense");
  return format;
}

DcmPixelData& pixel_element(DicomData& data) {
  DcmElement* element = nullptr;
  if (data.set().findAndGetElement(DCM_PixelData, element).bad() || !element)
    data.refuse("has no PixelData: it holds no image");
  auto* pixels = dynamic_cast<DcmPixelData*>(element);
  if (!pixels) data.refuse("its PixelData are of an unusual kind");
  return *pixels;
}

void put_bytes(DicomData& data, std::int64_t allocated, const std::string& bytes) {
  if (allocated <= 8) {
    data.check(data.set().putAndInsertUint8Array(DCM_PixelData, reinterpret_cast<const Uint8*>(bytes.data()),
                                                 static_cast<unsigned long>(bytes.size())),
               "cannot be unpacked");
  } else {
    data.check(
        data.set().putAndInsertUint16Array(DCM_PixelData, reinterpret_cast<const Uint16*>(bytes.data()),
                                           static_cast<unsigned long>(bytes.size() / 2)),
        "cannot be unpacked");
  }
}

// The one frame of several that is asked for, from 1.
std::int64_t chosen_frame(const DicomData& data, std::int64_t frame, std::int64_t frames) {
  if (frame > frames)
    data.refuse("holds ", frames, frames == 1 ? " frame" : " frames", "; --frame ", frame,
                " is not one of them");
  if (frame == 0 && frames > 1)
    data.refuse("holds ", frames, " frames; --frame N takes one of them, --frame all makes a sample of each");
  return std::max<std::int64_t>(frame, 1);
}

// Compressed data: the table of offsets, and the pieces behind it.
struct Fragments {
  std::string_view offsets;
  std::vector<std::string_view> pieces;
};

Fragments fragments_of(DicomData& data) {
  E_TransferSyntax syntax = EXS_Unknown;
  const DcmRepresentationParameter* parameter = nullptr;
  auto& pixels = pixel_element(data);
  pixels.getOriginalRepresentationKey(syntax, parameter);
  DcmPixelSequence* sequence = nullptr;
  data.check(pixels.getEncapsulatedRepresentation(syntax, parameter, sequence),
             "its compressed pixels cannot be read");
  Fragments fragments;
  for (unsigned long i = 0; sequence && i < sequence->card(); ++i) {
    DcmPixelItem* item = nullptr;
    Uint8* bytes = nullptr;
    data.check(sequence->getItem(item, i), "its compressed pixels cannot be read");
    data.check(item->getUint8Array(bytes), "its compressed pixels cannot be read");
    const std::string_view piece(reinterpret_cast<const char*>(bytes), bytes ? item->getLength() : 0);
    if (i == 0)
      fragments.offsets = piece;
    else
      fragments.pieces.push_back(piece);
  }
  if (fragments.pieces.empty()) data.refuse("cut short: its compressed pixels are missing");
  return fragments;
}

bool begins_image(std::string_view piece) {
  return piece.starts_with("\xFF\xD8\xFF"sv) || piece.starts_with("\xFF\x4F\xFF\x51"sv) ||
         piece.starts_with("\0\0\0\x0CjP  "sv);
}

// Places of the pieces at which frames begin.
std::vector<std::size_t> frame_starts(const Fragments& fragments, std::size_t frames) {
  std::vector<std::size_t> starts;
  const auto& pieces = fragments.pieces;
  if (frames == 1) return {0};
  if (pieces.size() == frames) {
    for (std::size_t i = 0; i < frames; ++i) starts.push_back(i);
    return starts;
  }
  if (fragments.offsets.size() == 4 * frames) {
    std::size_t offset = 0;
    for (std::size_t i = 0; i < pieces.size() && starts.size() < frames; ++i) {
      if (little_endian(fragments.offsets, 4 * starts.size(), 4) == offset) starts.push_back(i);
      offset += 8 + pieces[i].size();
    }
    if (starts.size() == frames) return starts;
    starts.clear();
  }
  for (std::size_t i = 0; i < pieces.size(); ++i)
    if (begins_image(pieces[i])) starts.push_back(i);
  return starts;
}

std::vector<std::string_view> pieces_of_frame(const DicomData& data, const Fragments& fragments,
                                              std::int64_t frame, std::int64_t frames) {
  const auto starts = frame_starts(fragments, static_cast<std::size_t>(frames));
  if (starts.size() != static_cast<std::size_t>(frames))
    data.refuse("its ", frames, " frames cannot be distinguished in ", fragments.pieces.size(), " fragments");
  const auto place = static_cast<std::size_t>(frame - 1);
  const auto first = fragments.pieces.begin() + static_cast<std::ptrdiff_t>(starts[place]);
  const auto last = place + 1 < starts.size()
                        ? fragments.pieces.begin() + static_cast<std::ptrdiff_t>(starts[place + 1])
                        : fragments.pieces.end();
  return {first, last};
}

// Makes the pieces of one frame the data set's compressed pixels.
void keep_pieces(DicomData& data, const std::vector<std::string_view>& pieces) {
  const auto syntax = data.set().getOriginalXfer();
  auto sequence = std::make_unique<DcmPixelSequence>(DCM_PixelSequenceTag);
  data.check(sequence->insert(new DcmPixelItem(DCM_PixelItemTag)), "cannot be unpacked");
  for (const auto piece : pieces) {
    auto item = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    data.check(item->putUint8Array(reinterpret_cast<const Uint8*>(piece.data()),
                                   static_cast<unsigned long>(piece.size())),
               "cannot be unpacked");
    data.check(sequence->insert(item.release()), "cannot be unpacked");
  }
  auto pixels = std::make_unique<DcmPixelData>(DCM_PixelData);
  pixels->putOriginalRepresentation(syntax, nullptr, sequence.release());
  data.check(data.set().insert(pixels.release(), true), "cannot be unpacked");
}

std::string joined(const std::vector<std::string_view>& pieces) {
  std::string bytes;
  for (const auto piece : pieces) bytes += piece;
  return bytes;
}

// Values in the order in which DICOM has them: the samples of a pixel together.
std::string interleaved(const Jpeg2000Picture& picture, std::int64_t allocated) {
  std::string bytes;
  const auto pixels = picture.components.front().values.size();
  bytes.reserve(pixels * picture.components.size() * static_cast<std::size_t>(allocated / 8));
  for (std::size_t i = 0; i < pixels; ++i)
    for (const auto& component : picture.components) {
      const auto value = static_cast<std::uint32_t>(component.values[i]);
      bytes += static_cast<char>(value);
      if (allocated == 16) bytes += static_cast<char>(value >> 8);
    }
  return bytes;
}

void decode_jpeg2000_frame(DicomData& data, const std::string& bytes, DicomPixelFormat& format,
                           const PictureLimits& limits) {
  const auto picture = decode_jpeg2000(bytes, data.where(), limits);
  const auto& first = picture.components.front();
  if (picture.height != format.height || picture.width != format.width ||
      static_cast<std::int64_t>(picture.components.size()) != format.samples)
    data.refuse("its JPEG 2000 data are of ", picture.height, "×", picture.width, " pixels with ",
                picture.components.size(), " samples, and its header says ", format.height, "×", format.width,
                " with ", format.samples);
  if (format.allocated != 8 && format.allocated != 16)
    data.refuse(format.allocated, " bits allocated for a value; 8 and 16 can be read");
  for (const auto& component : picture.components)
    if (component.bits > format.allocated)
      data.refuse(component.bits, " bits in ", format.allocated, " that are allocated");
  // Where the header and the code stream differ, the code stream's bits are those that were stored.
  if (first.bits > format.stored || first.with_sign != format.with_sign) format.stored = first.bits;
  format.shift = 0;
  data.set().putAndInsertUint16(DCM_BitsStored, static_cast<Uint16>(format.stored));
  data.set().putAndInsertUint16(DCM_HighBit, static_cast<Uint16>(format.stored - 1));
  if (format.samples > 1) data.set().putAndInsertUint16(DCM_PlanarConfiguration, 0);
  const auto photometric = data.text(DCM_PhotometricInterpretation);
  if (photometric == "YBR_RCT" || photometric == "YBR_ICT")  // undone by the decoder
    data.set().putAndInsertString(DCM_PhotometricInterpretation, "RGB");
  put_bytes(data, format.allocated, interleaved(picture, format.allocated));
}

// A code stream within can be larger than the header says.
void check_jpeg(const DicomData& data, const std::vector<std::string_view>& pieces,
                const PictureLimits& limits) {
  if (!pieces.front().starts_with("\xFF\xD8\xFF"sv)) return;
  const auto markers = jpeg_markers(pieces.front());
  if (markers.components.empty()) return;
  check_limits(data.where(),
               {markers.height, markers.width, 2 * static_cast<std::int64_t>(markers.components.size()), 1},
               data.file_bytes(), limits);
}

void unpack_frame(DicomData& data, std::int64_t frame, std::int64_t frames, DicomPixelFormat& format,
                  const PictureLimits& limits) {
  const DcmXfer syntax(data.set().getOriginalXfer());
  const auto fragments = fragments_of(data);
  const auto pieces = pieces_of_frame(data, fragments, frame, frames);
  if (std::string_view(syntax.getXferName()).starts_with("JPEG 2000")) {
    decode_jpeg2000_frame(data, joined(pieces), format, limits);
    return;
  }
  check_jpeg(data, pieces, limits);
  if (frames > 1) {
    std::vector<std::string> kept(pieces.begin(), pieces.end());  // they go with the others
    keep_pieces(data, {kept.begin(), kept.end()});
    data.check(data.set().putAndInsertString(DCM_NumberOfFrames, "1"), "cannot be unpacked");
  }
  const auto condition = data.set().chooseRepresentation(EXS_LittleEndianExplicit, nullptr);
  if (condition.bad() || !data.set().canWriteXfer(EXS_LittleEndianExplicit))
    data.refuse("its compression (", syntax.getXferName(),
                ") cannot be decompressed: ", condition.bad() ? condition.text() : "no decoder",
                "; write it without compression, or as PNG");
  format = read_format(data);
}

// All that the element holds, in this machine's order.
std::string_view all_bytes(DicomData& data) {
  auto& pixels = pixel_element(data);
  Uint16* words = nullptr;
  Uint8* bytes = nullptr;
  if (pixels.getUint16Array(words).good() && words)
    return {reinterpret_cast<const char*>(words), pixels.getLength()};
  if (pixels.getUint8Array(bytes).good() && bytes)
    return {reinterpret_cast<const char*>(bytes), pixels.getLength()};
  data.refuse("has no pixels that can be read");
}

}  // namespace

std::string_view frame_bytes(DicomData& data, const DicomPixelFormat& format) {
  const auto bytes = all_bytes(data);
  if (static_cast<std::int64_t>(bytes.size()) < format.frame_bytes())
    data.refuse("cut short: ", static_cast<std::int64_t>(bytes.size()) / ((format.allocated + 7) / 8),
                " pixels instead of ", format.height, "×", format.width);
  return bytes.substr(0, static_cast<std::size_t>(format.frame_bytes()));
}

DicomPixelFormat take_frame(DicomData& data, std::int64_t frame, const PictureLimits& limits) {
  auto format = read_format(data);
  const auto frames = data.frames();
  const auto number = chosen_frame(data, frame, frames);
  check_limits(data.where(), {format.height, format.width, format.samples * ((format.allocated + 7) / 8), 1},
               data.file_bytes(), limits);
  if (DcmXfer(data.set().getOriginalXfer()).isEncapsulated()) {
    unpack_frame(data, number, frames, format, limits);
  } else if (frames > 1) {
    if (format.allocated != 8 && format.allocated != 16)
      data.refuse(format.allocated, " bits allocated for a value; 8 and 16 can be read");
    const auto all = all_bytes(data);
    const auto size = static_cast<std::size_t>(format.frame_bytes());
    if (all.size() / size < static_cast<std::size_t>(frames))
      data.refuse("cut short: ", all.size() / size, " of its ", frames, " frames are there");
    const std::string bytes(all.substr(static_cast<std::size_t>(number - 1) * size, size));
    put_bytes(data, format.allocated, bytes);
    data.check(data.set().putAndInsertString(DCM_NumberOfFrames, "1"), "cannot be unpacked");
  }
  return format;
}

}  // namespace isnet
