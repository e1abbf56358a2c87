#include "model/pickle/zip_archive.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/error.h"

namespace isnet {
namespace {

constexpr std::uint32_t local_header = 0x04034b50, central_header = 0x02014b50, end_record = 0x06054b50,
                        end_record_64 = 0x06064b50, locator_64 = 0x07064b50;
constexpr std::uint64_t central_size = 46, local_size = 30, end_size = 22, locator_size = 20,
                        end_size_64 = 56, longest_comment = 0xffff;
constexpr std::uint64_t see_zip64 = 0xffffffff;

// What the file's directory says of a member.
struct Entry {
  std::string name;
  std::uint64_t flags, method, checksum, compressed, size, header;
};

struct Directory {
  std::uint64_t entries, size, offset;
};

// Reads a ZIP file; every read is checked against the file's end.
class Reader {
 public:
  Reader(std::string_view content, const std::string& source) : content_(content), source_(source) {}

  template <typename... Parts>
  [[noreturn]] void broken(const Parts&... parts) const {
    fail(ErrorKind::checkpoint, source_, ": not a valid file of torch.save: ", parts...,
         " (the file is damaged or incomplete: use another one)");
  }

  // `offset` and `size` bytes on from it lie in the file.
  bool inside(std::uint64_t offset, std::uint64_t size) const {
    return offset <= content_.size() && size <= content_.size() - offset;
  }
  // A little-endian number of 1 to 8 bytes.
  std::uint64_t number(std::uint64_t offset, std::uint64_t bytes) const {
    if (!inside(offset, bytes)) broken("it ends within its directory");
    std::uint64_t value = 0;
    for (std::uint64_t i = bytes; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(content_[static_cast<std::size_t>(offset + i)]);
    return value;
  }
  std::string_view bytes(std::uint64_t offset, std::uint64_t size) const {
    if (!inside(offset, size)) broken("it ends within its directory");
    return content_.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  }

  Directory directory() const {
    const std::uint64_t end = end_offset();
    Directory result{number(end + 10, 2), number(end + 12, 4), number(end + 16, 4)};
    if (end >= locator_size && number(end - locator_size, 4) == locator_64) {
      const std::uint64_t record = number(end - locator_size + 8, 8);
      if (!inside(record, end_size_64) || number(record, 4) != end_record_64)
        broken("its zip64 record is missing");
      result = {number(record + 32, 8), number(record + 40, 8), number(record + 48, 8)};
    }
    if (!inside(result.offset, result.size) || result.entries > result.size / central_size)
      broken("its directory lies outside the file");
    return result;
  }

  // The entry at `offset`, which is moved to the next one.
  Entry entry(std::uint64_t& offset) const {
    if (number(offset, 4) != central_header) broken("an entry of its directory is missing");
    const std::uint64_t name = number(offset + 28, 2), extra = number(offset + 30, 2),
                        comment = number(offset + 32, 2);
    Entry result{std::string(bytes(offset + central_size, name)),
                 number(offset + 8, 2),
                 number(offset + 10, 2),
                 number(offset + 16, 4),
                 number(offset + 20, 4),
                 number(offset + 24, 4),
                 number(offset + 42, 4)};
    take_zip64(result, offset + central_size + name, extra);
    offset += central_size + name + extra + comment;
    return result;
  }

  // Where a member's bytes are.
  std::uint64_t data_offset(const Entry& entry) const {
    if (!inside(entry.header, local_size) || number(entry.header, 4) != local_header)
      broken("member '", entry.name, "' is missing");
    const std::uint64_t offset =
        entry.header + local_size + number(entry.header + 26, 2) + number(entry.header + 28, 2);
    if (!inside(offset, entry.size)) broken("member '", entry.name, "' ends behind the file's end");
    return offset;
  }

 private:
  std::uint64_t end_offset() const {
    if (content_.size() < end_size) broken("it has ", content_.size(), " bytes");
    const std::uint64_t last = content_.size() - end_size;
    for (std::uint64_t offset = last;; --offset) {
      if (number(offset, 4) == end_record && number(offset + 20, 2) == last - offset) return offset;
      if (offset == 0 || last - offset == longest_comment) broken("the end of its directory is missing");
    }
  }

  // Sizes and offsets that do not fit into 32 bits are in the extra field 1, in this order.
  void take_zip64(Entry& entry, std::uint64_t offset, std::uint64_t size) const {
    const std::uint64_t end = offset + size;
    while (offset + 4 <= end) {
      const std::uint64_t kind = number(offset, 2), length = number(offset + 2, 2);
      offset += 4;
      if (kind == 1) {
        std::uint64_t place = offset;
        for (auto* value : {&entry.size, &entry.compressed, &entry.header}) {
          if (*value != see_zip64) continue;
          if (place + 8 > std::min(end, offset + length)) broken("entry '", entry.name, "' is incomplete");
          *value = number(place, 8);
          place += 8;
        }
      }
      offset += length;
    }
  }

  std::string_view content_;
  const std::string& source_;
};

}  // namespace

ZipArchive::ZipArchive(std::string_view content, const std::string& source) {
  const Reader reader(content, source);
  const Directory directory = reader.directory();
  std::uint64_t offset = directory.offset;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places;  // begin, end
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const Entry entry = reader.entry(offset);
    if (entry.flags & 1) reader.broken("member '", entry.name, "' is encrypted");
    if (entry.method != 0 || entry.compressed != entry.size)
      reader.broken("member '", entry.name, "' is compressed, which torch.save never does");
    const std::uint64_t begin = reader.data_offset(entry);
    const std::string_view bytes = reader.bytes(begin, entry.size);
    if (entry.checksum != 0 &&
        crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != entry.checksum)
      reader.broken("member '", entry.name, "' does not have its checksum");
    if (!members_.emplace(entry.name, bytes).second)
      reader.broken("member '", entry.name, "' appears twice");
    places.emplace_back(entry.header, begin + entry.size);
  }
  std::sort(places.begin(), places.end());
  for (std::size_t i = 1; i < places.size(); ++i)
    if (places[i].first < places[i - 1].second) reader.broken("its members overlap");
}

}  // namespace isnet
