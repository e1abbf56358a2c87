#include "import/idx.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  static const fuzz::Folder folder;
  const auto path = folder.write("file.idx", fuzz::text_of(data, size));
  for (const int rank : {1, 3}) fuzz::answered({ErrorKind::data}, [&] { read_idx(path, rank); });
  return 0;
}
