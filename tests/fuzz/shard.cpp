#include "data/shard.h"

#include <algorithm>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  static const fuzz::Folder folder;
  return fuzz::answered({ErrorKind::data}, [&] {
    const ShardReader shard(folder.write("s.h5", fuzz::text_of(data, size)));
    const auto& layout = shard.layout();
    std::vector<float> image(static_cast<std::size_t>(3 * layout.pixels()));
    std::vector<float> mask(static_cast<std::size_t>(layout.mask_channels * layout.pixels()));
    for (std::int64_t i = 0; i < std::min<std::int64_t>(shard.size(), 16); ++i) {
      shard.read_image(i, image.data());
      shard.read_mask(i, mask.data());
    }
  });
}
