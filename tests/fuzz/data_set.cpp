#include "data/data_set.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  static const fuzz::Folder folder;
  return fuzz::answered({ErrorKind::data}, [&] {
    const auto path = folder.write("dataset.json", fuzz::text_of(data, size));
    const DataSet set(path.parent_path());
    for (const auto& name : set.split_names()) fuzz::answered({ErrorKind::data}, [&] { set.split(name); });
    set.verify_checksums();
  });
}
