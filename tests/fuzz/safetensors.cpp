#include "base/safetensors.h"

#include <cstdlib>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  return fuzz::answered({ErrorKind::checkpoint}, [&] {
    const safetensors::File file(std::string(fuzz::text_of(data, size)), "input");
    for (const auto& [name, tensor] : file.tensors())
      if (std::string(tensor.bytes).size() != tensor.bytes.size()) std::abort();  // every byte is there
  });
}
