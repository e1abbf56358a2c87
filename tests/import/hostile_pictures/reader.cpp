// picture_reader LIST: decodes the picture that each line of LIST names, as `isnet pack` would; prints one
// line for each: "N read HEIGHT WIDTH", "N refused MESSAGE", or "N failed MESSAGE" for errors of another
// kind. Each line N is announced by "N begun".
#include "base/error.h"
#include "import/decode.h"
#include "support/list_reader.h"

namespace isnet::testing {
namespace {

std::string answer(const std::string& path) {
  try {
    PictureOptions options;
    options.dicom.frame = 1;
    options.page = 1;
    options.limits.bytes = std::int64_t{256} << 20;
    const Image image = decode_image(path, options);
    if (static_cast<std::int64_t>(image.values.size()) != image.pixels() * image.channels)
      return "failed another number of values than of pixels";
    return cat("read ", image.height, " ", image.width);
  } catch (const Error& error) {
    std::string message = error.what();
    for (auto& c : message)
      if (c == '\n') c = ' ';
    return (error.kind() == ErrorKind::data ? "refused " : "failed ") + message;
  }
}

}  // namespace
}  // namespace isnet::testing

int main(int count, char** arguments) {
  return isnet::testing::answer_list(count, arguments, rlim_t{3} << 30, 100, isnet::testing::answer);
}
