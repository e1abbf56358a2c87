#include "model/pickle/unpickler.h"

#include "fuzz.h"
#include "model/pickle/zip_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  const auto content = fuzz::text_of(data, size);
  fuzz::answered({ErrorKind::checkpoint}, [&] {
    std::size_t offset = 0;
    const Pickle pickle(content, offset, "input");
    pickle.find(pickle.top(), "state_dict");
  });
  return fuzz::answered({ErrorKind::checkpoint}, [&] {
    const ZipArchive archive(content, "input");
    for (const auto& [name, bytes] : archive.members())
      fuzz::answered({ErrorKind::checkpoint}, [&, member = bytes] {
        std::size_t offset = 0;
        const Pickle pickle(member, offset, "input");
      });
  });
}
