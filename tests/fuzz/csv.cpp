#include "base/csv.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isnet;
  return fuzz::answered({ErrorKind::data},
                        [&] { parse_csv(std::string(fuzz::text_of(data, size)), "input"); });
}
