#include "import/idx.h"

#include <zlib.h>

#include <array>
#include <exception>
#include <memory>
#include <string>

#include "base/error.h"
#include "import/formats/bytes.h"

namespace isnet {
namespace {

// zlib reads plain files too.
class GzipFile {
 public:
  explicit GzipFile(const std::filesystem::path& path)
      : where_(path.string()), file_(gzopen(path.c_str(), "rb"), gzclose) {
    if (!file_) fail(ErrorKind::data, where_, ": cannot open (does the file exist?)");
    gzbuffer(file_.get(), 1u << 18);
  }

  // Up to `size` bytes; fewer only at the end of the file.
  std::size_t read(std::uint8_t* out, std::size_t size) {
    std::size_t total = 0;
    while (total < size) {
      const auto piece = static_cast<unsigned>(std::min<std::size_t>(size - total, 1u << 30));
      const int n = gzread(file_.get(), out + total, piece);
      check();
      if (n <= 0) break;
      total += static_cast<std::size_t>(n);
    }
    return total;
  }

 private:
  // gzread tells of a cut stream only through gzerror.
  void check() {
    int code = Z_OK;
    const char* text = gzerror(file_.get(), &code);
    if (code == Z_BUF_ERROR)
      fail(ErrorKind::data, where_, ": cut short inside the compressed data: fetch the file again");
    if (code != Z_OK && code != Z_STREAM_END) fail(ErrorKind::data, where_, ": cannot be unpacked: ", text);
  }

  std::string where_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

std::vector<std::int64_t> read_shape(GzipFile& file, const std::string& where, std::int64_t rank) {
  std::array<std::uint8_t, 4> magic{};
  if (file.read(magic.data(), 4) != 4) fail(ErrorKind::data, where, ": too short for an IDX file");
  if (magic[0] != 0 || magic[1] != 0)
    fail(ErrorKind::data, where, ": not an IDX file (it begins with other bytes)");
  if (magic[2] != 0x08)
    fail(ErrorKind::data, where, ": IDX type ", int{magic[2]}, "; expected 8 (unsigned bytes)");
  if (magic[3] != rank)
    fail(ErrorKind::data, where, ": ", int{magic[3]}, " dimensions instead of ", rank,
         rank == 1 ? " (labels): are images and labels swapped?"
                   : " (images): are images and labels swapped?");
  std::vector<std::int64_t> shape;
  for (std::int64_t i = 0; i < rank; ++i) {
    std::array<std::uint8_t, 4> extent{};
    if (file.read(extent.data(), 4) != 4) fail(ErrorKind::data, where, ": cut short in its header");
    shape.push_back(big_endian({reinterpret_cast<const char*>(extent.data()), extent.size()}, 0, 4));
  }
  return shape;
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& path, std::int64_t rank) {
  const std::string where = path.string();
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    fail(ErrorKind::data, where, ": is a folder, not an IDX file");
  GzipFile file(path);
  IdxArray array;
  array.shape = read_shape(file, where, rank);
  // 2^40 bytes are more than any such file; beyond it the product of three 32-bit extents could overflow.
  std::int64_t count = 1;
  for (const auto extent : array.shape) {
    if (extent < 1 || count > (std::int64_t{1} << 40) / extent)
      fail(ErrorKind::data, where, ": a dimension of ", extent, " elements is not plausible");
    count *= extent;
  }
  // Read in pieces: a damaged header must not make us ask for a terabyte.
  constexpr std::int64_t piece = std::int64_t{1} << 24;
  while (static_cast<std::int64_t>(array.values.size()) < count) {
    const auto before = array.values.size();
    const auto wanted = static_cast<std::size_t>(std::min(piece, count - static_cast<std::int64_t>(before)));
    array.values.resize(before + wanted);
    if (const auto got = file.read(array.values.data() + before, wanted); got != wanted)
      fail(ErrorKind::data, where, ": cut short: ", before + got, " bytes of values instead of ", count,
           ": fetch the file again");
  }
  std::uint8_t more = 0;
  if (file.read(&more, 1) != 0)
    fail(ErrorKind::data, where, ": more bytes than the ", count, " that its header announces");
  return array;
}

}  // namespace isnet
