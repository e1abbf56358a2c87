// picture_reader LIST: decodes the picture that each line of LIST names, as `isnet pack` would; prints one
// line for each: "N read HEIGHT WIDTH", "N refused MESSAGE", or "N failed MESSAGE" for errors of another
// kind. Each line N is announced by "N begun".
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iostream>

#include "base/error.h"
#include "import/decode.h"

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
  if (count != 2) return 2;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which map terabytes
  const rlimit limit{rlim_t{3} << 30, rlim_t{3} << 30};
  ::setrlimit(RLIMIT_AS, &limit);
#endif
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  std::ifstream list(arguments[1]);
  std::string path;
  for (int number = 0; std::getline(list, path); ++number) {
    std::cout << number << " begun" << std::endl;
    ::alarm(100);  // a hang ends by a signal
    std::cout << number << " " << isnet::testing::answer(path) << std::endl;
  }
  return 0;
}
