#include "import/formats/dicom_bytes.h"

#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <new>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "import/formats/bytes.h"
#include "import/formats/dicom_structure.h"

namespace isnet {
namespace {

using namespace std::string_view_literals;

constexpr auto implicit_little = "1.2.840.10008.1.2", explicit_little = "1.2.840.10008.1.2.1",
               explicit_big = "1.2.840.10008.1.2.2", deflated = "1.2.840.10008.1.2.1.99";
constexpr std::size_t head_size = std::size_t{256} << 10;  // holds all before the pixels of most files
constexpr std::size_t few_items = 256;  // so many cannot be nested beyond what a stack holds

// A file's meta header.
struct Meta {
  std::size_t end = 0;  // where its data set begins
  std::string transfer_syntax;
  bool there = false;
};

bool has_kind(const DicomElement& element) {
  const auto capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  return capital(element.kind[0]) && capital(element.kind[1]);
}

Meta read_meta(std::string_view bytes) {
  Meta meta;
  if (bytes.size() >= 132 && bytes.substr(128, 4) == "DICM"sv)
    meta = {132, "", true};
  else if (bytes.starts_with("DICM"sv))
    meta = {4, "", true};
  constexpr std::uint32_t syntax = 0x00020010;
  while (auto element = dicom_element(bytes, meta.end, {})) {
    if (!has_kind(*element)) {  // some programs write it without kinds
      if (!meta.there) break;
      element = dicom_element(bytes, meta.end, {false, false});
    }
    if (element->tag >> 16 != 2 || element->undefined || element->length > bytes.size() - element->value)
      break;
    meta.there = true;
    meta.end = element->value + element->length;
    if (element->tag != syntax) continue;
    auto uid = bytes.substr(element->value, element->length);
    while (!uid.empty() && (uid.back() == '\0' || uid.back() == ' ')) uid.remove_suffix(1);
    meta.transfer_syntax = uid;
  }
  return meta;
}

const char* syntax_of(DicomEncoding encoding) {
  return !encoding.is_explicit ? implicit_little : encoding.big_endian ? explicit_big : explicit_little;
}

DicomEncoding encoding_of(const std::string& syntax) {
  return {syntax != implicit_little, syntax == explicit_big};
}

bool is_plain(const std::string& syntax) {
  return syntax == implicit_little || syntax == explicit_little || syntax == explicit_big;
}

std::string inflated(std::string_view bytes, const std::string& where, const PictureLimits& limits) {
  constexpr std::size_t step = std::size_t{1} << 20;
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  struct End {
    z_stream& stream;
    ~End() { inflateEnd(&stream); }
  } const end{stream};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string result;
  for (int status = Z_OK; status != Z_STREAM_END;) {
    const auto before = result.size();
    if (static_cast<std::int64_t>(before) > limits.bytes)
      fail(ErrorKind::data, where, ": takes more than the limit of ", limits.bytes >> 20,
           " MiB when inflated; --max-picture-mb raises it");
    result.resize(
        std::min(before + std::max(step, before / 2), static_cast<std::size_t>(limits.bytes) + step));
    stream.next_out = reinterpret_cast<Bytef*>(result.data() + before);
    stream.avail_out = static_cast<uInt>(result.size() - before);
    status = inflate(&stream, Z_NO_FLUSH);
    result.resize(result.size() - stream.avail_out);
    if (status != Z_STREAM_END && (status != Z_OK || result.size() == before))
      fail(ErrorKind::data, where, ": cannot be read as DICOM: its deflated data are damaged or cut short");
  }
  return result;
}

std::size_t items_in(std::string_view bytes, DicomEncoding encoding) {
  const auto mark = encoding.big_endian ? "\xFF\xFE\xE0\x00"sv : "\xFE\xFF\x00\xE0"sv;
  std::size_t count = 0;
  for (auto at = bytes.find(mark); at != bytes.npos && count <= few_items; at = bytes.find(mark, at + 4))
    ++count;
  return count;
}

// Refuses what would overrun the stack of a parser that calls itself for each sequence in a sequence.
void check_depth(const DicomWalk& walk, std::string_view bytes, DicomEncoding encoding,
                 const std::string& where) {
  if (walk.end == DicomEnd::deep)
    fail(ErrorKind::data, where, ": cannot be read as DICOM: its sequences are nested too deeply");
  const bool understood = walk.end == DicomEnd::pixels || walk.end == DicomEnd::complete;
  if (!understood && items_in(bytes, encoding) > few_items)
    fail(ErrorKind::data, where,
         ": cannot be read as DICOM: its sequences are damaged or cut short, at byte ", walk.at,
         " of its data set");
}

std::string first_bytes(const std::filesystem::path& path, std::size_t count) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::runtime, path.string(), ": cannot be opened");
  std::string bytes(count, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

// From the bytes of a file, or of its beginning: then nothing where more of it is needed.
std::optional<DicomBytes> parsed(std::string bytes, bool whole, bool with_pixels, const std::string& where,
                                 const PictureLimits& limits) {
  const auto meta = read_meta(bytes);
  DicomBytes result{std::move(bytes), meta.end, 0, meta.transfer_syntax};
  result.end = result.storage.size();
  if (result.transfer_syntax == deflated) {
    if (!whole) return std::nullopt;
    result.storage = inflated(result.data_set(), where, limits);
    result.begin = 0;
    result.end = result.storage.size();
    result.transfer_syntax = explicit_little;
  }
  const auto head = result.data_set().substr(0, 1024);
  const auto guess = guessed_encoding(head);
  if (result.transfer_syntax.empty()) {
    if (!guess && !meta.there)
      fail(ErrorKind::data, where, ": cannot be read as DICOM: it is another kind of file");
    result.transfer_syntax = syntax_of(guess.value_or(DicomEncoding{}));
  } else if (guess && is_plain(result.transfer_syntax) &&
             !may_begin_data_set(head, encoding_of(result.transfer_syntax))) {
    result.transfer_syntax = syntax_of(*guess);  // said wrongly by some programs
  }
  const auto encoding = encoding_of(result.transfer_syntax);
  const auto walk = follow_data_set(result.data_set(), encoding);
  if (!whole && walk.end != DicomEnd::pixels && walk.end != DicomEnd::deep) return std::nullopt;
  check_depth(walk, result.data_set(), encoding, where);
  if (!with_pixels && walk.end == DicomEnd::pixels) result.end = result.begin + walk.at;
  return result;
}

}  // namespace

bool begins_as_dicom(std::string_view head) {
  return read_meta(head).there || guessed_encoding(head).has_value();
}

DicomBytes read_dicom_bytes(const std::filesystem::path& path, bool with_pixels,
                            const PictureLimits& limits) {
  const auto where = path.string();
  if (!with_pixels) {
    auto head = first_bytes(path, head_size);
    const bool whole = head.size() < head_size;
    if (auto result = parsed(std::move(head), whole, false, where, limits)) return std::move(*result);
  }
  return std::move(parsed(read_file(path), true, with_pixels, where, limits)).value();
}

}  // namespace isnet
